//! The packets of a pcapng file (draft-ietf-opsawg-pcapng).
//!
//! Holds the layout of the blocks that describe sections and interfaces and of those that hold
//! packets. Passes over all other blocks, as the draft asks. Each section may have its own byte
//! order and numbers its interfaces from 0.

use super::cursor::{Cursor, Order};
use super::{Collector, LinkType, Malformed, Record, UnixNanos, Wrong};

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
/// Obsolete, but old files have it.
const PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;

const OPT_END: u16 = 0;
const IF_TIMESTAMP_RESOLUTION: u16 = 9;
const IF_TIMESTAMP_OFFSET: u16 = 14;

/// Type, length, and length again.
const BLOCK_FRAME_BYTES: u32 = 12;

/// Does the file begin with a section header, whose type reads the same in either byte order?
pub(super) fn is_pcapng(file: &[u8]) -> bool {
    file.starts_with(&SECTION_HEADER.to_le_bytes())
}

/// What packets need to know of their interface: 24 bytes, against at least 20 of its block, so
/// that the limit on the file bounds the table too.
struct Interface {
    link: LinkType,
    /// Bytes kept of each packet; 0 if all.
    snap_length: u32,
    clock: Clock,
}

/// How an interface's timestamps are to be read.
#[derive(Clone, Copy)]
struct Clock {
    resolution: Resolution,
    offset_seconds: i64,
}

/// The length of one unit: 10 or 2 to the power of minus this many, in seconds.
#[derive(Clone, Copy)]
enum Resolution {
    Decimal(u8),
    Binary(u8),
}

impl Clock {
    /// What holds if the options are silent: microseconds since 1970.
    const DEFAULT: Clock = Clock { resolution: Resolution::Decimal(6), offset_seconds: 0 };

    /// Nanoseconds since 1970, rounded down. Neither product reaches 2^127.
    fn unix_nanos(self, units: u64) -> UnixNanos {
        let units = UnixNanos::from(units);
        let nanos = match self.resolution {
            Resolution::Decimal(n) if n <= 9 => units * ten_to(9 - n),
            // No 64-bit number has more than 20 digits.
            Resolution::Decimal(n) => units / ten_to((n - 9).min(20)),
            Resolution::Binary(n) => (units * 1_000_000_000) >> n.min(126),
        };
        nanos + UnixNanos::from(self.offset_seconds) * 1_000_000_000
    }
}

fn ten_to(n: u8) -> UnixNanos {
    (0..n).fold(1, |power, _| power * 10)
}

/// Feeds every packet of `file` to `collector`.
pub(super) fn read(file: &[u8], collector: &mut Collector<'_>) -> Result<(), Malformed> {
    let mut cursor = Cursor::new(file, Order::Little);
    let mut interfaces = Vec::new();
    while cursor.left() > 0 {
        let offset = cursor.offset();
        let kind = cursor.u32("a block's type")?;
        if kind == SECTION_HEADER {
            cursor.order = byte_order(&cursor)?;
            interfaces.clear();
        }
        let mut body = body_of_block(&mut cursor)?;
        match kind {
            SECTION_HEADER => check_version(&mut body)?,
            INTERFACE_DESCRIPTION => interfaces.push(interface(&mut body)?),
            ENHANCED_PACKET | PACKET => {
                let number = match kind {
                    ENHANCED_PACKET => body.u32("an interface's number")?,
                    // The obsolete block has 16 bits for it and 16 for a count of losses.
                    _ => u32::from(body.u16("an interface's number")?),
                };
                if kind == PACKET {
                    body.u16("a count of drops")?;
                }
                let interface = described(&interfaces, number, offset)?;
                let what = "a packet's header";
                let (high, low) = (body.u32(what)?, body.u32(what)?);
                let (captured, original) = (body.u32(what)?, body.u32(what)?);
                let units = u64::from(high) << 32 | u64::from(low);
                collector.record(&Record {
                    offset,
                    link: interface.link,
                    time: Some(interface.clock.unix_nanos(units)),
                    captured: body.take(captured as usize, "a packet's data")?,
                    original,
                })?;
            }
            SIMPLE_PACKET => {
                let interface = described(&interfaces, 0, offset)?;
                let original = body.u32("a packet's header")?;
                // The captured length is not stated: it is what the snapshot length left.
                let captured = match interface.snap_length {
                    0 => original,
                    snap_length => original.min(snap_length),
                };
                collector.record(&Record {
                    offset,
                    link: interface.link,
                    time: None,
                    captured: body.take(captured as usize, "a packet's data")?,
                    original,
                })?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// The byte order of the section whose header begins with the type just read.
fn byte_order(after_type: &Cursor<'_>) -> Result<Order, Malformed> {
    let mut ahead = after_type.clone();
    ahead.order = Order::Little;
    ahead.take(4, "a block's length")?;
    let offset = ahead.offset() as u64;
    match ahead.u32("a byte-order magic")? {
        BYTE_ORDER_MAGIC => Ok(Order::Little),
        magic if magic.swap_bytes() == BYTE_ORDER_MAGIC => Ok(Order::Big),
        _ => Err(Malformed { offset, wrong: Wrong::ByteOrder }),
    }
}

/// Passes the rest of a block, from its first length to its second, and gives what is between.
fn body_of_block<'a>(cursor: &mut Cursor<'a>) -> Result<Cursor<'a>, Malformed> {
    let offset = cursor.offset() as u64;
    let length = cursor.u32("a block's length")?;
    if length < BLOCK_FRAME_BYTES || !length.is_multiple_of(4) {
        return Err(Malformed { offset, wrong: Wrong::BlockLength { length } });
    }
    let body = cursor.within((length - BLOCK_FRAME_BYTES) as usize, "a block's body")?;
    let offset = cursor.offset() as u64;
    let trailing = cursor.u32("a block's second length")?;
    if trailing != length {
        let wrong = Wrong::BlockLengthsDiffer { leading: length, trailing };
        return Err(Malformed { offset, wrong });
    }
    Ok(body)
}

fn check_version(body: &mut Cursor<'_>) -> Result<(), Malformed> {
    body.u32("a byte-order magic")?;
    let offset = body.offset() as u64;
    let (major, minor) = (body.u16("a version")?, body.u16("a version")?);
    if major == 1 {
        return Ok(());
    }
    Err(Malformed { offset, wrong: Wrong::Version { format: "pcapng", major, minor, want: "1.x" } })
}

fn interface(body: &mut Cursor<'_>) -> Result<Interface, Malformed> {
    let what = "an interface's description";
    let link = LinkType(body.u16(what)?);
    body.u16(what)?;
    let snap_length = body.u32(what)?;
    let mut clock = Clock::DEFAULT;
    // A block may end without the mark that ends its options (draft, section 3.5).
    while body.left() > 0 {
        let offset = body.offset() as u64;
        let (code, length) = (body.u16("an option")?, body.u16("an option's length")?);
        let mut value = body.within(usize::from(length).next_multiple_of(4), "an option")?;
        let expect_length = |option, want| {
            let wrong = Wrong::OptionLength { option, length, want };
            if length == want { Ok(()) } else { Err(Malformed { offset, wrong }) }
        };
        match code {
            OPT_END => break,
            IF_TIMESTAMP_RESOLUTION => {
                expect_length("if_tsresol", 1)?;
                // The highest bit chooses the base, the others are the exponent.
                clock.resolution = match value.take(1, "an option")? {
                    [n] if n & 0x80 == 0 => Resolution::Decimal(*n),
                    bits => Resolution::Binary(bits.first().map_or(0, |n| n & 0x7f)),
                };
            }
            IF_TIMESTAMP_OFFSET => {
                expect_length("if_tsoffset", 8)?;
                clock.offset_seconds = value.i64("an option")?;
            }
            _ => {}
        }
    }
    Ok(Interface { link, snap_length, clock })
}

fn described(
    interfaces: &[Interface],
    number: u32,
    offset: usize,
) -> Result<&Interface, Malformed> {
    interfaces.get(number as usize).ok_or(Malformed {
        offset: offset as u64,
        wrong: Wrong::Interface { interface: number, described: interfaces.len() },
    })
}
