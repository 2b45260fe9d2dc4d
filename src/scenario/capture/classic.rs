//! The records of a classic pcap file (draft-ietf-opsawg-pcap).
//!
//! Holds the layout: a header of 24 bytes, then records of 16 bytes and their data, all in the byte
//! order of the magic number. Refuses versions other than 2.4, in which two fields trade places.

use super::cursor::{Cursor, Order};
use super::{Collector, LinkType, Malformed, Record, UnixNanos, Wrong};

/// Seconds and microseconds.
const MAGIC_MICROS: u32 = 0xa1b2_c3d4;
/// Seconds and nanoseconds.
const MAGIC_NANOS: u32 = 0xa1b2_3c4d;

const RECORD_HEADER_BYTES: usize = 16;

/// Feeds every record of `file` to `collector`.
pub(super) fn read(file: &[u8], collector: &mut Collector<'_>) -> Result<(), Malformed> {
    let mut cursor = Cursor::new(file, Order::Little);
    let (order, fraction_nanos) = units_of(cursor.u32("a magic number")?)
        .ok_or(Malformed { offset: 0, wrong: Wrong::Magic })?;
    cursor.order = order;
    let offset = cursor.offset() as u64;
    let (major, minor) = (cursor.u16("a version")?, cursor.u16("a version")?);
    if (major, minor) != (2, 4) {
        let wrong = Wrong::Version { format: "pcap", major, minor, want: "2.4" };
        return Err(Malformed { offset, wrong });
    }
    // Two reserved fields and the snapshot length, which each record's own lengths make redundant.
    cursor.take(12, "a file header")?;
    // Above the low 16 bits stand notes on frame check sequences, which lie behind the IP packet.
    let [.., high, low] = cursor.u32("a link type")?.to_be_bytes();
    let link = LinkType(u16::from_be_bytes([high, low]));

    while cursor.left() > 0 {
        let offset = cursor.offset();
        let mut header = cursor.within(RECORD_HEADER_BYTES, "a record's header")?;
        let what = "a record's header";
        let seconds = UnixNanos::from(header.u32(what)?);
        let fraction = UnixNanos::from(header.u32(what)?);
        let (captured, original) = (header.u32(what)?, header.u32(what)?);
        let captured = cursor.take(captured as usize, "a record's data")?;
        let time = Some(seconds * 1_000_000_000 + fraction * fraction_nanos);
        collector.record(&Record { offset, link, time, captured, original })?;
    }
    Ok(())
}

/// Byte order and nanoseconds per unit of the fraction, from a magic number read little-endian.
fn units_of(magic: u32) -> Option<(Order, UnixNanos)> {
    let orders = [(magic, Order::Little), (magic.swap_bytes(), Order::Big)];
    orders.into_iter().find_map(|(magic, order)| match magic {
        MAGIC_MICROS => Some((order, 1_000)),
        MAGIC_NANOS => Some((order, 1)),
        _ => None,
    })
}
