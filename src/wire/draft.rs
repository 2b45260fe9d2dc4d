//! A packet that is being written or changed, before it is one.
//!
//! Holds bytes, and what a change to some of them does to the checksums that cover them. Refuses to
//! know where the fields are. A place that is out of range is left alone: nothing here panics.

use bytes::Bytes;

use super::checksum::{Adjustment, Sum};

/// Bytes on their way to a packet.
pub(super) struct Draft(Vec<u8>);

impl Draft {
    /// Nothing yet, with room for `length` bytes.
    pub(super) fn with_capacity(length: usize) -> Draft {
        Draft(Vec::with_capacity(length))
    }

    /// The same bytes as `bytes`.
    pub(super) fn of(bytes: &[u8]) -> Draft {
        Draft(bytes.to_vec())
    }

    pub(super) fn append(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn read<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.0.get(at..)?.first_chunk().copied()
    }

    /// The bytes from `at` on become `new`. Returns what that does to a checksum over them, if they
    /// stand at an even offset of what it covers.
    pub(super) fn put(&mut self, at: usize, new: &[u8]) -> Adjustment {
        let place = self.0.get_mut(at..).and_then(|rest| rest.get_mut(..new.len()));
        let Some(place) = place else { return Adjustment::default() };
        let adjustment = Adjustment::default().replaced(place, new);
        place.copy_from_slice(new);
        adjustment
    }

    /// The length field at `at` becomes `length`, which is one inside a packet, so below 65,536.
    pub(super) fn put_length(&mut self, at: usize, length: usize) {
        let length = u16::try_from(length).unwrap_or(u16::MAX);
        self.put(at, &length.to_be_bytes());
    }

    /// Changes the checksum at `at` as `adjustment` demands. Returns what that does to a checksum
    /// around it.
    pub(super) fn adjust(&mut self, at: usize, adjustment: Adjustment) -> Adjustment {
        match self.read(at) {
            Some(old) => self.put(at, &adjustment.applied_to(old)),
            None => Adjustment::default(),
        }
    }

    /// Computes the checksum of the IPv4 header of `length` bytes at `at` (RFC 791, 3.1).
    pub(super) fn seal_ipv4(&mut self, at: usize, length: usize) {
        self.put(at + 10, &[0, 0]);
        let header = self.0.get(at..).and_then(|rest| rest.get(..length)).unwrap_or_default();
        let checksum = Sum::default().bytes(header).finish();
        self.put(at + 10, &checksum.to_be_bytes());
    }

    pub(super) fn finish(self) -> Bytes {
        Bytes::from(self.0)
    }
}
