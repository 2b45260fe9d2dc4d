//! A TCP segment with another acknowledgement number.
//!
//! Holds that one change. Refuses to judge the number.

use bytes::Bytes;

use super::{Packet, TcpSegment};

/// `segment` with `number` in the field for acknowledgements, and a checksum that is as right as
/// before (RFC 1624, 3). `None` if it is no TCP. Costs one copy, and no look at the data.
pub fn acknowledging(segment: &Packet, number: u32) -> Option<Packet> {
    let TcpSegment { acknowledgement: old, .. } = segment.tcp()?;
    let at = segment.transport_offset();
    let mut bytes = segment.bytes().to_vec();
    let field: &mut [u8; 4] = bytes.get_mut(at + 8..)?.first_chunk_mut()?;
    *field = number.to_be_bytes();
    let checksum: &mut [u8; 2] = bytes.get_mut(at + 16..)?.first_chunk_mut()?;
    // The sum of what is replaced goes out, that of what replaces it comes in.
    let words = |number: u32| (number >> 16) + (number & 0xffff);
    let mut sum = u32::from(!u16::from_be_bytes(*checksum)) + words(!old) + words(number);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let [.., high, low] = (!sum).to_be_bytes();
    *checksum = [high, low];
    Packet::parse(Bytes::from(bytes)).ok()
}
