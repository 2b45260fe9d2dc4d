//! The bytes of a row: several entries one behind another, each with its length and a checksum that
//! covers its position, so that neither damage nor a row in another's place passes.
//!
//! ```text
//! row    count:u32 entry*        entry  length:u32 checksum:u32 byte*       all little-endian
//! ```
//! Refuses to know where rows are kept.

use super::Position;
use super::error::{JournalError, Part};

/// Bytes in front of the entries of a row.
const ROW_HEAD: usize = 4;
/// Bytes in front of an entry.
const ENTRY_HEAD: usize = 8;

/// Rows of consecutive entries, the first of which has position `first`. Each row has at least one
/// entry, and is not longer than `bytes_max` if it has two.
pub(super) fn rows(
    first: Position,
    entries: &[Vec<u8>],
    bytes_max: usize,
) -> impl Iterator<Item = (Position, Vec<u8>)> {
    let mut at = first;
    let mut rest = entries;
    std::iter::from_fn(move || {
        let (row, taken) = pack(at, rest, bytes_max)?;
        let key = at;
        at = at.later(taken as u64);
        rest = &rest[taken..];
        Some((key, row))
    })
}

/// The row of as many of the entries as fit, and how many these are. `None` without entries.
fn pack(first: Position, entries: &[Vec<u8>], bytes_max: usize) -> Option<(Vec<u8>, usize)> {
    let mut bytes = ROW_HEAD;
    let mut count = 0_u32;
    for entry in entries {
        bytes = bytes.saturating_add(ENTRY_HEAD).saturating_add(entry.len());
        if count > 0 && bytes > bytes_max {
            break;
        }
        count += 1;
    }
    let taken = count as usize;
    let mut row = Vec::with_capacity(bytes.min(bytes_max));
    row.extend_from_slice(&count.to_le_bytes());
    for (at, entry) in (first.0..).zip(&entries[..taken]) {
        // Longer ones are refused by the database, which takes no value of 4 GiB.
        let length = u32::try_from(entry.len()).unwrap_or(u32::MAX);
        row.extend_from_slice(&length.to_le_bytes());
        row.extend_from_slice(&checksum(at, entry).to_le_bytes());
        row.extend_from_slice(entry);
    }
    (taken > 0).then_some((row, taken))
}

/// The entries of a row with their positions. Ends with the first that is damaged.
pub(super) fn entries(
    key: Position,
    row: &[u8],
) -> impl Iterator<Item = Result<(Position, &[u8]), JournalError>> {
    let mut rest = row;
    let mut left = take_u32(&mut rest).filter(|count| *count > 0);
    let mut at = key;
    let damaged = |position, why| JournalError::Damaged { part: Part::Entry, position, why };
    // A row without a count is one damaged entry.
    let mut end = left.is_none().then(|| damaged(key, "its row is cut"));
    std::iter::from_fn(move || {
        if let Some(error) = end.take() {
            left = None;
            return Some(Err(error));
        }
        let more = left?;
        if more == 0 {
            left = None;
            return (!rest.is_empty())
                .then(|| Err(damaged(at, "its row holds more than it should")));
        }
        let entry = take_entry(&mut rest);
        let position = at;
        at = at.later(1);
        left = Some(more - 1);
        let error = match entry {
            None => damaged(position, "its row is cut"),
            Some((sum, bytes)) if checksum(position.0, bytes) != sum => {
                damaged(position, "its checksum differs")
            }
            Some((_, bytes)) => return Some(Ok((position, bytes))),
        };
        left = None;
        Some(Err(error))
    })
}

fn take_entry<'a>(rest: &mut &'a [u8]) -> Option<(u32, &'a [u8])> {
    let length = take_u32(rest)?;
    let sum = take_u32(rest)?;
    let (bytes, after) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    *rest = after;
    Some((sum, bytes))
}

fn take_u32(rest: &mut &[u8]) -> Option<u32> {
    let (bytes, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(u32::from_le_bytes(*bytes))
}

/// CRC-32 (that of Ethernet, reflected 0x04c11db7) over a number and bytes.
pub(super) fn checksum(number: u64, bytes: &[u8]) -> u32 {
    !crc(crc(!0, &number.to_le_bytes()), bytes)
}

/// Eight bytes at a time: `TABLES[k]` is the effect of a byte with `k` more behind it.
fn crc(mut sum: u32, bytes: &[u8]) -> u32 {
    let (words, tail) = bytes.as_chunks::<8>();
    for word in words {
        let word = u64::from_le_bytes(*word) ^ u64::from(sum);
        let [a, b, c, d, e, f, g, h] = word.to_le_bytes();
        sum = TABLES[7][usize::from(a)]
            ^ TABLES[6][usize::from(b)]
            ^ TABLES[5][usize::from(c)]
            ^ TABLES[4][usize::from(d)]
            ^ TABLES[3][usize::from(e)]
            ^ TABLES[2][usize::from(f)]
            ^ TABLES[1][usize::from(g)]
            ^ TABLES[0][usize::from(h)];
    }
    for byte in tail {
        let [low, ..] = sum.to_le_bytes();
        sum = TABLES[0][usize::from(low ^ byte)] ^ (sum >> 8);
    }
    sum
}

static TABLES: [[u32; 256]; 8] = tables();

const fn tables() -> [[u32; 256]; 8] {
    let mut out = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        #[allow(clippy::cast_possible_truncation, reason = "below 256")]
        let mut sum = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            sum = if sum & 1 == 1 { 0xedb8_8320 ^ (sum >> 1) } else { sum >> 1 };
            bit += 1;
        }
        out[0][byte] = sum;
        byte += 1;
    }
    let mut k = 1;
    while k < 8 {
        let mut byte = 0;
        while byte < 256 {
            let before = out[k - 1][byte];
            out[k][byte] = out[0][(before & 0xff) as usize] ^ (before >> 8);
            byte += 1;
        }
        k += 1;
    }
    out
}
