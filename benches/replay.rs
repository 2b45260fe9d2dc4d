//! How long `vpclab serve --data` takes to start over a journal of a million events, from the start of
//! the process to the answer of `/_vpclab/health`, and what it spends that on.
//!
//! The journal is one that the server itself has written: it was asked for every change. There are two:
//! one without any snapshot, which a server makes only if it never finds the time for one, and one with
//! the snapshots that were due on the way and the entries behind the last of them. The floor is a read
//! of the journal's file from its beginning to its end. Refuses to judge.
//!
//! ```text
//! cargo bench --bench replay -- [--rounds 5] [--events 1000000] [--json FILE]
//! ```
#![allow(clippy::print_stdout, reason = "the figures are the output")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::cast_precision_loss,
    reason = "a bench that cannot run says so and stops"
)]

use std::cell::Cell;
use std::fs;
use std::hint::black_box;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use serde_json::json;

use vpclab::api::clock::Clock;
use vpclab::api::entry::{self, Entry};
use vpclab::api::http::{Counts, Headers, Method, Request, Service};
use vpclab::api::identity::{Identities, Keys, Seed};
use vpclab::api::journal::{Journal, JournalError, Recovered};
use vpclab::api::records::Record;
use vpclab::api::server::Server;
use vpclab::api::world::{State, World};
use vpclab::cloud::profile::Profile;

/// Clients at the same time, each with VPCs of its own: so many entries share a sync.
const CLIENTS: usize = 250;
const VPCS_OF_A_CLIENT: usize = 40;
const CLIENTS_OF_AN_ACCOUNT: usize = 20;
const INSTANCES_OF_A_VPC: usize = 5;

fn main() {
    let argument = |name: &str| std::env::args().skip_while(|arg| arg != name).nth(1);
    let rounds = argument("--rounds").map_or(5, |n| n.parse().unwrap());
    let events = argument("--events").map_or(1_000_000, |n| n.parse().unwrap());
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("replay");
    let _ = fs::remove_dir_all(&home);
    let (all, kept) = (home.join("all"), home.join("kept"));
    fs::create_dir_all(&all).unwrap();
    let begun = Instant::now();
    write(&all, events);
    println!("written in {:.0} s", begun.elapsed().as_secs_f64());
    let made = keep(&all, &kept);
    println!("{made:?}");

    let mut rows = Vec::new();
    for (case, directory, bytes) in
        [("no snapshot", &all, made.bytes), ("a snapshot and the rest", &kept, made.bytes_kept)]
    {
        let mut start = Figures::default();
        for _ in 0..rounds {
            let copy = home.join("copy");
            let _ = fs::remove_dir_all(&copy);
            fs::create_dir_all(&copy).unwrap();
            fs::copy(directory.join("journal.redb"), copy.join("journal.redb")).unwrap();
            floor(&copy, &mut start);
            process(&copy, &mut start);
            parts(&copy, &mut start);
        }
        println!("{case}, {:.0} MB", bytes as f64 / 1e6);
        for (key, unit, values) in start.0 {
            let [least, median, most] = spread(values);
            println!("  {key:<34}{median:>10.0} ({least:.0}..{most:.0}) {unit}");
            let value = json!({"median": median, "min": least, "max": most});
            rows.push(json!({"case": case, "key": key, "unit": unit, "value": value}));
        }
    }
    if let Some(file) = argument("--json") {
        let report = json!({
            "rounds": rounds,
            "events": made.events,
            "entries": made.entries,
            "entries_behind": made.behind,
            "bytes": made.bytes,
            "bytes_kept": made.bytes_kept,
            "rows": rows,
        });
        fs::write(file, format!("{report:#}\n")).unwrap();
    }
    fs::remove_dir_all(&home).unwrap();
}

/// Samples by name and unit, in the order of their first.
#[derive(Default)]
struct Figures(Vec<(&'static str, &'static str, Vec<f64>)>);

impl Figures {
    fn add(&mut self, key: &'static str, unit: &'static str, value: f64) {
        match self.0.iter_mut().find(|(known, _, _)| *known == key) {
            Some((_, _, values)) => values.push(value),
            None => self.0.push((key, unit, vec![value])),
        }
    }

    fn time<T>(&mut self, key: &'static str, run: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let done = run();
        self.add(key, "ms", begun.elapsed().as_secs_f64() * 1e3);
        done
    }
}

/// Least, median, most.
fn spread(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [values[0], values[values.len() / 2], values[values.len() - 1]]
}

/// Lets a server make changes until there are so many events.
fn write(directory: &Path, events: u64) {
    let (journal, recovered) = Journal::open(directory, entry::FORMAT).unwrap();
    drop(recovered);
    let founded = Record::Founded { profile: Profile::default() };
    let founded = Entry { events: Vec::new(), records: vec![founded] };
    journal.append(founded.encode().unwrap());
    let world = World::new(State::empty(Profile::default()));
    let identities = Identities::new(Keys::new(Seed::by_chance()));
    let counts = Arc::<Counts>::default();
    let server = Rc::new(Server::new(world, Some(journal), identities, Clock::Wall, counts));
    let made = Rc::new(Cell::new(0));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|nth| {
                let (server, made) = (Rc::clone(&server), Rc::clone(&made));
                let account = format!("{:012}", 111_111_111_111 + nth / CLIENTS_OF_AN_ACCOUNT);
                tokio::task::spawn_local(async move {
                    let client = Client { server, account, made };
                    let vpcs = client.build(nth).await;
                    client.change(vpcs, events, nth as u64).await;
                })
            })
            .collect();
        for client in clients {
            client.await.unwrap();
        }
    });
    server.close();
}

struct Client {
    server: Rc<Server>,
    account: String,
    /// Events of all clients.
    made: Rc<Cell<u64>>,
}

/// A VPC of a client.
struct Vpc {
    id: String,
    table: String,
    subnet: String,
    instance: String,
    /// Does its instance run?
    runs: bool,
    /// The second subnet, if there is one.
    second: Option<String>,
    peering: Option<String>,
}

impl Client {
    /// One call, which makes so many events.
    async fn ask(&self, form: String, events: u64) -> String {
        let credential = format!("{}/20260101/us-east-1/ec2/aws4_request", self.account);
        let signature =
            format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=x");
        let headers = [
            ("host", "localhost"),
            ("authorization", signature.as_str()),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        let request = Request {
            method: Method::Post,
            path: "/".to_owned(),
            query: String::new(),
            headers: Headers::of(headers).unwrap(),
            body: Bytes::from(format!("Version=2016-11-15&{form}")),
            peer: None,
        };
        let answer = self.server.answer(request).await;
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(answer.status, 200, "{form}: {body}");
        self.made.set(self.made.get() + events);
        body
    }

    /// VPCs with a name, a subnet, instances, and a peering with the next one.
    async fn build(&self, nth: usize) -> Vec<Vpc> {
        let mut vpcs: Vec<Vpc> = Vec::new();
        for n in 0..VPCS_OF_A_CLIENT {
            let tag = "TagSpecification.1.ResourceType=vpc&TagSpecification.1.Tag.1.Key=Name";
            let form = format!(
                "Action=CreateVpc&CidrBlock=10.{n}.0.0/16&{tag}\
                 &TagSpecification.1.Tag.1.Value=vpc-{nth}-{n}"
            );
            let id = id_of(&self.ask(form, 2).await, "vpcId");
            let form = format!("Action=CreateSubnet&VpcId={id}&CidrBlock=10.{n}.0.0/24");
            let subnet = id_of(&self.ask(form, 1).await, "subnetId");
            let mut instance = String::new();
            for _ in 0..INSTANCES_OF_A_VPC {
                let form = format!(
                    "Action=RunInstances&ImageId=ami-12345678&MinCount=1&MaxCount=1&SubnetId={subnet}"
                );
                instance = id_of(&self.ask(form, 1).await, "instanceId");
            }
            let filter = format!("Filter.1.Name=vpc-id&Filter.1.Value.1={id}");
            let tables = self.ask(format!("Action=DescribeRouteTables&{filter}"), 0).await;
            let table = id_of(&tables, "routeTableId");
            let mut peering = None;
            if let Some(last) = vpcs.last() {
                let form =
                    format!("Action=CreateVpcPeeringConnection&VpcId={}&PeerVpcId={id}", last.id);
                let asked = id_of(&self.ask(form, 1).await, "vpcPeeringConnectionId");
                let accept = "Action=AcceptVpcPeeringConnection&VpcPeeringConnectionId";
                self.ask(format!("{accept}={asked}"), 1).await;
                let form = format!(
                    "Action=CreateRoute&RouteTableId={table}&VpcPeeringConnectionId={asked}\
                     &DestinationCidrBlock=10.{}.0.0/16",
                    n - 1
                );
                self.ask(form, 1).await;
                peering = Some(asked);
            }
            vpcs.push(Vpc { id, table, subnet, instance, runs: true, second: None, peering });
        }
        vpcs
    }

    /// Of ten changes, four set a tag; two each make or delete a subnet, set or delete a route, and
    /// start or stop an instance.
    async fn change(&self, mut vpcs: Vec<Vpc>, events: u64, seed: u64) {
        let mut chance = seed;
        let mut below = move |n: u64| {
            // SplitMix64, see `vpclab::base::rng`.
            chance = chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
            vpclab::base::rng::mix(chance) % n
        };
        while self.made.get() < events {
            let n = usize::try_from(below(VPCS_OF_A_CLIENT as u64)).unwrap();
            let vpc = &mut vpcs[n];
            let form = match below(10) {
                0..4 => {
                    let (id, value) = (&vpc.id, below(1_000));
                    format!("Action=CreateTags&ResourceId.1={id}&Tag.1.Key=k&Tag.1.Value={value}")
                }
                4 | 5 => match vpc.second.take() {
                    Some(id) => format!("Action=DeleteSubnet&SubnetId={id}"),
                    None => {
                        let id = &vpc.id;
                        let form =
                            format!("Action=CreateSubnet&VpcId={id}&CidrBlock=10.{n}.1.0/24");
                        vpc.second = Some(id_of(&self.ask(form, 1).await, "subnetId"));
                        continue;
                    }
                },
                6 | 7 => {
                    let (table, third) = (&vpc.table, below(200));
                    let to = match &vpc.peering {
                        Some(peering) => peering,
                        None => continue,
                    };
                    let route =
                        format!("RouteTableId={table}&DestinationCidrBlock=172.16.{third}.0/24");
                    let form = format!("Action=CreateRoute&{route}&VpcPeeringConnectionId={to}");
                    self.ask(form, 1).await;
                    format!("Action=DeleteRoute&{route}")
                }
                _ => {
                    let action = if vpc.runs { "StopInstances" } else { "StartInstances" };
                    vpc.runs = !vpc.runs;
                    format!("Action={action}&InstanceId.1={}", vpc.instance)
                }
            };
            self.ask(form, 1).await;
        }
        black_box(vpcs.iter().map(|vpc| vpc.subnet.len()).sum::<usize>());
    }
}

fn id_of(answer: &str, name: &str) -> String {
    let (_, rest) = answer.split_once(&format!("<{name}>")).expect(answer);
    rest.split('<').next().unwrap().to_owned()
}

/// What was made.
#[derive(Debug)]
struct Made {
    events: usize,
    entries: u64,
    /// Entries behind the last snapshot.
    behind: u64,
    bytes: u64,
    bytes_kept: u64,
}

/// Writes the journal once more, now with a snapshot whenever one is due.
fn keep(from: &Path, to: &Path) -> Made {
    let (journal, recovered) = Journal::open(from, entry::FORMAT).unwrap();
    let (kept, _) = Journal::open(to, entry::FORMAT).unwrap();
    let (mut state, mut events, mut snapshot_at) = (State::empty(Profile::default()), 0, 0);
    let last = recovered.replay(|at, bytes| {
        let entry = Entry::decode(bytes).unwrap();
        events += entry.events.len();
        state.carry_out(&entry);
        kept.append(bytes.to_vec());
        if kept.wants_snapshot() {
            kept.snapshot(kept.position(), state.encode().unwrap());
            snapshot_at = at.get();
        }
        Ok::<(), JournalError>(())
    });
    let entries = last.unwrap().get();
    kept.close().unwrap();
    journal.close().unwrap();
    let bytes = |path: &Path| fs::metadata(path.join("journal.redb")).unwrap().len();
    let behind = entries - snapshot_at;
    Made { events, entries, behind, bytes: bytes(from), bytes_kept: bytes(to) }
}

/// The file, read from its beginning to its end.
fn floor(directory: &Path, figures: &mut Figures) {
    let mut file = fs::File::open(directory.join("journal.redb")).unwrap();
    figures.time("floor: the file is read", || {
        let (mut bytes, mut sum) = (vec![0; 1 << 16], 0_u64);
        loop {
            let read = file.read(&mut bytes).unwrap();
            if read == 0 {
                break black_box(sum);
            }
            sum += bytes[..read].iter().map(|byte| u64::from(*byte)).sum::<u64>();
        }
    });
}

/// From the start of a process to its first answer. It is killed before it tidies anything.
fn process(directory: &Path, figures: &mut Figures) {
    let program =
        std::env::var_os("VPCLAB_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_vpclab").into());
    let begun = Instant::now();
    let mut server = Command::new(program)
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(directory)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.split_once("http://").expect("vpclab serves").1;
    let address = address.split(',').next().unwrap().trim();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /_vpclab/health HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut status = String::new();
    BufReader::new(stream).read_line(&mut status).unwrap();
    let time = begun.elapsed();
    assert_eq!(status.trim_end(), "HTTP/1.1 200 OK");
    figures.add("from start to first answer", "ms", time.as_secs_f64() * 1e3);
    let stat = fs::read_to_string(format!("/proc/{}/stat", server.id())).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    // Hundredths of a second, in the program and in the system.
    let ticks: f64 = [11, 12].map(|n: usize| fields[n].parse::<f64>().unwrap()).iter().sum();
    figures.add("of which processor time", "ms", ticks * 10.0);
    let about = fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let most = about.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kibibytes: f64 = most.trim().trim_end_matches(" kB").parse().unwrap();
    figures.add("memory at most", "MiB", kibibytes / 1024.0);
    server.kill().unwrap();
    server.wait().unwrap();
}

/// The same in this process, one part after the other.
fn parts(directory: &Path, figures: &mut Figures) {
    let (journal, recovered): (Journal, Recovered) = figures
        .time("opening, all pages checked", || Journal::open(directory, entry::FORMAT).unwrap());
    let mut state = figures.time("reading the snapshot", || match recovered.snapshot() {
        Some((_, bytes)) => State::decode(bytes).unwrap(),
        None => State::empty(Profile::default()),
    });
    let mut rows: Vec<Vec<u8>> = Vec::new();
    figures.time("reading the entries", || {
        let read = recovered.replay(|_, bytes| {
            rows.push(bytes.to_vec());
            Ok::<(), JournalError>(())
        });
        read.unwrap();
    });
    let entries: Vec<Entry> = figures.time("decoding the entries", || {
        rows.iter().map(|bytes| Entry::decode(bytes).unwrap()).collect()
    });
    figures.time("carrying out the entries", || {
        entries.iter().for_each(|entry| state.carry_out(entry));
    });
    let world = figures.time("compiling the network", || World::new(state));
    drop(world);
    journal.close().unwrap();
}
