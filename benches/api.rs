//! What a request to the API server costs: until a server answers, one request after the other, and as
//! many as eight clients can ask of one core.
//!
//! Each figure is the median of several rounds, with its spread. It stands beside a floor from the same
//! rounds, which is the same client asking for `/_vpclab/health`, and beside `moto_server` where a Python
//! that has it is given. Servers are processes of their own, held to one core with `taskset`; the
//! clients are threads of this one. Refuses to use the library: it measures what comes over a socket.
//!
//! ```text
//! cargo bench --bench api -- [--rounds 5] [--vpcs 10000] [--moto PYTHON] [--cpu 1] [--json FILE]
//! ```
#![allow(clippy::print_stdout, reason = "the figures are the output")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a bench that cannot run says so and stops"
)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// VPCs of the world in which single requests are timed: as many as an account may have in a region,
/// less a default one and the one that is being made.
const VPCS: usize = 998;
/// VPCs of an account in the larger world.
const VPCS_OF_AN_ACCOUNT: usize = 900;
/// Clients at the same time.
const CLIENTS: usize = 8;
/// How long one question is asked in one round, unless its answers are that slow that there would be
/// fewer than the least number of them.
const QUESTION: Duration = Duration::from_millis(400);
const SAMPLES: std::ops::RangeInclusive<usize> = 25..=1_000;
/// Microseconds for which a call must have waited for a core to count as disturbed. The threads of one
/// server wait for each other for some tens.
const DISTURBED: f64 = 200.0;
/// How long all clients ask in one round.
const RUSH: Duration = Duration::from_millis(1_500);
/// Longer than any server takes to start.
const PATIENCE: Duration = Duration::from_secs(60);

struct Arguments {
    rounds: usize,
    vpcs: usize,
    moto: Option<PathBuf>,
    cpu: String,
    json: Option<PathBuf>,
}

fn main() {
    let argument = |name: &str| std::env::args().skip_while(|arg| arg != name).nth(1);
    let number = |name: &str, default| argument(name).map_or(default, |n| n.parse().unwrap());
    let arguments = Arguments {
        rounds: number("--rounds", 5),
        vpcs: number("--vpcs", 10_000),
        moto: argument("--moto").map(PathBuf::from),
        cpu: argument("--cpu").unwrap_or_else(|| "1".to_owned()),
        json: argument("--json").map(PathBuf::from),
    };
    println!("median (least..most) of {} rounds", arguments.rounds);
    let mut rows = Vec::new();
    starts(&arguments, &mut rows);
    latencies(&arguments, &mut rows);
    rushes(&arguments, &mut rows);
    if let Some(file) = &arguments.json {
        let report = json!({
            "rounds": arguments.rounds,
            "moto": arguments.moto.as_deref().and_then(version_of_moto),
            "clients": CLIENTS,
            "rows": rows,
        });
        fs::write(file, format!("{report:#}\n")).unwrap();
    }
}

fn version_of_moto(python: &Path) -> Option<String> {
    let out = Command::new(python).args(["-c", "import moto; print(moto.__version__)"]).output();
    Some(String::from_utf8(out.ok()?.stdout).ok()?.trim().to_owned())
}

/// A row of the report, printed as well.
fn row(rows: &mut Vec<Value>, topic: &str, case: &str, subject: &str, key: &str, of: Vec<f64>) {
    let [least, median, most] = spread(of);
    println!("{topic:<8}{case:<44}{subject:<18}{key:<10}{median:>10.1} ({least:.1}..{most:.1})");
    rows.push(json!({
        "topic": topic,
        "case": case,
        "subject": subject,
        "key": key,
        "value": {"median": median, "min": least, "max": most},
    }));
}

/// Least, median, most.
fn spread(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [values[0], values[values.len() / 2], values[values.len() - 1]]
}

/// Which server.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Memory,
    Data,
    Moto,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Kind::Memory => "vpclab",
            Kind::Data => "vpclab --data",
            Kind::Moto => "moto_server",
        }
    }
}

/// The servers that are measured.
fn kinds(arguments: &Arguments) -> Vec<Kind> {
    let mut kinds = vec![Kind::Memory, Kind::Data];
    kinds.extend(arguments.moto.is_some().then_some(Kind::Moto));
    kinds
}

/// A server; killed when dropped.
struct Server {
    process: Child,
    address: String,
}

impl Server {
    /// Starts one on this directory, which matters to `--data` alone, and waits for its first answer.
    fn start(arguments: &Arguments, kind: Kind, directory: &Path) -> Server {
        let program =
            std::env::var_os("VPCLAB_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_vpclab").into());
        let mut command = Command::new("taskset");
        command.args(["-c", &arguments.cpu]);
        let mut address = None;
        match kind {
            Kind::Memory => drop(command.arg(program).args(["serve", "--listen", "127.0.0.1:0"])),
            Kind::Data => {
                command.arg(program).args(["serve", "--listen", "127.0.0.1:0", "--data"]);
                command.arg(directory);
            }
            Kind::Moto => {
                // It does not tell which port it has taken.
                let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
                let port = free.port().to_string();
                command.arg(arguments.moto.as_ref().unwrap());
                command.args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port]);
                address = Some(free.to_string());
            }
        }
        let mut process =
            command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("taskset starts");
        let address = address.unwrap_or_else(|| {
            let mut line = String::new();
            BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
            let after = line.split_once("http://").expect("vpclab serves").1;
            after.split(',').next().unwrap().trim().to_owned()
        });
        let server = Server { process, address };
        let begun = Instant::now();
        while server.client().try_ask("100000000000", "Action=DescribeRegions").is_none() {
            assert!(begun.elapsed() < PATIENCE, "{} does not start", kind.name());
            thread::sleep(Duration::from_millis(1));
        }
        server
    }

    fn client(&self) -> Client {
        Client { address: self.address.clone(), stream: None }
    }

    /// Seconds of processor time that it has used. Linux counts hundredths.
    fn cpu_seconds(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks = |n: usize| fields[n].parse::<f64>().unwrap();
        (ticks(11) + ticks(12)) / 100.0
    }
}

impl Server {
    /// Microseconds that the threads of the server and this one could have run and had no core: what
    /// else runs on the machine had it. Of ended threads, nothing.
    fn waited(&self) -> f64 {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.process.id())).unwrap();
        let tasks = tasks.map(|task| task.unwrap().path().join("schedstat"));
        let nanos = tasks.chain([PathBuf::from("/proc/thread-self/schedstat")]).map(|path| {
            let stat = fs::read_to_string(path).unwrap_or_default();
            stat.split(' ').nth(1).and_then(|wait| wait.parse().ok()).unwrap_or(0.0)
        });
        nanos.sum::<f64>() / 1e3
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A client on one connection, which it opens again when the server closes it.
struct Client {
    address: String,
    stream: Option<BufReader<TcpStream>>,
}

impl Client {
    /// A call that must be answered.
    fn ask(&mut self, account: &str, form: &str) -> String {
        self.try_ask(account, form).unwrap_or_else(|| panic!("no answer to {form}"))
    }

    fn try_ask(&mut self, account: &str, form: &str) -> Option<String> {
        let request = format!(
            "POST / HTTP/1.1\r\nHost: localhost\r\nAuthorization: AWS4-HMAC-SHA256 \
             Credential={account}/20260101/us-east-1/ec2/aws4_request, SignedHeaders=host, \
             Signature=x\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\n\r\nVersion=2016-11-15&{form}",
            form.len() + 19,
        );
        self.exchange(&request)
    }

    fn health(&mut self) {
        self.exchange("GET /_vpclab/health HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    }

    /// One request and its answer, which must be 200; `None` if there is no server.
    fn exchange(&mut self, request: &str) -> Option<String> {
        if self.stream.is_none() {
            let stream = TcpStream::connect(&self.address).ok()?;
            stream.set_nodelay(true).unwrap();
            self.stream = Some(BufReader::new(stream));
        }
        let stream = self.stream.as_mut().unwrap();
        stream.get_mut().write_all(request.as_bytes()).ok()?;
        let (mut line, mut length, mut closes, mut status) = (String::new(), 0, false, 0_u16);
        loop {
            line.clear();
            stream.read_line(&mut line).ok()?;
            let lower = line.trim_end().to_ascii_lowercase();
            if let Some(value) = lower.strip_prefix("content-length: ") {
                length = value.parse().unwrap();
            } else if lower == "connection: close" {
                closes = true;
            } else if lower.starts_with("http/1.") {
                status = lower.split(' ').nth(1).unwrap().parse().unwrap();
            } else if lower.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).ok()?;
        if closes {
            self.stream = None;
        }
        let body = String::from_utf8(body).unwrap();
        assert_eq!(status, 200, "{request}\n{body}");
        Some(body)
    }
}

/// A directory of its own on the disk of the build, not in memory.
fn directory(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("api").join(name);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    path
}

/// From the start of the process to its first answer.
fn starts(arguments: &Arguments, rows: &mut Vec<Value>) {
    for kind in kinds(arguments) {
        let times = (0..arguments.rounds).map(|_| {
            let directory = directory("start");
            let begun = Instant::now();
            let server = Server::start(arguments, kind, &directory);
            let time = begun.elapsed();
            drop(server);
            time.as_secs_f64() * 1e3
        });
        row(rows, "start", "with an empty world", kind.name(), "ms", times.collect());
    }
}

/// A VPC of a world.
#[derive(Clone)]
struct Vpc {
    account: String,
    id: String,
    /// Its block is 10.n.0.0/16.
    n: usize,
}

/// Makes so many VPCs, spread over accounts so that none has more than `of_each`.
fn build(server: &Server, vpcs: usize, of_each: usize) -> Vec<Vpc> {
    thread::scope(|scope| {
        let running: Vec<_> = (0..CLIENTS)
            .map(|nth| {
                scope.spawn(move || {
                    let mut client = server.client();
                    let make = |at: usize| {
                        let account = format!("{:012}", 111_111_111_111 + at / of_each);
                        let n = at % 250;
                        let tag =
                            "TagSpecification.1.ResourceType=vpc&TagSpecification.1.Tag.1.Key=Name";
                        let form = format!(
                            "Action=CreateVpc&CidrBlock=10.{n}.0.0%2F16&{tag}\
                             &TagSpecification.1.Tag.1.Value=vpc-{at}"
                        );
                        let id = id_of(&client.ask(&account, &form), "vpcId");
                        Vpc { account, id, n }
                    };
                    (0..vpcs).filter(|at| at % CLIENTS == nth).map(make).collect::<Vec<_>>()
                })
            })
            .collect();
        running.into_iter().flat_map(|running| running.join().unwrap()).collect()
    })
}

fn id_of(answer: &str, name: &str) -> String {
    let (_, rest) = answer.split_once(&format!("<{name}>")).expect(answer);
    rest.split('<').next().unwrap().to_owned()
}

fn subnet(vpc: &Vpc, third: usize) -> String {
    format!("Action=CreateSubnet&VpcId={}&CidrBlock=10.{}.{third}.0%2F24", vpc.id, vpc.n)
}

/// One request after the other on one connection.
fn latencies(arguments: &Arguments, rows: &mut Vec<Value>) {
    let mut floor = Times::default();
    for kind in kinds(arguments) {
        let server = Server::start(arguments, kind, &directory("latency"));
        let vpcs = build(&server, VPCS, usize::MAX);
        let mut client = server.client();
        let account = vpcs[0].account.clone();
        for vpc in &vpcs {
            client.ask(&account, &subnet(vpc, 0));
        }
        type Question = (&'static str, fn(&Vpc, usize) -> String);
        let questions: [Question; 5] = [
            ("CreateVpc", |_, n| format!("Action=CreateVpc&CidrBlock=10.{}.0.0%2F16", n % 250)),
            ("DescribeVpcs of an id", |vpc, _| format!("Action=DescribeVpcs&VpcId.1={}", vpc.id)),
            ("DescribeVpcs with a tag's value", |_, n| {
                let name = "Filter.1.Name=tag%3AName&Filter.1.Value.1";
                format!("Action=DescribeVpcs&{name}=vpc-{}", n % VPCS)
            }),
            ("DescribeSubnets of a VPC", |vpc, _| {
                let name = "Filter.1.Name=vpc-id&Filter.1.Value.1";
                format!("Action=DescribeSubnets&{name}={}", vpc.id)
            }),
            ("CreateTags", |vpc, n| {
                format!("Action=CreateTags&ResourceId.1={}&Tag.1.Key=k&Tag.1.Value={n}", vpc.id)
            }),
        ];
        for (name, form) in questions {
            let mut times = Times::default();
            for round in 0..arguments.rounds {
                if kind == Kind::Memory {
                    floor.add(timed(&server, |_| timed_once(|| client.health())));
                }
                times.add(timed(&server, |nth| {
                    // Another one each time: 389 and the number of VPCs have no common divisor.
                    let n = round * 7 + nth * 389;
                    let form = form(&vpcs[n % VPCS], n);
                    let mut answer = String::new();
                    let time = timed_once(|| answer = client.ask(&account, &form));
                    if name == "CreateVpc" {
                        let made = id_of(&answer, "vpcId");
                        client.ask(&account, &format!("Action=DeleteVpc&VpcId={made}"));
                    }
                    time
                }));
            }
            times.rows(rows, name, kind.name());
        }
    }
    floor.rows(rows, "health", "floor");
}

/// Percentiles of the rounds of one question, in microseconds, and how many of a hundred calls were
/// disturbed.
#[derive(Default)]
struct Times {
    middle: Vec<f64>,
    slow: Vec<f64>,
    slow_undisturbed: Vec<f64>,
    disturbed: Vec<f64>,
}

impl Times {
    /// One more round: times, and how long each call waited for a core.
    fn add(&mut self, calls: Vec<(f64, f64)>) {
        let mut times: Vec<f64> = calls.iter().map(|(time, _)| *time).collect();
        let undisturbed = calls.iter().filter(|(_, waited)| *waited < DISTURBED);
        let mut undisturbed: Vec<f64> = undisturbed.map(|(time, _)| *time).collect();
        let share = 1.0 - undisturbed.len() as f64 / times.len() as f64;
        self.disturbed.push(share * 100.0);
        if !undisturbed.is_empty() {
            self.slow_undisturbed.push(percentile(&mut undisturbed, 99));
        }
        self.middle.push(percentile(&mut times, 50));
        self.slow.push(percentile(&mut times, 99));
    }

    fn rows(self, rows: &mut Vec<Value>, case: &str, subject: &str) {
        row(rows, "one", case, subject, "p50, us", self.middle);
        row(rows, "one", case, subject, "p99, us", self.slow);
        if !self.slow_undisturbed.is_empty() {
            row(rows, "one", case, subject, "p99 undisturbed, us", self.slow_undisturbed);
        }
        row(rows, "one", case, subject, "disturbed, %", self.disturbed);
    }
}

/// Times of one question in one round, and how long each call waited for a core, in microseconds.
fn timed(server: &Server, mut ask: impl FnMut(usize) -> f64) -> Vec<(f64, f64)> {
    let begun = Instant::now();
    let mut times = Vec::new();
    let mut waited = server.waited();
    while times.len() < *SAMPLES.start()
        || begun.elapsed() < QUESTION && times.len() < *SAMPLES.end()
    {
        let time = ask(times.len());
        let since = server.waited();
        times.push((time, since - waited));
        waited = since;
    }
    times
}

/// Microseconds.
fn timed_once(run: impl FnOnce()) -> f64 {
    let begun = Instant::now();
    run();
    begun.elapsed().as_secs_f64() * 1e6
}

/// The least time that so many of a hundred do not exceed.
fn percentile(times: &mut [f64], percent: usize) -> f64 {
    times.sort_by(f64::total_cmp);
    times[(times.len() * percent).div_ceil(100).max(1) - 1]
}

/// As many requests as the clients together can ask: of ten, seven read a VPC, two make or delete a
/// subnet, one sets a tag.
fn rushes(arguments: &Arguments, rows: &mut Vec<Value>) {
    let health = |client: &mut Client, _: &mut Own| client.health();
    for kind in kinds(arguments) {
        let sizes = if kind == Kind::Moto { vec![VPCS] } else { vec![VPCS, arguments.vpcs] };
        for size in sizes {
            let directory = directory("rush");
            let server = Server::start(arguments, kind, &directory);
            let vpcs = build(&server, size, VPCS_OF_AN_ACCOUNT);
            let case = format!("{} VPCs", if size == VPCS { 1_000 } else { size });
            if kind == Kind::Memory && size != VPCS {
                rush(arguments, rows, &server, &vpcs, ("health", "floor"), health);
            }
            rush(arguments, rows, &server, &vpcs, (&case, kind.name()), mixed);
            drop(server);
            if kind == Kind::Data {
                let times = (0..arguments.rounds).map(|_| {
                    let begun = Instant::now();
                    drop(Server::start(arguments, kind, &directory));
                    begun.elapsed().as_secs_f64() * 1e3
                });
                let case = format!("with {case} on disk");
                row(rows, "start", &case, kind.name(), "ms", times.collect());
            }
        }
    }
}

/// What one client has to itself.
struct Own {
    vpcs: Vec<Vpc>,
    chance: u64,
    /// The subnet that it has made, and its account.
    made: Option<(String, String)>,
}

impl Own {
    /// SplitMix64, see `vpclab::base::rng`.
    fn below(&mut self, n: usize) -> usize {
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.chance ^ (self.chance >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) as usize % n
    }
}

/// One request of the mix.
fn mixed(client: &mut Client, own: &mut Own) {
    let at = own.below(own.vpcs.len());
    match own.below(10) {
        0..7 => {
            let vpc = &own.vpcs[at];
            client.ask(&vpc.account, &format!("Action=DescribeVpcs&VpcId.1={}", vpc.id));
        }
        7 | 8 => match own.made.take() {
            Some((account, id)) => {
                client.ask(&account, &format!("Action=DeleteSubnet&SubnetId={id}"));
            }
            None => {
                let vpc = &own.vpcs[at];
                let answer = client.ask(&vpc.account, &subnet(vpc, 1));
                own.made = Some((vpc.account.clone(), id_of(&answer, "subnetId")));
            }
        },
        _ => {
            let value = own.below(1_000);
            let vpc = &own.vpcs[at];
            let form = format!("ResourceId.1={}&Tag.1.Key=k&Tag.1.Value={value}", vpc.id);
            client.ask(&vpc.account, &format!("Action=CreateTags&{form}"));
        }
    }
}

fn rush(
    arguments: &Arguments,
    rows: &mut Vec<Value>,
    server: &Server,
    vpcs: &[Vpc],
    (case, subject): (&str, &str),
    ask: fn(&mut Client, &mut Own),
) {
    let mut owns: Vec<Own> = (0..CLIENTS)
        .map(|nth| {
            let vpcs = vpcs.iter().skip(nth).step_by(CLIENTS).cloned().collect();
            Own { vpcs, chance: nth as u64, made: None }
        })
        .collect();
    let (mut rates, mut costs) = (Vec::new(), Vec::new());
    for _ in 0..arguments.rounds {
        let (begun, cpu) = (Instant::now(), server.cpu_seconds());
        let calls: usize = thread::scope(|scope| {
            let running: Vec<_> = owns
                .iter_mut()
                .map(|own| {
                    scope.spawn(move || {
                        let mut client = server.client();
                        let mut calls = 0;
                        while begun.elapsed() < RUSH {
                            ask(&mut client, own);
                            calls += 1;
                        }
                        calls
                    })
                })
                .collect();
            running.into_iter().map(|running| running.join().unwrap()).sum()
        });
        rates.push(calls as f64 / begun.elapsed().as_secs_f64());
        costs.push((server.cpu_seconds() - cpu) * 1e6 / calls as f64);
    }
    row(rows, "rush", case, subject, "calls/s", rates);
    row(rows, "rush", case, subject, "CPU us", costs);
}
