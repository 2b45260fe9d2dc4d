//! A small cloud for the services to speak of, the files, and both services over real sockets.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests; a failure names the line")]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Mutex;

use super::super::ground::BrokenGround;
use super::*;
use crate::base::id::{AccountId, InstanceId, PeeringId, SubnetId, VpcId};
use crate::base::rng::Seed;
use crate::base::time::Span;
use crate::cloud::account::{Caller, Region};
use crate::cloud::command::Command;
use crate::cloud::dns::{Switch, VpcAttribute};
use crate::cloud::event::Change;
use crate::cloud::gateway::GatewayId;
use crate::cloud::hostname::{Hostname, Kind};
use crate::cloud::instance::NewInterface;
use crate::cloud::profile::Profile;
use crate::sim::{Observer, Sim, Twin};

/// ```text
/// a  10.10.0.0/16, DNS hostnames ── x 10.10.0.4, public ── internet gateway
/// b  10.20.0.0/16, DNS hostnames ── y 10.20.0.4
///    a ═══ b
/// ```
pub(super) struct Lab {
    world: Mutex<Sim>,
    pub(super) a: VpcId,
    pub(super) x: (InstanceId, InterfaceId),
    pub(super) y: (InstanceId, InterfaceId),
    pub(super) public: Ipv4Addr,
}

impl Ground for Lab {
    fn act(&self, work: &mut dyn FnMut(&mut Sim, &mut dyn Observer)) -> Result<(), BrokenGround> {
        work(&mut *self.world.lock().map_err(|_| BrokenGround)?, &mut ());
        Ok(())
    }

    fn look(&self, work: &mut dyn FnMut(&Cloud)) -> Result<(), BrokenGround> {
        work(self.world.lock().map_err(|_| BrokenGround)?.cloud());
        Ok(())
    }
}

fn caller() -> Caller {
    Caller { account: AccountId::DEFAULT, region: Region::default() }
}

fn act(cloud: &mut Cloud, command: &Command) -> Vec<Change> {
    let events = cloud.apply(&caller(), command, Instant::START);
    let events = events.unwrap_or_else(|refusal| panic!("{command:?}: {refusal}"));
    events.into_iter().map(|event| event.change).collect()
}

fn vpc(cloud: &mut Cloud, cidr: &str) -> (VpcId, SubnetId) {
    let cidr = cidr.parse().unwrap();
    let [Change::VpcCreated { vpc, .. }] = act(cloud, &Command::CreateVpc { cidr })[..] else {
        panic!("one VPC")
    };
    let attribute = VpcAttribute::DnsHostnames(Switch::On);
    act(cloud, &Command::ModifyVpcAttribute { vpc, attribute });
    let command = Command::CreateSubnet { vpc, cidr, ipv6: None, zone: None };
    let [Change::SubnetCreated { subnet, .. }] = act(cloud, &command)[..] else {
        panic!("one subnet")
    };
    (vpc, subnet)
}

fn instance(cloud: &mut Cloud, subnet: SubnetId) -> (InstanceId, InterfaceId) {
    match act(cloud, &Command::run_instance(NewInterface::in_subnet(subnet)))[..] {
        [Change::InstanceRun { instance, interface, .. }, ..] => (instance, interface),
        ref other => panic!("{other:?}"),
    }
}

impl Lab {
    pub(super) fn new(profile: Profile) -> Lab {
        let mut cloud = Cloud::new(profile, Span::ZERO);
        let (a, in_a) = vpc(&mut cloud, "10.10.0.0/16");
        let (b, in_b) = vpc(&mut cloud, "10.20.0.0/16");
        let [Change::GatewayCreated { id: GatewayId::Internet(gateway), .. }, ..] =
            act(&mut cloud, &Command::CreateInternetGateway)[..]
        else {
            panic!("one gateway")
        };
        act(&mut cloud, &Command::AttachInternetGateway { gateway, vpc: a });
        let (x, y) = (instance(&mut cloud, in_a), instance(&mut cloud, in_b));
        let [Change::AddressAllocated { allocation, address: public, .. }] =
            act(&mut cloud, &Command::AllocateAddress { address: None })[..]
        else {
            panic!("one address")
        };
        act(&mut cloud, &Command::AssociateAddress { allocation, interface: x.1, private: None });
        let peering = peer(&mut cloud, a, b);
        act(&mut cloud, &Command::AcceptVpcPeeringConnection { peering });
        let world = Mutex::new(Sim::new(cloud, Seed(1), Twin::default()));
        Lab { world, a, x, y, public }
    }

    /// The lab changes while somebody speaks of it.
    pub(super) fn act(&self, command: &Command) {
        self.world.lock().unwrap().apply(&caller(), command).unwrap();
    }

    /// The name that the DNS gives the public address.
    pub(super) fn public_name(&self) -> String {
        Hostname::new(Kind::Public, self.public, Region::default()).to_string()
    }
}

fn peer(cloud: &mut Cloud, requester: VpcId, accepter: VpcId) -> PeeringId {
    let command = Command::CreateVpcPeeringConnection {
        requester,
        accepter,
        peer_owner: None,
        peer_region: None,
    };
    match act(cloud, &command)[..] {
        [Change::PeeringRequested { peering, .. }] => peering,
        ref other => panic!("{other:?}"),
    }
}

/// No resolver: what `enableDnsSupport` off means.
pub(super) fn support_off(vpc: VpcId) -> Command {
    Command::ModifyVpcAttribute { vpc, attribute: VpcAttribute::DnsSupport(Switch::Off) }
}

#[test]
fn a_host_finds_its_services_at_five_addresses() {
    let lab = Lab::new(Profile::Seed);
    let found = seen(&lab, |cloud, _| addresses(cloud, lab.x.1)).unwrap();
    let text: Vec<String> = found.iter().map(ToString::to_string).collect();
    let want =
        ["169.254.169.253", "fd00:ec2::253", "169.254.169.254", "fd00:ec2::254", "10.10.0.2"];
    assert_eq!(text, want);
    let nobody = InterfaceId::new(crate::base::id::Digits::parse("0badc0de").unwrap());
    assert_eq!(seen(&lab, |cloud, _| addresses(cloud, nobody)), Some(Vec::new()));
}

/// Whoever asks hears nothing, and nobody falls over it.
#[test]
fn a_broken_world_has_no_answers() {
    let lab = Lab::new(Profile::Seed);
    let broken = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _held = lab.world.lock();
        panic!("a fault while the world is held")
    }));
    assert!(broken.is_err());
    let query = dns::tests::query("ip-10-10-0-4.ec2.internal", 1);
    assert_eq!(dns::respond(&query, lab.x.1, &lab), None);
}

#[test]
fn labels_stand_for_addresses_in_the_file_of_hosts() {
    let (one, two) = (["10.0.0.4".parse().unwrap()], ["10.1.0.4", "2600:1f00::4"]);
    let two = two.map(|address| address.parse().unwrap());
    let text = hosts_file([("a", &one[..]), ("web_1", &two), ("no name", &one), ("", &one)]);
    let of_labels: Vec<&str> = text.lines().skip(2).collect();
    assert_eq!(of_labels, ["10.0.0.4 a", "10.1.0.4 web_1", "2600:1f00::4 web_1"]);
    assert!(text.starts_with("127.0.0.1 localhost\n::1 localhost"), "{text}");
}

#[test]
fn the_resolver_is_named_while_there_is_one() {
    let lab = Lab::new(Profile::Seed);
    let file = |host| seen(&lab, |cloud, _| resolver_file(cloud, host)).unwrap();
    let want = "search ec2.internal\nnameserver 10.10.0.2\noptions timeout:2 attempts:2\n";
    assert_eq!(file(lab.x.1), want);
    lab.act(&support_off(lab.a));
    assert_eq!(file(lab.x.1), "# enableDnsSupport is off\n");
    assert!(file(lab.y.1).contains("nameserver 10.20.0.2\n"));
}

/// Sockets at free ports of the loopback address in the place of those of a namespace.
fn sockets() -> (Sockets, [std::net::SocketAddr; 3]) {
    let local = (Ipv4Addr::LOCALHOST, 0);
    let datagrams = UdpSocket::bind(local).unwrap();
    datagrams.set_nonblocking(true).unwrap();
    let streams = quiet(TcpListener::bind(local).unwrap()).unwrap();
    let metadata = quiet(TcpListener::bind(local).unwrap()).unwrap();
    let at = [
        datagrams.local_addr().unwrap(),
        streams.local_addr().unwrap(),
        metadata.local_addr().unwrap(),
    ];
    let (datagrams, streams, metadata) = (vec![datagrams], vec![streams], vec![metadata]);
    (Sockets { datagrams, streams, metadata }, at)
}

/// One exchange each over UDP, TCP and HTTP, with plain blocking sockets as any client would.
#[test]
fn both_services_answer_on_sockets() {
    let lab = Arc::new(Lab::new(Profile::Seed));
    let host = lab.x.1;
    let (sockets, [datagrams, streams, metadata]) = sockets();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let served = runtime.spawn(serve(sockets, host, Arc::clone(&lab) as Arc<dyn Ground>));

    let query = dns::tests::query("ip-10-10-0-4.ec2.internal", 1);
    let want = Some("10.10.0.4".to_owned());
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    // What is no query has no answer, and the next one has.
    socket.send_to(b"?", datagrams).unwrap();
    socket.send_to(&query, datagrams).unwrap();
    let mut room = [0; 512];
    let (len, _) = socket.recv_from(&mut room).unwrap();
    assert_eq!(dns::tests::said(&room[..len]), want);

    // Twice over one connection, the second time byte by byte (RFC 7766, 8).
    let mut stream = TcpStream::connect(streams).unwrap();
    stream.set_nodelay(true).unwrap();
    let len = u16::try_from(query.len()).unwrap();
    let framed = [&len.to_be_bytes(), query.as_slice()].concat();
    for size in [framed.len(), 1] {
        for piece in framed.chunks(size) {
            stream.write_all(piece).unwrap();
        }
        let mut len = [0; 2];
        stream.read_exact(&mut len).unwrap();
        let mut answer = vec![0; usize::from(u16::from_be_bytes(len))];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(dns::tests::said(&answer), want);
    }

    let mut stream = TcpStream::connect(metadata).unwrap();
    let request =
        "GET /latest/meta-data/local-ipv4 HTTP/1.1\r\nhost: m\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n10.10.0.4"), "{answer}");

    assert!(!served.is_finished());
    runtime.shutdown_background();
}
