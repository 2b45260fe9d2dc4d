//! One setting of a device that only the kernel's ethtool interface knows: that long writes of UDP are
//! cut up before they get to it.
//!
//! Speaks generic netlink, as the kernel's `ethtool-netlink.rst` says, for this one request. Refuses to
//! ask for anything else.

use std::io;
use std::sync::OnceLock;

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_GENERIC};

/// The family that knows the numbers of the others, its one command here, and attributes of it.
const CONTROL: u16 = 0x10;
const GET_FAMILY: u8 = 3;
const FAMILY_ID: u16 = 1;
const FAMILY_NAME: u16 = 2;

/// The family `ethtool`, its one command here, and attributes of it.
const NAME: &[u8] = b"ethtool\0";
const SET_FEATURES: u8 = 12;
const HEADER: u16 = 1;
const HEADER_DEVICE: u16 = 2;
const WANTED: u16 = 3;
const BITS: u16 = 3;
const BIT: u16 = 1;
const BIT_NAME: u16 = 2;

/// The feature. A bit that is named and has no value is to be off.
const FEATURE: &[u8] = b"tx-udp-segmentation\0";

const NESTED: u16 = 0x8000;
const REQUEST: u16 = 1;
const WITH_ANSWER: u16 = 1 | 4;
const ERROR: u16 = 2;

/// Bytes of the headers of netlink, and of those with that of generic netlink.
const NETLINK_HEADER: usize = 16;
const HEADERS: usize = 20;

/// Has UDP that a process hands down in one piece (`UDP_SEGMENT`, as QUIC does) cut up by the kernel
/// before `device` gets it, a device of the calling thread's namespace.
///
/// # Errors
/// The kernel has no such interface or feature: before Linux 6.2 it always cuts.
pub(super) fn cut_datagrams(device: &str) -> io::Result<()> {
    // The same in all namespaces, for as long as the kernel runs.
    static FAMILY: OnceLock<u16> = OnceLock::new();
    let mut socket = Socket::new(NETLINK_GENERIC)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let family = match FAMILY.get() {
        Some(family) => *family,
        None => {
            let name = attribute(FAMILY_NAME, NAME);
            let answer = ask(&socket, CONTROL, GET_FAMILY, REQUEST, &name)?;
            let family = family_in(&answer).ok_or(io::ErrorKind::InvalidData)?;
            *FAMILY.get_or_init(|| family)
        }
    };
    let device = attribute(HEADER_DEVICE, &[device.as_bytes(), b"\0"].concat());
    let bit = attribute(NESTED | BIT, &attribute(BIT_NAME, FEATURE));
    let header = attribute(NESTED | HEADER, &device);
    let wanted = attribute(NESTED | WANTED, &attribute(NESTED | BITS, &bit));
    ask(&socket, family, SET_FEATURES, WITH_ANSWER, &[header, wanted].concat()).map(drop)
}

/// Sends one request, and waits for what the kernel says to it.
fn ask(
    socket: &Socket,
    family: u16,
    command: u8,
    flags: u16,
    attributes: &[u8],
) -> io::Result<Vec<u8>> {
    let length = u32::try_from(HEADERS + attributes.len()).map_err(io::Error::other)?;
    let mut request = Vec::new();
    request.extend(length.to_ne_bytes());
    request.extend(family.to_ne_bytes());
    request.extend(flags.to_ne_bytes());
    // Sequence number and sender, and behind them the version of the command: 1.
    request.extend([0; 8]);
    request.extend([command, 1, 0, 0]);
    request.extend(attributes);
    socket.send(&request, 0)?;
    let (answer, _) = socket.recv_from_full()?;
    let code = answer.get(NETLINK_HEADER..HEADERS).and_then(|code| code.try_into().ok());
    match (number(&answer[..], 4), code.map(i32::from_ne_bytes)) {
        (Some(ERROR), Some(code)) if code != 0 => Err(io::Error::from_raw_os_error(-code)),
        (Some(_), Some(_)) => Ok(answer),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// An attribute, padded.
fn attribute(kind: u16, data: &[u8]) -> Vec<u8> {
    // All of them are a few names.
    let length = u16::try_from(4 + data.len()).unwrap_or(u16::MAX);
    let mut bytes = Vec::new();
    bytes.extend(length.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(data);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// The number of a family, in what the kernel says of it.
fn family_in(answer: &[u8]) -> Option<u16> {
    let mut rest = answer.get(HEADERS..)?;
    loop {
        let (length, kind) = (number(rest, 0)?, number(rest, 2)?);
        if kind == FAMILY_ID {
            return number(rest, 4);
        }
        rest = rest.get(usize::from(length).max(4).next_multiple_of(4)..)?;
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at + 2)?;
    Some(u16::from_ne_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_and_found() {
        assert_eq!(attribute(0x0101, b"abc").len(), 8);
        let answer =
            [vec![0; HEADERS], attribute(FAMILY_NAME, NAME), attribute(FAMILY_ID, &[7, 7])];
        assert_eq!(family_in(&answer.concat()), Some(0x0707));
        for short in [&[][..], &[0; HEADERS], &[0; HEADERS + 9]] {
            assert_eq!(family_in(short), None);
        }
    }
}
