//! Buffers for packets from devices, used again once the packet is gone.
//!
//! Holds the long ones: a packet of 64 KiB is read into a buffer and stays there until the last of
//! those who look at it lets go. Short packets are copied into an allocation of their size instead, so
//! that a queue full of them does not hold 64 KiB each.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::virtio;
use crate::base::limit::PACKET_BYTES_MAX;

/// A buffer's length: a header and the longest packet.
pub(super) const LENGTH: usize = virtio::LENGTH + PACKET_BYTES_MAX;

/// Up to this length a packet is copied: an allocation and the copy cost less than keeping a
/// buffer (ours).
const COPIED_MAX: usize = 4_096;

/// Buffers that are kept for later (ours): what a burst needs, 4 MiB.
const KEPT_MAX: usize = 64;

type Shelf = Arc<Mutex<Vec<Box<[u8]>>>>;

/// The buffers.
#[derive(Debug, Default)]
pub(super) struct Pool {
    shelf: Shelf,
    /// What is read into next.
    next: Option<Box<[u8]>>,
}

/// A buffer in use, which comes back when it is dropped.
struct Lent {
    buffer: Option<Box<[u8]>>,
    from: usize,
    to: usize,
    shelf: Shelf,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        let buffer = self.buffer.as_deref().unwrap_or_default();
        buffer.get(self.from..self.to).unwrap_or_default()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(buffer) = self.buffer.take() else { return };
        let mut shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        if shelf.len() < KEPT_MAX {
            shelf.push(buffer);
        }
    }
}

impl Pool {
    /// Where to read into; what was read before and not taken is overwritten.
    pub(super) fn buffer(&mut self) -> &mut [u8] {
        self.next.get_or_insert_with(|| {
            let kept = self.shelf.lock().unwrap_or_else(PoisonError::into_inner).pop();
            kept.unwrap_or_else(|| vec![0; LENGTH].into())
        })
    }

    /// Takes the bytes `from..to` of what was read.
    pub(super) fn take(&mut self, from: usize, to: usize) -> Bytes {
        if to.saturating_sub(from) <= COPIED_MAX {
            let buffer = self.next.as_deref().unwrap_or_default();
            return Bytes::copy_from_slice(buffer.get(from..to).unwrap_or_default());
        }
        let shelf = Arc::clone(&self.shelf);
        Bytes::from_owner(Lent { buffer: self.next.take(), from, to, shelf })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_packets_stay_where_they_are_and_their_buffers_come_back() {
        let mut pool = Pool::default();
        for (length, kept) in [(10, 0), (COPIED_MAX, 0), (COPIED_MAX + 1, 1), (60_000, 1)] {
            let buffer = pool.buffer();
            buffer[5] = 1;
            buffer[4 + length] = 2;
            let bytes = pool.take(5, 5 + length);
            assert_eq!((bytes.len(), bytes[0], bytes[length - 1]), (length, 1, 2));
            let copy = bytes.clone();
            drop(bytes);
            assert_eq!(pool.shelf.lock().unwrap().len(), 0, "somebody looks at it still");
            drop(copy);
            assert_eq!(pool.shelf.lock().unwrap().len(), kept);
        }
    }

    #[test]
    fn not_all_buffers_of_a_burst_are_kept() {
        let mut pool = Pool::default();
        let burst: Vec<Bytes> = (0..KEPT_MAX + 9)
            .map(|_| {
                pool.buffer();
                pool.take(0, LENGTH)
            })
            .collect();
        drop(burst);
        assert_eq!(pool.shelf.lock().unwrap().len(), KEPT_MAX);
    }
}
