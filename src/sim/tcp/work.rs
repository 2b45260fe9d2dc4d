//! What the program behind a connection does with its socket.
//!
//! Holds sending, serving, and the pattern that is sent. Refuses to know segments and time.

use smoltcp::socket::tcp::{Socket, State};

use super::Serve;
use crate::base::limit::{TCP_BUFFER_BYTES, TCP_SMALL_BUFFER_BYTES};

/// What our side does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Role {
    /// Sends this many bytes more, then closes its side. What comes back is read and forgotten.
    Send(u64),
    /// Serves whoever has connected, and closes its side when the other has.
    Serve(Serve),
}

/// How much went through a socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Moved {
    /// Bytes read from it.
    pub(super) read: u64,
    /// Bytes written to it.
    pub(super) written: u64,
}

impl Role {
    /// The bytes of the buffers that it needs: what comes in, and what goes out. A side that has
    /// little to say needs little room for it.
    pub(super) fn buffers(self) -> [usize; 2] {
        match self {
            Role::Send(bytes) => {
                let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
                [bytes.clamp(TCP_SMALL_BUFFER_BYTES, TCP_BUFFER_BYTES); 2]
            }
            Role::Serve(Serve::Echo) => [TCP_BUFFER_BYTES; 2],
            Role::Serve(Serve::Sink) => [TCP_BUFFER_BYTES, TCP_SMALL_BUFFER_BYTES],
        }
    }

    /// Reads and writes as far as the socket lets it. `written` is what it has written before.
    pub(super) fn work(&mut self, socket: &mut Socket<'_>, written: u64) -> Moved {
        match self {
            Role::Send(left) => {
                let moved = Moved { read: discard(socket), written: send(socket, written, *left) };
                *left -= moved.written;
                moved
            }
            Role::Serve(Serve::Sink) => Moved { read: discard(socket), written: 0 },
            Role::Serve(Serve::Echo) => echo(socket),
        }
    }

    /// Closes our side if it has nothing more to write. Gives whether it did so now.
    pub(super) fn close(&self, socket: &mut Socket<'_>) -> bool {
        let has_all = match self {
            Role::Send(left) => *left == 0,
            Role::Serve(_) => socket.state() == State::CloseWait && socket.recv_queue() == 0,
        };
        // Before the connection stands, closing would mean giving up.
        let closes = has_all && socket.may_send();
        if closes {
            socket.close();
        }
        closes
    }
}

/// Reads everything there is, and gives how much that was.
fn discard(socket: &mut Socket<'_>) -> u64 {
    let mut read = 0;
    // The buffer is a ring, so what is there comes in one piece or two.
    while let Ok(length) = socket.recv(|bytes| (bytes.len(), bytes.len()))
        && length > 0
    {
        read += length;
    }
    count(read)
}

/// Writes up to `left` bytes, as far as there is room, and gives how many those were. The byte at
/// place `n` of a stream is `n` modulo 256, so that one out of place is seen; `place` is the first.
fn send(socket: &mut Socket<'_>, place: u64, left: u64) -> u64 {
    let mut written = 0;
    while let Ok(length) = socket.send(|room| {
        let length = room.len().min(usize::try_from(left - written).unwrap_or(usize::MAX));
        let [mut value, ..] = (place + written).to_le_bytes();
        for byte in room.iter_mut().take(length) {
            *byte = value;
            value = value.wrapping_add(1);
        }
        (length, length)
    }) && length > 0
    {
        written += count(length);
    }
    written
}

/// Writes back what can be read, as far as there is room.
fn echo(socket: &mut Socket<'_>) -> Moved {
    let mut buffer = [0; 4_096];
    let mut moved = Moved::default();
    while socket.may_send() {
        let room = (socket.send_capacity() - socket.send_queue()).min(buffer.len());
        let part = buffer.get_mut(..room).unwrap_or_default();
        let read = socket.recv_slice(part).unwrap_or(0);
        if read == 0 {
            break;
        }
        let written = socket.send_slice(part.get(..read).unwrap_or_default()).unwrap_or(0);
        moved.read += count(read);
        moved.written += count(written);
    }
    moved
}

/// A length in memory as one of a stream, which is never shorter.
fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
