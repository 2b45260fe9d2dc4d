//! Who reaches whom, asked with ping, curl, traceroute and nmap; and what the kernels learn of paths.

use crate::lab::{DUAL, Lab, README, until};

/// A web server on a host, in a directory that is always there and as good as empty.
fn serve(lab: &Lab, host: &str, port: u16) -> crate::lab::Running {
    let number = port.to_string();
    let command = ["python3", "-m", "http.server", "--directory", "/proc/self/net", &number];
    let running = lab.start(host, &command);
    lab.wait_for_port(host, port);
    running
}

/// Fetches a page; curl's own exit code. 7 is refused, 28 is no answer in time.
fn fetch(lab: &Lab, host: &str, url: &str) -> i32 {
    lab.exec(host, &["curl", "-sS", "-g", "-o", "/dev/null", "--max-time", "4", url]).code
}

#[test]
fn pings_pass_one_peering_and_no_second() {
    let lab = Lab::up(README, "pings");
    for (from, to, want) in [
        ("b", "10.0.0.4", true),
        ("a", "10.1.0.4", true),
        ("c", "a", true),
        ("b", "a", true),
        ("b", "b", true),
        // B's table sends it to A, where it ends.
        ("b", "c", false),
        ("c", "b", false),
        // Nobody has it, and nothing leads there.
        ("b", "10.0.0.99", false),
        ("b", "192.0.2.1", false),
    ] {
        assert_eq!(lab.ping(from, to), want, "{from} to {to}");
    }
    // A host has its own address on its device, and the VPC's frame size.
    let said = lab.exec("b", &["ip", "-o", "addr", "show", "dev", "eth0"]).fine();
    assert!(said.contains("inet 10.1.0.4/"), "{said}");
    let said = lab.exec("b", &["ip", "-o", "link", "show", "dev", "eth0"]).fine();
    assert!(said.contains("mtu 9001"), "{said}");
    lab.down();
}

#[test]
fn pages_pass_and_refusals_come_back() {
    let lab = Lab::up(README, "pages");
    let _server = serve(&lab, "a", 8000);
    for (host, url, want) in [
        ("b", "http://a:8000/", 0),
        ("c", "http://10.0.0.4:8000/", 0),
        ("a", "http://10.0.0.4:8000/", 0),
        // Nobody listens: the kernel's reset comes back over the peering.
        ("b", "http://a:8001/", 7),
        ("b", "http://c:8000/", 28),
    ] {
        assert_eq!(fetch(&lab, host, url), want, "{host} fetches {url}");
    }
}

#[test]
fn groups_guard_real_processes() {
    let lab = Lab::up(DUAL, "groups");
    let _allowed = serve(&lab, "guarded", 8080);
    let _other = serve(&lab, "guarded", 8081);
    assert_eq!(fetch(&lab, "a", "http://guarded:8080/"), 0);
    assert_eq!(fetch(&lab, "a", "http://guarded:8081/"), 28);
    // B's own blocks are not among those that may ask.
    assert_eq!(fetch(&lab, "b", "http://guarded:8080/"), 28);
    assert!(!lab.ping("a", "guarded"));
    // What the guarded host begins is answered.
    assert!(lab.ping("guarded", "a"));
}

#[test]
fn ipv6_passes_as_ipv4_does() {
    let lab = Lab::up(DUAL, "ipv6");
    for (from, to, want) in [
        ("b", "2001:db8:1234:aa00::4", true),
        ("a", "2001:db8:1234:bb00::4", true),
        ("a", "2001:db8:1234:aa00::5", true),
        ("b", "2001:db8:1234:cc00::4", false),
    ] {
        let want_also = lab.exec(from, &["ping", "-6", "-n", "-c1", "-W2", to]).code == 0;
        assert_eq!(want_also, want, "{from} to {to}");
    }
    let server = ["python3", "-m", "http.server", "--bind", "::", "--directory", "/proc/self/net"];
    let _server = lab.start("a", &[&server[..], &["8000"]].concat());
    lab.wait_for_port("a", 8000);
    assert_eq!(fetch(&lab, "b", "http://[2001:db8:1234:aa00::4]:8000/"), 0);
}

/// The hosts have frames of 9,001 bytes, and a peering of 2014 carries 1,500: the message that says so
/// comes back to the kernel, which keeps it.
#[test]
fn kernels_learn_the_mtu_of_a_path() {
    let lab = Lab::up(README, "pmtud");
    let said = lab.exec("b", &["ping", "-n", "-M", "do", "-c2", "-i0.3", "-W2", "-s8000", "a"]);
    assert_ne!(said.code, 0, "{said:?}");
    let told = format!("{}{}", said.out, said.err).to_lowercase();
    assert!(told.contains("mtu") && told.contains("1500"), "{said:?}");
    let route = lab.exec("b", &["ip", "route", "get", "10.0.0.4"]).fine();
    assert!(route.contains("mtu 1500"), "{route}");
    let fits = lab.exec("b", &["ping", "-n", "-M", "do", "-c1", "-W2", "-s1472", "a"]);
    assert_eq!(fits.code, 0, "{fits:?}");
    // TCP offers segments of 8,961 bytes and finds out. `c` has not been told of the path so far.
    let program = "import http.server as h\n\
        class H(h.BaseHTTPRequestHandler):\n\
        \x20def do_GET(s):\n\
        \x20 s.send_response(200); s.end_headers(); s.wfile.write(bytes(5_000_000))\n\
        h.HTTPServer(('', 8000), H).serve_forever()";
    let _server = lab.start("a", &["python3", "-c", program]);
    lab.wait_for_port("a", 8000);
    let fetch = ["curl", "-sS", "--max-time", "30", "-o", "/dev/null", "-w", "%{size_download}"];
    let size = lab.exec("c", &[&fetch[..], &["http://a:8000/"]].concat()).fine();
    assert_eq!(size, "5000000");
    let route = lab.exec("a", &["ip", "route", "get", "10.2.0.10"]).fine();
    assert!(route.contains("mtu 1500"), "{route}");
}

#[test]
fn the_latency_of_the_file_passes() {
    let lab = Lab::up(DUAL, "latency");
    let said = lab.exec("a", &["ping", "-n", "-c3", "-i0.2", "-W2", "c"]).fine();
    // 20 ms there and 20 ms back, and never less; how much more is the machine's affair.
    let times = said.lines().filter_map(|line| line.split_once("time=")?.1.split(' ').next());
    let times: Vec<f64> = times.filter_map(|time| time.parse().ok()).collect();
    assert_eq!(times.len(), 3, "{said}");
    assert!(times.iter().all(|time| *time >= 40.0), "{said}");
}

/// A VPC has no router that would lower a hop limit: the other host is the first hop.
#[test]
fn traceroute_finds_one_hop() {
    let lab = Lab::up(README, "traceroute");
    for (from, to, address) in [("b", "a", "10.0.0.4"), ("a", "c", "10.2.0.10")] {
        let said = lab.exec(from, &["traceroute", "-n", "-q1", "-w2", "-m5", to]).fine();
        let hops: Vec<&str> = said.lines().skip(1).collect();
        assert_eq!(hops.len(), 1, "{said}");
        assert!(hops[0].trim_start().starts_with(&format!("1  {address} ")), "{said}");
    }
    let said = lab.exec("b", &["traceroute", "-n", "-q1", "-w1", "-m2", "c"]).fine();
    assert!(said.lines().skip(1).all(|hop| hop.trim_end().ends_with('*')), "{said}");
}

#[test]
fn nmap_sees_who_is_up() {
    let lab = Lab::up(README, "nmap");
    let said =
        lab.exec("b", &["nmap", "-sn", "-n", "-oG", "-", "10.0.0.4", "10.0.0.5", "10.2.0.10"]);
    let said = said.fine();
    let up: Vec<&str> = said.lines().filter(|line| line.ends_with("Status: Up")).collect();
    assert_eq!(up.len(), 1, "{said}");
    assert!(up[0].starts_with("Host: 10.0.0.4 "), "{said}");
}

/// What the hosts sent is in the capture, and the drop as well.
#[test]
fn packets_are_captured_while_they_pass() {
    let file = std::env::temp_dir().join(format!("{}.pcapng", crate::lab::name("capture")));
    let path = file.to_str().unwrap_or_default();
    let lab = Lab::up_with(README, "capture", &["--pcap", path]);
    assert!(lab.ping("b", "a"));
    assert!(!lab.ping("b", "c"));
    let read = || {
        let command = ["-r", path, "-Y", "icmp.type == 8", "-T", "fields", "-e", "ip.dst"];
        let said = std::process::Command::new("tshark").args(command).output();
        said.map(|said| String::from_utf8_lossy(&said.stdout).into_owned()).unwrap_or_default()
    };
    until("the capture has both pings", || {
        let said = read();
        said.lines().any(|line| line == "10.0.0.4") && said.lines().any(|line| line == "10.2.0.10")
    });
    lab.down();
    assert!(read().lines().any(|line| line == "10.0.0.4"));
    let _ = std::fs::remove_file(file);
}
