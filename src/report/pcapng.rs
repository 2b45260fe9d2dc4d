//! Capture files in pcapng (draft-ietf-opsawg-pcapng), written block by block.
//!
//! ```text
//!  section header │ interface 0 │ interface 1 │ packet │ packet │ interface 2 │ packet │ ...
//!                   name, description, ns       interface, time, direction, bytes, comment
//! ```
//!
//! Holds the writer and nothing else: it reads no clock, opens no file, and the same calls give the
//! same bytes on every machine (always little-endian). Refuses to hold link layers: packets are
//! `LINKTYPE_RAW`, which begins with the IP header. The reader is `scenario::capture`.

use std::io;

use thiserror::Error;

use crate::base::limit;
use crate::base::time::Instant;

/// Block types (draft, section 11.1).
const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const ENHANCED_PACKET: u32 = 6;

/// Option codes: common to all blocks, of the section header, of interfaces, of packets (draft,
/// sections 3.5, 4.1, 4.2, 4.3).
const OPT_END: u16 = 0;
const OPT_COMMENT: u16 = 1;
const SHB_USER_APPLICATION: u16 = 4;
const IF_NAME: u16 = 2;
const IF_DESCRIPTION: u16 = 3;
const IF_TIMESTAMP_RESOLUTION: u16 = 9;
const EPB_FLAGS: u16 = 2;

/// The packet begins with its IPv4 or IPv6 header (tcpdump.org, link-layer header types).
const LINKTYPE_RAW: u16 = 101;
/// Timestamps count units of 10^-9 s.
const NANOSECONDS: u8 = 9;
/// What a program prints that finds another byte order than its own.
const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;
/// The section's length is not stated in advance, so that the writer needs no seek.
const SECTION_LENGTH_UNKNOWN: u64 = u64::MAX;

/// Blocks are collected up to this many bytes before the sink sees them: one call per some hundred
/// packets. No bound on the input, hence not in [`limit`].
const PENDING_BYTES: usize = 64 << 10;

const APPLICATION: &str = concat!("vpclab ", env!("CARGO_PKG_VERSION"));

/// The calendar moment at which virtual time starts, in nanoseconds since 1970-01-01T00:00:00Z.
///
/// At most [`CalendarStart::LATEST`] (in the year 2454), so that every moment of the longest run
/// fits a capture's 64-bit time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct CalendarStart(u64);

impl CalendarStart {
    /// The latest start: [`limit::RUN_SPAN_MAX`] before 2^64 ns.
    pub const LATEST: CalendarStart = CalendarStart(u64::MAX - limit::RUN_SPAN_MAX.as_nanos());

    /// The start at `nanos` after 1970; `None` past [`CalendarStart::LATEST`].
    pub const fn from_unix_nanos(nanos: u64) -> Option<CalendarStart> {
        if nanos <= Self::LATEST.0 { Some(CalendarStart(nanos)) } else { None }
    }

    /// The start at `seconds` after 1970; `None` before 1970 or past [`CalendarStart::LATEST`].
    pub fn from_unix_seconds(seconds: i64) -> Option<CalendarStart> {
        let nanos = u64::try_from(seconds).ok()?.checked_mul(1_000_000_000)?;
        CalendarStart::from_unix_nanos(nanos)
    }

    /// Nanoseconds from 1970 to `at`; saturates past the longest run, where no packet is.
    pub const fn unix_nanos_at(self, at: Instant) -> u64 {
        self.0.saturating_add(at.as_nanos())
    }
}

/// An interface of one capture file, handed out by [`Writer::add_interface`] of that file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct InterfaceNumber(u32);

/// Which way a packet passes its interface, seen from the instance that owns the interface.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Direction {
    /// The network delivers it to the instance.
    Inbound,
    /// The instance sends it.
    Outbound,
}

impl Direction {
    /// Bits 0 and 1 of the flags word (draft, section 4.3.1).
    const fn flags(self) -> u32 {
        match self {
            Direction::Inbound => 1,
            Direction::Outbound => 2,
        }
    }
}

/// One packet as seen at one interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Packet<'a> {
    /// Where it was seen.
    pub interface: InterfaceNumber,
    /// When it was seen.
    pub at: Instant,
    /// Which way it went.
    pub direction: Direction,
    /// The packet from its IP header on. Malformed ones are kept as they are; only bytes past
    /// [`limit::PACKET_BYTES_MAX`] are cut, and the original length says so.
    pub bytes: &'a [u8],
    /// What a reader should know, such as the reason of a drop. Cut at
    /// [`limit::CAPTURE_COMMENT_BYTES_MAX`] with a final `…`; an empty one is not written.
    pub comment: Option<&'a str>,
}

/// What became of a packet that was handed to the writer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Recorded {
    /// It is in the file (or on its way there until [`Writer::finish`]).
    Written,
    /// The file is full: it is counted in [`Tally::left_out`].
    LeftOut,
}

/// What a capture file holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// Packets in the file.
    pub packets: u64,
    /// Packets that came when the file was full. No packet after the first of them is in the file:
    /// it is a gapless beginning, never a selection.
    pub left_out: u64,
    /// Bytes of the file.
    pub bytes: u64,
}

/// Why a capture cannot go on.
#[derive(Debug, Error)]
pub enum Error {
    /// The sink refused bytes. What it took ends with a whole block at `whole_bytes`; whoever owns
    /// the file should cut it there.
    #[error("cannot write the capture past its first {whole_bytes} bytes: {source}")]
    Sink {
        /// Bytes up to and including the last block that the sink took whole.
        whole_bytes: u64,
        /// What the sink said.
        source: io::Error,
    },
    /// An earlier call failed with [`Error::Sink`]; nothing is written any more.
    #[error("an earlier write to this capture failed")]
    Stopped,
    /// The limit leaves no room for a header or an interface.
    #[error("a capture limited to {limit} bytes has no room for its interfaces")]
    NoRoom {
        /// The limit of this file.
        limit: u64,
    },
    /// The number was handed out by the writer of another file.
    #[error("interface {} is not described in this capture", .0.0)]
    UnknownInterface(InterfaceNumber),
}

/// Writes one capture file to `W`.
///
/// Buffers by itself, so `W` can be a bare file. Call [`Writer::finish`]: a writer that is merely
/// dropped loses what it has not handed over yet. A packet costs a copy of its bytes; no call
/// allocates once the buffer has grown.
#[derive(Debug)]
#[must_use = "a capture is complete only after `finish`"]
pub struct Writer<W> {
    sink: W,
    start: CalendarStart,
    limit: u64,
    /// Whole blocks that the sink has not seen, at most `PENDING_BYTES` and one block.
    pending: Vec<u8>,
    /// Bytes that the sink has taken.
    handed_over: u64,
    interfaces: u32,
    packets: u64,
    left_out: u64,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Every packet so far is in the file.
    Open,
    /// One packet had no room, so no later one is written either.
    Full,
    /// The sink has failed.
    Stopped,
}

impl<W: io::Write> Writer<W> {
    /// Starts a file of at most [`limit::CAPTURE_BYTES_MAX`] bytes with its section header.
    pub fn new(sink: W, start: CalendarStart) -> Writer<W> {
        let mut writer = Writer::empty(sink, start, limit::CAPTURE_BYTES_MAX);
        writer.put_section_header();
        writer
    }

    /// Starts a file of at most `limit` bytes, itself cut to [`limit::CAPTURE_BYTES_MAX`].
    ///
    /// # Errors
    /// [`Error::NoRoom`] if not even the section header fits.
    pub fn with_limit(sink: W, start: CalendarStart, limit: u64) -> Result<Writer<W>, Error> {
        let mut writer = Writer::empty(sink, start, limit.min(limit::CAPTURE_BYTES_MAX));
        writer.put_section_header();
        if writer.bytes() > writer.limit {
            return Err(Error::NoRoom { limit: writer.limit });
        }
        Ok(writer)
    }

    fn empty(sink: W, start: CalendarStart, limit: u64) -> Writer<W> {
        Writer {
            sink,
            start,
            limit,
            pending: Vec::new(),
            handed_over: 0,
            interfaces: 0,
            packets: 0,
            left_out: 0,
            state: State::Open,
        }
    }

    /// Describes an interface; packets may name it from now on. Interfaces can be added between
    /// packets. Texts are cut at [`limit::CAPTURE_NAME_BYTES_MAX`]; an empty one is not written.
    ///
    /// # Errors
    /// [`Error::NoRoom`] if the description does not fit below the limit; [`Error::Sink`] and
    /// [`Error::Stopped`] as for [`Writer::write`].
    pub fn add_interface(
        &mut self,
        name: &str,
        description: &str,
    ) -> Result<InterfaceNumber, Error> {
        self.not_stopped()?;
        let number = InterfaceNumber(self.interfaces);
        let begin = self.pending.len();
        put_block(&mut self.pending, INTERFACE_DESCRIPTION, |out| {
            out.extend_from_slice(&LINKTYPE_RAW.to_le_bytes());
            out.extend_from_slice(&[0; 2]); // reserved
            out.extend_from_slice(&0_u32.to_le_bytes()); // no limit on the captured length
            put_text(out, IF_NAME, name, limit::CAPTURE_NAME_BYTES_MAX);
            put_text(out, IF_DESCRIPTION, description, limit::CAPTURE_NAME_BYTES_MAX);
            put_option(out, IF_TIMESTAMP_RESOLUTION, &[NANOSECONDS]);
            put_option(out, OPT_END, &[]);
        });
        if self.bytes() > self.limit {
            self.pending.truncate(begin);
            return Err(Error::NoRoom { limit: self.limit });
        }
        // Cannot wrap: 2^32 descriptions are larger than any limit.
        self.interfaces = self.interfaces.saturating_add(1);
        self.hand_over_when_due()?;
        Ok(number)
    }

    /// Writes one packet, or counts it if the file is full.
    ///
    /// # Errors
    /// [`Error::Sink`] if the sink fails, which may concern earlier packets too, since blocks are
    /// buffered; [`Error::Stopped`] ever after. [`Error::UnknownInterface`] for another file's
    /// interface.
    pub fn write(&mut self, packet: &Packet<'_>) -> Result<Recorded, Error> {
        self.not_stopped()?;
        if packet.interface.0 >= self.interfaces {
            return Err(Error::UnknownInterface(packet.interface));
        }
        if self.state == State::Full {
            self.left_out += 1;
            return Ok(Recorded::LeftOut);
        }
        let begin = self.pending.len();
        let time = self.start.unix_nanos_at(packet.at);
        let kept = &packet.bytes[..packet.bytes.len().min(limit::PACKET_BYTES_MAX)];
        put_block(&mut self.pending, ENHANCED_PACKET, |out| {
            out.extend_from_slice(&packet.interface.0.to_le_bytes());
            // The time is one 64-bit number whose high half comes first in either byte order.
            out.extend_from_slice(&high_half(time).to_le_bytes());
            out.extend_from_slice(&low_half(time).to_le_bytes());
            out.extend_from_slice(&length(kept).to_le_bytes());
            out.extend_from_slice(&length(packet.bytes).to_le_bytes());
            put_padded(out, kept);
            put_text(
                out,
                OPT_COMMENT,
                packet.comment.unwrap_or_default(),
                limit::CAPTURE_COMMENT_BYTES_MAX,
            );
            put_option(out, EPB_FLAGS, &packet.direction.flags().to_le_bytes());
            put_option(out, OPT_END, &[]);
        });
        if self.bytes() > self.limit {
            self.pending.truncate(begin);
            self.state = State::Full;
            self.left_out += 1;
            return Ok(Recorded::LeftOut);
        }
        self.packets += 1;
        self.hand_over_when_due()?;
        Ok(Recorded::Written)
    }

    /// What the file holds so far, buffered blocks included.
    pub fn tally(&self) -> Tally {
        Tally { packets: self.packets, left_out: self.left_out, bytes: self.bytes() }
    }

    /// Hands all that is collected to the sink, so that a reader sees it before the end.
    ///
    /// # Errors
    /// As [`Writer::finish`].
    pub fn write_early(&mut self) -> Result<(), Error> {
        self.not_stopped()?;
        self.hand_over()
    }

    /// Hands the rest to the sink, flushes it and gives it back.
    ///
    /// # Errors
    /// [`Error::Sink`] if the sink fails, [`Error::Stopped`] if it has failed before.
    pub fn finish(mut self) -> Result<(W, Tally), Error> {
        self.not_stopped()?;
        self.hand_over()?;
        let whole_bytes = self.handed_over;
        self.sink.flush().map_err(|source| Error::Sink { whole_bytes, source })?;
        let tally = self.tally();
        Ok((self.sink, tally))
    }

    fn not_stopped(&self) -> Result<(), Error> {
        if self.state == State::Stopped { Err(Error::Stopped) } else { Ok(()) }
    }

    /// Bytes of the file with all blocks that are pending.
    fn bytes(&self) -> u64 {
        self.handed_over + self.pending.len() as u64
    }

    fn put_section_header(&mut self) {
        put_block(&mut self.pending, SECTION_HEADER, |out| {
            out.extend_from_slice(&BYTE_ORDER_MAGIC.to_le_bytes());
            out.extend_from_slice(&1_u16.to_le_bytes()); // version 1.0
            out.extend_from_slice(&0_u16.to_le_bytes());
            out.extend_from_slice(&SECTION_LENGTH_UNKNOWN.to_le_bytes());
            put_text(out, SHB_USER_APPLICATION, APPLICATION, limit::CAPTURE_NAME_BYTES_MAX);
            put_option(out, OPT_END, &[]);
        });
    }

    fn hand_over_when_due(&mut self) -> Result<(), Error> {
        if self.pending.len() < PENDING_BYTES { Ok(()) } else { self.hand_over() }
    }

    /// Gives all pending blocks to the sink.
    ///
    /// `write` in a loop instead of `write_all`, because only so is it known how much a failing
    /// sink took, and with it where the last whole block ends.
    fn hand_over(&mut self) -> Result<(), Error> {
        let mut taken = 0;
        while taken < self.pending.len() {
            let source = match self.sink.write(&self.pending[taken..]) {
                Ok(0) => io::ErrorKind::WriteZero.into(),
                Ok(n) => {
                    // A sink that claims more than it was given is not believed.
                    taken = taken.saturating_add(n).min(self.pending.len());
                    continue;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => e,
            };
            self.state = State::Stopped;
            let whole_bytes = self.handed_over + whole_blocks(&self.pending, taken) as u64;
            return Err(Error::Sink { whole_bytes, source });
        }
        self.handed_over += taken as u64;
        self.pending.clear();
        Ok(())
    }
}

/// Length of the blocks at the beginning of `blocks` that end at or before `taken`.
fn whole_blocks(blocks: &[u8], taken: usize) -> usize {
    let mut end = 0;
    while let Some(field) = blocks.get(end + 4..end + 8).and_then(|f| f.first_chunk::<4>()) {
        let next = end + u32::from_le_bytes(*field) as usize;
        if next > taken {
            break;
        }
        end = next;
    }
    end
}

/// Appends one block: type, total length, body, total length again (draft, section 3.1). The body
/// must fill whole words of four bytes.
fn put_block(out: &mut Vec<u8>, kind: u32, body: impl FnOnce(&mut Vec<u8>)) {
    let begin = out.len();
    out.extend_from_slice(&kind.to_le_bytes());
    out.extend_from_slice(&[0; 4]); // the length, once it is known
    body(out);
    debug_assert!(out.len().is_multiple_of(4), "a block is made of whole words");
    let total = (length(&out[begin..]) + 4).to_le_bytes();
    out[begin + 4..begin + 8].copy_from_slice(&total);
    out.extend_from_slice(&total);
}

/// Appends one option (draft, section 3.5); `value` is at most 65,535 bytes by the limits.
fn put_option(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    out.extend_from_slice(&code.to_le_bytes());
    #[allow(clippy::cast_possible_truncation, reason = "texts are cut to a limit below 2^16")]
    out.extend_from_slice(&(value.len() as u16).to_le_bytes());
    put_padded(out, value);
}

/// Appends a text option unless it is empty; a text of more than `max` bytes is cut between two
/// characters and ends with `…`. NUL becomes U+FFFD, because readers take it for the end.
fn put_text(out: &mut Vec<u8>, code: u16, text: &str, max: usize) {
    const CUT: &str = "…";
    if text.is_empty() {
        return;
    }
    if text.contains('\0') {
        return put_text(out, code, &text.replace('\0', "\u{fffd}"), max);
    }
    if text.len() <= max {
        return put_option(out, code, text.as_bytes());
    }
    let room = max.saturating_sub(CUT.len());
    let end = (0..=room).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    put_option(out, code, [&text[..end], CUT].concat().as_bytes());
}

/// Appends `bytes` and zeros up to the next multiple of four.
fn put_padded(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(bytes);
    out.extend_from_slice(&[0; 3][..bytes.len().next_multiple_of(4) - bytes.len()]);
}

/// A length as the format's 32 bits; a longer packet than 4 GiB is said to have 4 GiB.
fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

#[allow(clippy::cast_possible_truncation, reason = "the high half of 64 bits has 32")]
const fn high_half(n: u64) -> u32 {
    (n >> 32) as u32
}

#[allow(clippy::cast_possible_truncation, reason = "the low half is what is wanted")]
const fn low_half(n: u64) -> u32 {
    n as u32
}

// An option states its length in 16 bits, and a block of one packet its length in 32.
const _: () = assert!(limit::CAPTURE_COMMENT_BYTES_MAX <= u16::MAX as usize);
const _: () = assert!(limit::CAPTURE_NAME_BYTES_MAX <= u16::MAX as usize);
const _: () = assert!(limit::CAPTURE_BYTES_MAX <= u32::MAX as u64);

#[cfg(test)]
mod tests;
