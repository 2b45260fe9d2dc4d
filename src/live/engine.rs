//! The engine: packets between the devices of live hosts and the simulator, in real time.
//!
//! Holds one thread's loop: wait for a device or for the next thing that happens by itself, read what
//! hosts send, let the simulator carry it, write what arrives. Refuses to look into packets, and to
//! know what a namespace is: it gets open devices.
//!
//! The world is held only between reading and writing, so that whoever else wants it comes in after
//! each burst. What cannot be written is gone, as at a network card whose ring is full, and counted.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSlice, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::EventFd;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use rustc_hash::FxHashMap;

use super::ground::{BrokenGround, Ground};
use super::pool::Pool;
use super::virtio;
use crate::base::id::InterfaceId;
use crate::base::time::Span;
use crate::sim::{Player, RunError};
use crate::wire::{Offload, Packet};

/// Packets read from one device before it is the next one's turn (ours): enough to make a system call
/// for the world's lock cheap, too few to make others wait.
const BURST: usize = 32;

/// Devices heard of in one wait.
const READY_MAX: usize = 256;

/// Tokens of what is not a device.
const ORDERS: u64 = u64::MAX;
const TIMER: u64 = u64::MAX - 1;

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The kernel refuses something.
    #[error("cannot {doing}: {why}")]
    System {
        /// What was tried.
        doing: &'static str,
        /// Why not.
        why: io::Error,
    },
    /// The world is broken.
    #[error(transparent)]
    Broken(#[from] BrokenGround),
    /// The network cannot go on.
    #[error("the network has stopped: {0}")]
    World(#[from] RunError),
    /// It has been stopped.
    #[error("the engine has been stopped")]
    Stopped,
    /// The thread has panicked.
    #[error("the engine has stopped by a fault of its own")]
    Panicked,
}

fn system(doing: &'static str) -> impl Fn(nix::Error) -> EngineError {
    move |why| EngineError::System { doing, why: why.into() }
}

/// What devices did not take or said wrongly, for whoever shows it. What passes, the world's observers
/// count.
#[derive(Debug, Default)]
pub struct EngineCounts {
    /// Packets that a host's device did not take.
    pub unwritten: AtomicU64,
    /// What devices gave that was not understood: this program's fault, or the kernel's.
    pub misunderstood: AtomicU64,
}

/// What the engine is told.
enum Order {
    Add(InterfaceId, OwnedFd),
    Announce(InterfaceId),
    Remove(InterfaceId),
    Stop,
}

/// A running engine.
#[derive(Debug)]
pub struct Engine {
    orders: Sender<Order>,
    bell: Arc<EventFd>,
    counts: Arc<EngineCounts>,
    thread: Mutex<Option<JoinHandle<Result<(), EngineError>>>>,
}

impl Engine {
    /// Starts an engine for this world, without hosts.
    ///
    /// # Errors
    /// The kernel has no room for its descriptors or its thread.
    pub fn start(ground: Arc<dyn Ground>) -> Result<Engine, EngineError> {
        let poll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(system("make an epoll"))?;
        let bell = Arc::new(EventFd::new().map_err(system("make an eventfd"))?);
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK)
            .map_err(system("make a timer"))?;
        let watch = system("watch a descriptor");
        poll.add(&*bell, EpollEvent::new(EpollFlags::EPOLLIN, ORDERS)).map_err(&watch)?;
        poll.add(timer.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, TIMER)).map_err(&watch)?;
        let (orders, inbox) = mpsc::channel();
        let counts = Arc::new(EngineCounts::default());
        let mut loop_ = Loop {
            ground,
            poll,
            timer,
            timer_is_set: false,
            bell: Arc::clone(&bell),
            inbox,
            counts: Arc::clone(&counts),
            ports: FxHashMap::default(),
            tokens: FxHashMap::default(),
            next_token: 0,
            pool: Pool::default(),
            sent: Vec::new(),
            arrived: VecDeque::new(),
        };
        let thread = thread::Builder::new()
            .name("engine".to_owned())
            .spawn(move || loop_.run())
            .map_err(|why| EngineError::System { doing: "start a thread", why })?;
        Ok(Engine { orders, bell, counts, thread: Mutex::new(Some(thread)) })
    }

    /// From now on the host behind this interface is whoever holds the other end of `device`: a TUN
    /// device with a virtio-net header, not blocking.
    pub fn add(&self, interface: InterfaceId, device: OwnedFd) {
        self.order(Order::Add(interface, device));
    }

    /// The world has changed: says to it again that the host behind this interface is played outside.
    pub fn announce(&self, interface: InterfaceId) {
        self.order(Order::Announce(interface));
    }

    /// The simulator plays the host again; its device is closed.
    pub fn remove(&self, interface: InterfaceId) {
        self.order(Order::Remove(interface));
    }

    /// What it has counted.
    pub fn counts(&self) -> &EngineCounts {
        &self.counts
    }

    /// Sees to it that it runs.
    ///
    /// # Errors
    /// Why it does not, once; [`EngineError::Stopped`] ever after.
    pub fn check(&self) -> Result<(), EngineError> {
        let mut thread = self.thread();
        match thread.take_if(|thread| thread.is_finished()) {
            Some(ended) => ended.join().unwrap_or(Err(EngineError::Panicked)),
            None if thread.is_some() => Ok(()),
            None => Err(EngineError::Stopped),
        }
    }

    /// Stops it and closes its devices.
    ///
    /// # Errors
    /// Why it has stopped before.
    pub fn stop(&self) -> Result<(), EngineError> {
        self.order(Order::Stop);
        match self.thread().take() {
            Some(thread) => thread.join().unwrap_or(Err(EngineError::Panicked)),
            None => Err(EngineError::Stopped),
        }
    }

    fn thread(&self) -> MutexGuard<'_, Option<JoinHandle<Result<(), EngineError>>>> {
        self.thread.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn order(&self, order: Order) {
        // If the engine has stopped, `stop` says why.
        let _ = self.orders.send(order);
        let _ = self.bell.write(1);
    }
}

/// A live host.
#[derive(Debug)]
struct Port {
    interface: InterfaceId,
    device: File,
}

/// What the thread works with.
struct Loop {
    ground: Arc<dyn Ground>,
    poll: Epoll,
    timer: TimerFd,
    timer_is_set: bool,
    bell: Arc<EventFd>,
    inbox: Receiver<Order>,
    counts: Arc<EngineCounts>,
    ports: FxHashMap<u64, Port>,
    tokens: FxHashMap<InterfaceId, u64>,
    next_token: u64,
    pool: Pool,
    /// What hosts have sent, in the order in which it was read.
    sent: Vec<(InterfaceId, Bytes, Offload)>,
    arrived: VecDeque<(InterfaceId, Packet)>,
}

/// Whether to go on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    GoOn,
    End,
}

impl Loop {
    fn run(&mut self) -> Result<(), EngineError> {
        let mut ready = [EpollEvent::empty(); READY_MAX];
        loop {
            let count = match self.poll.wait(&mut ready, EpollTimeout::NONE) {
                Ok(count) => count,
                Err(nix::Error::EINTR) => continue,
                Err(why) => return Err(system("wait for devices")(why)),
            };
            for event in ready.iter().take(count) {
                match event.data() {
                    ORDERS => {
                        if self.take_orders()? == Then::End {
                            return Ok(());
                        }
                    }
                    // It is read by being set again.
                    TIMER => {}
                    token => self.read(token, event.events()),
                }
            }
            self.carry()?;
            self.deliver();
        }
    }

    fn take_orders(&mut self) -> Result<Then, EngineError> {
        // Only that it rang matters.
        let _ = self.bell.read();
        while let Ok(order) = self.inbox.try_recv() {
            match order {
                Order::Add(interface, device) => self.add(interface, device)?,
                Order::Announce(interface) => self.announce(interface)?,
                Order::Remove(interface) => self.remove(interface)?,
                Order::Stop => return Ok(Then::End),
            }
        }
        Ok(Then::GoOn)
    }

    fn add(&mut self, interface: InterfaceId, device: OwnedFd) -> Result<(), EngineError> {
        self.remove(interface)?;
        let token = self.next_token;
        self.next_token += 1;
        let event = EpollEvent::new(EpollFlags::EPOLLIN, token);
        self.poll.add(&device, event).map_err(system("watch a device"))?;
        self.announce(interface)?;
        self.ports.insert(token, Port { interface, device: device.into() });
        self.tokens.insert(interface, token);
        Ok(())
    }

    fn announce(&self, interface: InterfaceId) -> Result<(), BrokenGround> {
        self.ground.act(&mut |sim, _| {
            // Nobody sends to an interface that is gone, nor is it heard.
            let _ = sim.set_player(interface, Player::Outside);
        })
    }

    fn remove(&mut self, interface: InterfaceId) -> Result<(), EngineError> {
        let Some(token) = self.tokens.remove(&interface) else { return Ok(()) };
        if let Some(port) = self.ports.remove(&token) {
            // Closing it would do as well, were there no copy of the descriptor elsewhere.
            let _ = self.poll.delete(&port.device);
        }
        self.ground.act(&mut |sim, _| {
            let _ = sim.set_player(interface, Player::Simulator);
        })?;
        Ok(())
    }

    /// Reads what a host sends, up to a burst.
    fn read(&mut self, token: u64, events: EpollFlags) {
        let Some(port) = self.ports.get_mut(&token) else { return };
        for _ in 0..BURST {
            let length = match port.device.read(self.pool.buffer()) {
                Ok(0) => return,
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    // The device is gone; without this the wait would end again at once, for ever.
                    tracing::warn!(interface = %port.interface, %error, ?events, "a device is gone");
                    let _ = self.poll.delete(&port.device);
                    return;
                }
            };
            let header = self.pool.buffer().get(..length.min(virtio::LENGTH)).unwrap_or_default();
            match virtio::offload(header) {
                Ok(offload) => {
                    let bytes = self.pool.take(virtio::LENGTH, length);
                    self.sent.push((port.interface, bytes, offload));
                }
                Err(why) => {
                    self.counts.misunderstood.fetch_add(1, Ordering::Relaxed);
                    tracing::debug!(interface = %port.interface, %why, "a packet is not understood");
                }
            }
        }
    }

    /// Lets the simulator carry what was read, and whatever else is due.
    fn carry(&mut self) -> Result<(), EngineError> {
        let (sent, arrived) = (&mut self.sent, &mut self.arrived);
        let mut next = None;
        let mut ran = Ok(());
        self.ground.act(&mut |sim, observer| {
            for (from, bytes, offload) in sent.drain(..) {
                sim.send_from_outside(from, bytes, offload, observer);
            }
            let now = sim.now();
            ran = sim.run_until(now, observer);
            sim.fetch_arrivals(|at, packet| arrived.push_back((at, packet)));
            next = sim.next_event().map(|at| at.since(now));
        })?;
        // The event that does not come to its turn would not do so next time either.
        ran?;
        self.wake_in(next)
    }

    /// Sets the timer for the next thing that happens by itself. Where links add nothing, nothing ever
    /// does, and no system call is made.
    fn wake_in(&mut self, wait: Option<Span>) -> Result<(), EngineError> {
        let doing = system("set a timer");
        let was_set = std::mem::replace(&mut self.timer_is_set, wait.is_some());
        match wait {
            None if was_set => self.timer.unset().map_err(doing),
            None => Ok(()),
            Some(wait) => {
                // A timer of zero would be none.
                let wait = Duration::from_nanos(wait.as_nanos().max(1));
                let once = Expiration::OneShot(wait.into());
                self.timer.set(once, TimerSetTimeFlags::empty()).map_err(doing)
            }
        }
    }

    /// Writes what has arrived.
    fn deliver(&mut self) {
        for (at, packet) in self.arrived.drain(..) {
            let port = self.tokens.get(&at).and_then(|token| self.ports.get_mut(token));
            let Some(port) = port else { continue };
            let header = virtio::header(&packet);
            let bytes = packet.bytes().get(..packet.len()).unwrap_or_default();
            let parts = [IoSlice::new(&header), IoSlice::new(bytes)];
            if let Err(error) = port.device.write_vectored(&parts) {
                tracing::debug!(interface = %at, %error, "a device does not take a packet");
                self.counts.unwritten.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}
