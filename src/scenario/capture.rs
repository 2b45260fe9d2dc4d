//! Captures to replay: the IP packets of a pcap or pcapng file, with their distances in time.
//!
//! ```text
//!  bytes ──► classic | ng ──► link ──► Capture { packets, skipped, late, untimed }
//!            records, times   frame to IP packet
//! ```
//!
//! Holds the reader, which is a function of the bytes, and [`load`], which gets them from a file.
//! Refuses to judge packets: what is malformed as IP is replayed as it is, so that the emulated
//! network can say so. Refuses to lose any: each record is a packet or counted in
//! [`Capture::skipped`]. The writer is `report::pcapng`.

mod classic;
mod cursor;
mod link;
mod ng;

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read};
use std::path::Path;

use bytes::Bytes;
use thiserror::Error;

use crate::base::limit;
use crate::base::time::Span;

/// What a capture file has to replay.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Capture {
    /// The IP packets, in the order of the file; at most [`limit::REPLAY_PACKETS_MAX`].
    pub packets: Vec<Packet>,
    /// The records that are no such packet, by cause.
    pub skipped: BTreeMap<Skip, u64>,
    /// Packets whose timestamp lies before an earlier packet's. They keep their place and are due
    /// at the same moment as the packet before.
    pub late: u64,
    /// Packets that have no timestamp (simple packet blocks), due with the packet before.
    pub untimed: u64,
}

/// One packet of a capture.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Packet {
    /// When it was captured, counted from the first packet of [`Capture::packets`]; never less
    /// than the packet before, at most [`limit::RUN_SPAN_MAX`].
    pub since_first: Span,
    /// The packet from its IP header on; shares the file's memory.
    pub bytes: Bytes,
}

/// Why a record of a capture is not replayed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Skip {
    /// The link layer of its interface is not one that is read.
    LinkType(LinkType),
    /// The frame carries another protocol than IP, such as ARP, or is tagged more than twice.
    EtherType(u16),
    /// The frame carries something that has no EtherType and is not IP.
    NotIp,
    /// The frame ends within its link-layer header.
    ShortFrame,
    /// The capture holds only the beginning of the packet (a snapshot length was set).
    CutShort,
    /// Longer than [`limit::PACKET_BYTES_MAX`], as happens with segmentation offload.
    TooLong,
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Skip::LinkType(LinkType(n)) => write!(f, "link type {n} is not read"),
            Skip::EtherType(n) => write!(f, "EtherType 0x{n:04x} is not IP"),
            Skip::NotIp => f.write_str("not IP"),
            Skip::ShortFrame => f.write_str("ends within its link-layer header"),
            Skip::CutShort => f.write_str("only its beginning was captured"),
            Skip::TooLong => write!(f, "longer than {} bytes", limit::PACKET_BYTES_MAX),
        }
    }
}

/// A link-layer header type (tcpdump.org's list), for example 1 for Ethernet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LinkType(pub u16);

/// Bytes that are not a capture, or not a whole one.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("byte {offset} of the capture: {wrong}")]
pub struct Malformed {
    /// Where the thing begins that is wrong, from the start of the file.
    pub offset: u64,
    /// What was expected there.
    pub wrong: Wrong,
}

/// What a capture has where something else was expected.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Wrong {
    /// Neither format begins like this.
    #[error("want the magic number of a pcap or pcapng file")]
    Magic,
    /// A section's byte-order magic reads neither way.
    #[error("want the byte-order magic of a pcapng section")]
    ByteOrder,
    /// A version whose layout is unknown.
    #[error("version {major}.{minor} of {format} is not read (want {want})")]
    Version {
        /// `pcap` or `pcapng`.
        format: &'static str,
        /// The number before the dot.
        major: u16,
        /// The number after the dot.
        minor: u16,
        /// What is read.
        want: &'static str,
    },
    /// The file or the block ends too early.
    #[error("want {want} bytes of {what}, {left} are left")]
    Truncated {
        /// What begins here.
        what: &'static str,
        /// Its length in bytes.
        want: u64,
        /// What is there of it.
        left: u64,
    },
    /// A block's length is impossible.
    #[error("a block says it has {length} bytes (want a multiple of 4, at least 12)")]
    BlockLength {
        /// What it says.
        length: u32,
    },
    /// A block's two lengths differ.
    #[error("a block ends with length {trailing}, but began with {leading}")]
    BlockLengthsDiffer {
        /// The length in front.
        leading: u32,
        /// The length at the end.
        trailing: u32,
    },
    /// An option of a fixed length has another.
    #[error("option `{option}` has {length} bytes (want {want})")]
    OptionLength {
        /// The option's name in the specification.
        option: &'static str,
        /// The length it has.
        length: u16,
        /// The length it should have.
        want: u16,
    },
    /// A packet names an interface that nothing has described.
    #[error("a packet of interface {interface}, but the section describes {described} before it")]
    Interface {
        /// The number it names.
        interface: u32,
        /// How many there are; numbers begin with 0.
        described: usize,
    },
    /// More packets than one replay may have.
    #[error("more than {max} packets")]
    TooManyPackets {
        /// The limit.
        max: usize,
    },
    /// A packet that no run would live to see.
    #[error("a packet later than {max} after the first")]
    TooLate {
        /// The limit.
        max: Span,
    },
}

/// Why a capture file cannot be replayed.
#[derive(Debug, Error)]
pub enum Error {
    /// The file cannot be opened or read.
    #[error("cannot read the capture: {0}")]
    Io(#[from] io::Error),
    /// A directory, a pipe or a device.
    #[error("the capture is not a regular file")]
    NotAFile,
    /// More bytes than one replay may have; nothing was read.
    #[error("the capture has {bytes} bytes, more than the limit of {max}")]
    TooLarge {
        /// The file's length.
        bytes: u64,
        /// The limit.
        max: u64,
    },
    /// The file is no capture, or a damaged one.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

/// Reads the capture file at `path`. The caller decides which paths may be read.
///
/// # Errors
/// Each variant of [`enum@Error`]; the length is checked against [`limit::REPLAY_BYTES_MAX`] before
/// anything is read.
pub fn load(path: &Path) -> Result<Capture, Error> {
    const MAX: u64 = limit::REPLAY_BYTES_MAX;
    // Asked before opening, because opening a pipe waits for its writer.
    let about = std::fs::metadata(path)?;
    if !about.is_file() {
        return Err(Error::NotAFile);
    }
    let too_large = |bytes| Error::TooLarge { bytes, max: MAX };
    if about.len() > MAX {
        return Err(too_large(about.len()));
    }
    let mut bytes = Vec::new();
    // The file may have grown since; one byte past the limit tells.
    std::fs::File::open(path)?.take(MAX + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 {
        read if read > MAX => Err(too_large(read)),
        _ => Ok(parse(&Bytes::from(bytes))?),
    }
}

/// Reads a capture from its bytes: pcap 2.4 (micro- or nanoseconds) or pcapng 1.x, in either byte
/// order.
///
/// Cost: linear; packets share the memory of `file`.
///
/// # Errors
/// [`Malformed`] with the place. A file that ends within a record is an error and not a shorter
/// capture, since a replay that silently lacks its end would prove nothing.
pub fn parse(file: &Bytes) -> Result<Capture, Malformed> {
    let mut collector = Collector { file, first: None, capture: Capture::default() };
    if ng::is_pcapng(file) {
        ng::read(file, &mut collector)?;
    } else {
        classic::read(file, &mut collector)?;
    }
    Ok(collector.capture)
}

/// Nanoseconds since 1970; signed and wide, so that no timestamp of either format overflows.
type UnixNanos = i128;

/// One record of either format.
struct Record<'a> {
    /// Where it begins in the file.
    offset: usize,
    link: LinkType,
    time: Option<UnixNanos>,
    captured: &'a [u8],
    /// The frame's length on the wire.
    original: u32,
}

/// Turns records into packets, or counts them.
struct Collector<'f> {
    file: &'f Bytes,
    /// The time of the first packet that has one.
    first: Option<UnixNanos>,
    capture: Capture,
}

impl Collector<'_> {
    fn record(&mut self, record: &Record<'_>) -> Result<(), Malformed> {
        let malformed = |wrong| Malformed { offset: record.offset as u64, wrong };
        let packet = match link::ip_packet(record.link, record.captured, record.original) {
            Ok(packet) => packet,
            Err(cause) => {
                *self.capture.skipped.entry(cause).or_default() += 1;
                return Ok(());
            }
        };
        if self.capture.packets.len() >= limit::REPLAY_PACKETS_MAX {
            return Err(malformed(Wrong::TooManyPackets { max: limit::REPLAY_PACKETS_MAX }));
        }
        let since_first = self
            .due(record.time)
            .ok_or_else(|| malformed(Wrong::TooLate { max: limit::RUN_SPAN_MAX }))?;
        let bytes = self.file.slice_ref(packet);
        self.capture.packets.push(Packet { since_first, bytes });
        Ok(())
    }

    /// When a packet with timestamp `time` is due; `None` past the longest run.
    fn due(&mut self, time: Option<UnixNanos>) -> Option<Span> {
        let before = self.capture.packets.last().map_or(Span::ZERO, |packet| packet.since_first);
        let Some(time) = time else {
            self.capture.untimed += 1;
            return Some(before);
        };
        let since_first = time - *self.first.get_or_insert(time);
        if since_first < UnixNanos::from(before.as_nanos()) {
            self.capture.late += 1;
            return Some(before);
        }
        let nanos = u64::try_from(since_first).ok()?;
        (nanos <= limit::RUN_SPAN_MAX.as_nanos()).then(|| Span::from_nanos(nanos))
    }
}

#[cfg(test)]
mod tests;
