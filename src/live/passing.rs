//! Lines of text and open files over a local socket.
//!
//! One line each way at a time: what is read belongs to one line. Refuses lines and numbers of files
//! beyond a limit.

use std::io::{self, IoSlice, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Files that go with a line at most.
const FILES_MAX: usize = 16;

/// Bytes of the longest line: the hosts of a lab with 100,000 of them.
const LINE_BYTES_MAX: usize = 16 << 20;

/// Bytes that are read at a time.
const CHUNK_BYTES: usize = 16 << 10;

/// Sends `value` as a line of JSON, and `files` with it.
///
/// # Errors
/// There are too many files, or the other side has gone.
pub(super) fn send(
    mut socket: &UnixStream,
    value: &impl Serialize,
    files: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !files.is_empty() && !control.push(SendAncillaryMessage::ScmRights(files)) {
        return Err(io::Error::other("too many files for one message"));
    }
    let sent = sendmsg(socket, &[IoSlice::new(&line)], &mut control, SendFlags::NOSIGNAL)?;
    socket.write_all(&line[sent..])
}

/// Receives a line and its files; `None` when the other side has gone without a word.
///
/// # Errors
/// The line is too long, cut off, or says something else than a `T`.
pub(super) fn receive<T: DeserializeOwned>(
    socket: &UnixStream,
) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    let mut line = Vec::new();
    let mut files = Vec::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    while !line.ends_with(b"\n") {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES_MAX))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let into = &mut [IoSliceMut::new(&mut chunk)];
        let got = match recvmsg(socket, into, &mut control, RecvFlags::CMSG_CLOEXEC) {
            Err(rustix::io::Errno::INTR) => continue,
            other => other?.bytes,
        };
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(passed) = message {
                files.extend(passed);
            }
        }
        match got {
            0 if line.is_empty() => return Ok(None),
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            got => line.extend_from_slice(&chunk[..got]),
        }
        if line.len() > LINE_BYTES_MAX || files.len() > FILES_MAX {
            return Err(io::Error::other("the message is too long"));
        }
    }
    Ok(Some((serde_json::from_slice(&line)?, files)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::fs::File;
    use std::io::Read;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_line_arrives_with_its_files() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let file = File::open("Cargo.toml").unwrap();
        let long = "x".repeat(CHUNK_BYTES * 3);
        let sender = std::thread::spawn({
            let long = long.clone();
            move || {
                send(&ours, &long, &[file.as_fd()]).unwrap();
                drop(ours);
            }
        });
        let (line, files) = receive::<String>(&theirs).unwrap().unwrap();
        assert_eq!(line, long);
        let mut text = String::new();
        File::from(files.into_iter().next().unwrap()).read_to_string(&mut text).unwrap();
        assert!(text.contains("name = \"vpclab\""));
        assert!(receive::<String>(&theirs).unwrap().is_none());
        sender.join().unwrap();
    }

    #[test]
    fn other_words_are_errors() {
        for text in ["no json\n", "\"cut off", "7\n"] {
            let (mut ours, theirs) = UnixStream::pair().unwrap();
            ours.write_all(text.as_bytes()).unwrap();
            drop(ours);
            assert!(receive::<String>(&theirs).is_err(), "{text:?}");
        }
    }
}
