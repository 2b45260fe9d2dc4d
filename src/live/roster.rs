//! Which instances are live, and what each of them has: a namespace, a device, services.
//!
//! Holds the list, brings it up to date with the cloud, and answers for it at the control socket.
//! Refuses to carry packets: that is the engine's, to which every device is handed over.
//!
//! An instance is live by its primary interface; the simulator plays further ones. If its addresses change
//! it is made anew, and what ran on it ends.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use super::LiveError;
use super::control::{Desk, Entrance, HostFile, HostLine};
use super::engine::Engine;
use super::ground::{BrokenGround, Ground};
use super::netns::{self, HostNet, HostSpec};
use super::services::{self, Sockets};
use crate::base::id::{InstanceId, InterfaceId};
use crate::base::time::Instant;
use crate::base::units::Mtu;
use crate::cloud::Cloud;
use crate::cloud::event::ResourceId;
use crate::cloud::instance::InstanceState;

/// Which instances are to be live.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Cast {
    /// All that run, those that are started later too.
    Everybody,
    /// Those of these labels or ids.
    These(BTreeSet<String>),
}

impl Cast {
    fn has(&self, label: &str, id: InstanceId) -> bool {
        match self {
            Cast::Everybody => true,
            Cast::These(names) => names.contains(label) || names.contains(&id.to_string()),
        }
    }
}

/// A live instance.
#[derive(Debug)]
struct Member {
    label: String,
    instance: InstanceId,
    addresses: Vec<IpAddr>,
    netns: OwnedFd,
    services: Option<AbortHandle>,
}

impl Drop for Member {
    fn drop(&mut self) {
        if let Some(services) = &self.services {
            services.abort();
        }
    }
}

/// An instance that is to be live.
struct Wanted {
    interface: InterfaceId,
    label: String,
    instance: InstanceId,
    spec: HostSpec,
}

/// What has changed.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Changes {
    /// Instances that have become live.
    pub joined: usize,
    /// Instances that are live no more.
    pub left: usize,
}

/// The list.
pub struct Roster {
    ground: Arc<dyn Ground>,
    engine: Engine,
    runtime: Handle,
    cast: Cast,
    members: Mutex<Members>,
    /// Who is told that the lab is to end.
    end: Mutex<Sender<()>>,
}

#[derive(Debug, Default)]
struct Members {
    by_interface: BTreeMap<InterfaceId, Member>,
    /// When the cloud last changed of those changes that are in here; nothing is before the first.
    seen: Option<Instant>,
}

impl Roster {
    /// A roster without anybody on it. `end` hears when somebody at the control socket wants the end.
    pub fn new(
        ground: Arc<dyn Ground>,
        engine: Engine,
        runtime: Handle,
        cast: Cast,
        end: Sender<()>,
    ) -> Roster {
        let (members, end) = (Mutex::default(), Mutex::new(end));
        Roster { ground, engine, runtime, cast, members, end }
    }

    fn members(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Brings the list up to date: namespaces for whoever runs and has none, none for who is gone. A
    /// member that is only stopped keeps its namespace, and the network drops what it sends. Costs
    /// next to nothing if the cloud has not changed, else a look at every instance and some 2 ms for
    /// each that joins.
    ///
    /// # Errors
    /// The kernel refuses a namespace; then nobody of this round joins.
    pub fn follow(&self) -> Result<Changes, LiveError> {
        let members = &mut *self.members();
        let mut wanted = Vec::new();
        let mut there = None;
        let mut latest = Instant::START;
        self.ground.look(&mut |cloud| {
            latest = cloud.latest();
            if members.seen != Some(latest) {
                let present = present(cloud);
                wanted = self.wanted(cloud, members, &present);
                there = Some(present);
            }
        })?;
        let Some(there) = there else { return Ok(Changes::default()) };
        let before = members.by_interface.len();
        members.by_interface.retain(|interface, member| {
            let stays = there.get(interface) == Some(&member.addresses);
            if stays {
                // The cloud may have been emptied and built again: the ids are the same, the world is
                // not, and knows nobody.
                self.engine.announce(*interface);
            } else {
                self.engine.remove(*interface);
                end_processes(&member.netns);
            }
            stays
        });
        let left = before - members.by_interface.len();
        // Whoever could not join is tried again when the cloud changes, not twice a second.
        members.seen = Some(latest);
        let joined = self.join(wanted, members)?;
        Ok(Changes { joined, left })
    }

    /// Whoever is to be live and is not.
    fn wanted(&self, cloud: &Cloud, members: &Members, present: &Present) -> Vec<Wanted> {
        let mut wanted = Vec::new();
        for (instance, found) in cloud.instances() {
            let Some(id) = found.interface() else { continue };
            let name = cloud.name(ResourceId::Instance(instance));
            let label = name.map_or_else(|| instance.to_string(), printable);
            let Some(interface) = cloud.interface(id) else { continue };
            if found.state != InstanceState::Running
                || members.by_interface.get(&id).map(|member| &member.addresses) == present.get(&id)
                || !self.cast.has(&label, instance)
            {
                continue;
            }
            let spec = HostSpec {
                addresses: interface.addresses.clone(),
                services: services::addresses(cloud, id),
                mtu: Mtu::JUMBO,
            };
            wanted.push(Wanted { interface: id, label, instance, spec });
        }
        wanted
    }

    fn join(&self, wanted: Vec<Wanted>, members: &mut Members) -> Result<usize, LiveError> {
        if wanted.is_empty() {
            return Ok(0);
        }
        let specs: Vec<HostSpec> = wanted.iter().map(|wanted| wanted.spec.clone()).collect();
        let made = netns::make_all(&specs)?;
        let joined = made.len();
        for (wanted, HostNet { tun, netns }) in wanted.into_iter().zip(made) {
            let Wanted { interface, label, instance, spec } = wanted;
            self.engine.add(interface, tun);
            let services = self.serve(interface, &netns, &spec.services);
            let addresses = spec.addresses;
            let member = Member { label, instance, addresses, netns, services };
            members.by_interface.insert(interface, member);
        }
        Ok(joined)
    }

    /// Starts the services of a host. Without them it is live all the same.
    fn serve(
        &self,
        host: InterfaceId,
        netns: &OwnedFd,
        addresses: &[IpAddr],
    ) -> Option<AbortHandle> {
        let opened = netns::within(netns.as_fd(), || Sockets::open(addresses));
        let sockets = match opened {
            Ok(Ok(sockets)) => sockets,
            Ok(Err(error)) => {
                tracing::warn!(%host, %error, "no resolver and no metadata");
                return None;
            }
            Err(error) => {
                tracing::warn!(%host, %error, "no resolver and no metadata");
                return None;
            }
        };
        let ground = Arc::clone(&self.ground);
        let task = self.runtime.spawn(async move {
            if let Err(error) = services::serve(sockets, host, ground).await {
                tracing::warn!(%host, %error, "no resolver and no metadata");
            }
        });
        Some(task.abort_handle())
    }

    /// The member that a text means: its label, id or an address. Of several, the first.
    fn meant<'m>(members: &'m Members, text: &str) -> Option<(InterfaceId, &'m Member)> {
        let address: Option<IpAddr> = text.parse().ok();
        let is_meant = |member: &Member| {
            member.label == text
                || member.instance.to_string() == text
                || address.is_some_and(|address| member.addresses.contains(&address))
        };
        let mut all = members.by_interface.iter();
        all.find(|(_, member)| is_meant(member)).map(|(id, member)| (*id, member))
    }

    /// Labels and addresses of all instances that are in the cloud, for `/etc/hosts`.
    fn names(cloud: &Cloud) -> Vec<(String, Vec<IpAddr>)> {
        let named = cloud.instances().filter_map(|(id, instance)| {
            let label = cloud.name(ResourceId::Instance(id))?.to_owned();
            let interface = cloud.interface(instance.interface()?)?;
            Some((label, interface.addresses.clone()))
        });
        named.collect()
    }
}

/// Primary interfaces with their addresses.
type Present = BTreeMap<InterfaceId, Vec<IpAddr>>;

/// Those of instances that have not ended.
fn present(cloud: &Cloud) -> Present {
    let interfaces = cloud.instances().filter_map(|(_, instance)| instance.interface());
    interfaces.filter_map(|id| Some((id, cloud.interface(id)?.addresses.clone()))).collect()
}

/// A name as a line of text can have it: tags may hold anything.
fn printable(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// Kills whatever runs in a host's namespace: a terminated instance runs nothing. What cannot be killed has
/// ended, or is nobody's we know.
fn end_processes(netns: &OwnedFd) {
    let Ok(wanted) = nix::sys::stat::fstat(netns) else { return };
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    // The first process is the lab.
    for pid in pids.filter(|pid| *pid > 1) {
        let space = nix::sys::stat::stat(format!("/proc/{pid}/ns/net").as_str());
        if space.is_ok_and(|space| (space.st_dev, space.st_ino) == (wanted.st_dev, wanted.st_ino)) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

impl Desk for Roster {
    fn hosts(&self) -> Vec<HostLine> {
        let members = self.members();
        let mut lines: Vec<HostLine> = members
            .by_interface
            .values()
            .map(|member| HostLine {
                label: member.label.clone(),
                id: member.instance.to_string(),
                addresses: member.addresses.clone(),
            })
            .collect();
        lines.sort_by(|a, b| (&a.label, &a.id).cmp(&(&b.label, &b.id)));
        lines
    }

    fn enter(&self, host: &str) -> Option<Entrance> {
        let (interface, netns) = {
            let members = self.members();
            let (interface, member) = Roster::meant(&members, host)?;
            (interface, member.netns.try_clone().ok()?)
        };
        let mut files = Vec::new();
        let looked: Result<(), BrokenGround> = self.ground.look(&mut |cloud| {
            let names = Roster::names(cloud);
            let names = names.iter().map(|(label, addresses)| (label.as_str(), &addresses[..]));
            files = vec![
                HostFile { path: "/etc/hosts".into(), text: services::hosts_file(names) },
                HostFile {
                    path: "/etc/resolv.conf".into(),
                    text: services::resolver_file(cloud, interface),
                },
            ];
        });
        looked.ok()?;
        Some(Entrance { netns, files })
    }

    fn stop(&self) {
        let end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever listened has gone: it is ending already.
        let _ = end.send(());
    }
}
