//! A disk in memory that can hold a sync back, fail at a given call, and lose what was not synced.

use std::io;
use std::sync::{Arc, Condvar, Mutex};

use redb::StorageBackend;

use crate::base::rng::Stream;

/// Bytes that reach the disk together.
const SECTOR: usize = 512;

/// Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk(Arc<(Mutex<State>, Condvar)>);

#[derive(Debug, Default)]
struct State {
    /// What a read sees.
    now: Vec<u8>,
    /// What surely survives.
    synced: Vec<u8>,
    /// What was done since, in order.
    pending: Vec<Change>,
    /// Calls since the fault was set.
    calls: u64,
    fault: Option<Fault>,
    syncs: u64,
    held: bool,
    /// A sync is waiting to be released.
    waiting: bool,
}

#[derive(Clone, Debug)]
enum Change {
    Write(usize, Vec<u8>),
    Length(usize),
}

/// Which call fails.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    /// From 1 on.
    pub(super) call: u64,
    /// All later ones as well.
    pub(super) for_good: bool,
}

impl Fault {
    /// The next call does not return.
    pub(super) const PANIC: u64 = 0;
}

impl Disk {
    pub(super) fn with(bytes: Vec<u8>) -> Disk {
        let disk = Disk::default();
        disk.state(|state| {
            state.now.clone_from(&bytes);
            state.synced = bytes;
        });
        disk
    }

    fn state<T>(&self, run: impl FnOnce(&mut State) -> T) -> T {
        run(&mut self.0.0.lock().unwrap())
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        self.state(|state| state.now.clone())
    }

    pub(super) fn fail(&self, fault: Fault) {
        self.state(|state| (state.calls, state.fault) = (0, Some(fault)));
    }

    /// Whether the call that fails has come.
    pub(super) fn has_failed(&self) -> bool {
        self.state(|state| state.fault.is_some_and(|fault| state.calls >= fault.call))
    }

    /// What is there after the power was cut: all that was synced, and of the rest whatever chance
    /// has written: whole changes, or some sectors of one.
    pub(super) fn after_power_cut(&self, rng: &mut Stream) -> Vec<u8> {
        self.state(|state| {
            let mut out = state.synced.clone();
            for change in &state.pending {
                match change {
                    Change::Length(length) => {
                        if rng.below(2) == 0 {
                            out.resize(*length, 0);
                        }
                    }
                    Change::Write(at, bytes) => {
                        let kind = rng.below(3);
                        for (n, sector) in bytes.chunks(SECTOR).enumerate() {
                            if kind == 0 || (kind == 1 && rng.below(2) == 0) {
                                let at = at + n * SECTOR;
                                let end = at + sector.len();
                                out.resize(out.len().max(end), 0);
                                out[at..end].copy_from_slice(sector);
                            }
                        }
                    }
                }
            }
            out
        })
    }

    /// How often something was synced.
    pub(super) fn syncs(&self) -> u64 {
        self.state(|state| state.syncs)
    }

    /// Syncs wait from now on.
    pub(super) fn hold(&self) {
        self.state(|state| state.held = true);
    }

    /// Waits until a sync waits.
    pub(super) fn until_held(&self) {
        let mut state = self.0.0.lock().unwrap();
        while !state.waiting {
            state = self.0.1.wait(state).unwrap();
        }
    }

    pub(super) fn release(&self) {
        self.state(|state| state.held = false);
        self.0.1.notify_all();
    }

    /// One call: fails if it is its turn.
    fn call<T>(&self, run: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let panics =
            self.state(|state| state.fault.is_some_and(|fault| fault.call == Fault::PANIC));
        assert!(!panics, "the disk's code is wrong");
        self.state(|state| {
            state.calls += 1;
            let calls = state.calls;
            let fails =
                |fault: Fault| calls == fault.call || (fault.for_good && calls > fault.call);
            if state.fault.is_some_and(fails) {
                return Err(io::Error::new(io::ErrorKind::StorageFull, "no space left"));
            }
            run(state)
        })
    }
}

fn place(at: u64) -> usize {
    usize::try_from(at).unwrap()
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.call(|state| Ok(state.now.len() as u64))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.call(|state| {
            let at = place(offset);
            let from = state.now.get(at..at + out.len());
            out.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.call(|state| {
            state.now.resize(place(len), 0);
            state.pending.push(Change::Length(place(len)));
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.0.0.lock().unwrap();
        while state.held {
            state.waiting = true;
            self.0.1.notify_all();
            state = self.0.1.wait(state).unwrap();
        }
        state.waiting = false;
        drop(state);
        self.call(|state| {
            state.syncs += 1;
            state.synced.clone_from(&state.now);
            state.pending.clear();
            Ok(())
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.call(|state| {
            let at = place(offset);
            let end = at + data.len();
            let length = state.now.len().max(end);
            state.now.resize(length, 0);
            state.now[at..end].copy_from_slice(data);
            state.pending.push(Change::Write(at, data.to_vec()));
            Ok(())
        })
    }
}
