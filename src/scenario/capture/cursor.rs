//! A place in a capture file that only moves over bytes that are there.
//!
//! Holds checked reads in either byte order. Refuses to know either format. Whatever is missing
//! becomes an error with the offset in the *file*, also from within a block.

use super::{Malformed, Wrong};

/// Which end of a number comes first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Order {
    Little,
    Big,
}

/// The bytes of `file` from a place to an end.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'a> {
    /// From the start of the file to where this cursor may not go.
    file: &'a [u8],
    at: usize,
    pub(super) order: Order,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(file: &'a [u8], order: Order) -> Cursor<'a> {
        Cursor { file, at: 0, order }
    }

    /// Bytes from the start of the file to here.
    pub(super) fn offset(&self) -> usize {
        self.at
    }

    pub(super) fn left(&self) -> usize {
        self.file.len() - self.at
    }

    /// The next `n` bytes; `what` names them in the error.
    pub(super) fn take(&mut self, n: usize, what: &'static str) -> Result<&'a [u8], Malformed> {
        let left = self.left();
        if n > left {
            let wrong = Wrong::Truncated { what, want: n as u64, left: left as u64 };
            return Err(Malformed { offset: self.at as u64, wrong });
        }
        let bytes = &self.file[self.at..self.at + n];
        self.at += n;
        Ok(bytes)
    }

    /// A cursor over the next `n` bytes, which this one passes.
    pub(super) fn within(&mut self, n: usize, what: &'static str) -> Result<Cursor<'a>, Malformed> {
        let at = self.at;
        self.take(n, what)?;
        Ok(Cursor { file: &self.file[..self.at], at, order: self.order })
    }

    pub(super) fn u16(&mut self, what: &'static str) -> Result<u16, Malformed> {
        Ok(match self.order {
            Order::Little => u16::from_le_bytes(self.array(what)?),
            Order::Big => u16::from_be_bytes(self.array(what)?),
        })
    }

    pub(super) fn u32(&mut self, what: &'static str) -> Result<u32, Malformed> {
        Ok(match self.order {
            Order::Little => u32::from_le_bytes(self.array(what)?),
            Order::Big => u32::from_be_bytes(self.array(what)?),
        })
    }

    pub(super) fn i64(&mut self, what: &'static str) -> Result<i64, Malformed> {
        Ok(match self.order {
            Order::Little => i64::from_le_bytes(self.array(what)?),
            Order::Big => i64::from_be_bytes(self.array(what)?),
        })
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], Malformed> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N, what)?);
        Ok(bytes)
    }
}
