//! What a host finds beside its network: names, a resolver, metadata of itself.

use crate::lab::{DUAL, Lab, README};

/// What the C library makes of a name, with and without the file of hosts.
fn look_up(lab: &Lab, host: &str, name: &str) -> Option<String> {
    let said = lab.exec(host, &["getent", "ahostsv4", name]);
    (said.code == 0).then(|| said.out.split_whitespace().next().unwrap_or_default().to_owned())
}

#[test]
fn names_of_instances_resolve() {
    let lab = Lab::up(DUAL, "names");
    for (host, name, want) in [
        ("a", "b", Some("10.1.0.4")),
        ("a", "guarded", Some("10.1.0.5")),
        ("a", "localhost", Some("127.0.0.1")),
        ("a", "ip-10-0-0-5.ec2.internal", Some("10.0.0.5")),
        // By the search list.
        ("a", "ip-10-0-0-5", Some("10.0.0.5")),
        // Across a peering, as it is today.
        ("a", "ip-10-1-0-4.ec2.internal", Some("10.1.0.4")),
        ("b", "ip-10-2-0-4.ec2.internal", None),
        // C has no hostnames.
        ("c", "ip-10-2-0-4.ec2.internal", None),
        // Nothing beyond the emulated world.
        ("a", "example.com", None),
    ] {
        assert_eq!(look_up(&lab, host, name).as_deref(), want, "{host} asks for {name}");
    }
    let back = lab.exec("a", &["getent", "hosts", "10.0.0.5"]).fine();
    assert!(back.contains("a2") || back.contains("ip-10-0-0-5.ec2.internal"), "{back}");
}

#[test]
fn metadata_says_who_a_host_is() {
    let lab = Lab::up(README, "metadata");
    let get = |host: &str, path: &str, more: &[&str]| {
        let url = format!("http://169.254.169.254/latest/{path}");
        let command = ["curl", "-sS", "-f", "--max-time", "5"];
        lab.exec(host, &[&command[..], more, &[&url]].concat())
    };
    for (host, address) in [("a", "10.0.0.4"), ("b", "10.1.0.4"), ("c", "10.2.0.10")] {
        assert_eq!(get(host, "meta-data/local-ipv4", &[]).fine(), address);
        let mac = get(host, "meta-data/mac", &[]).fine();
        assert!(mac.starts_with("02:") && mac.len() == 17, "{mac}");
    }
    let ids = ["a", "b", "c"].map(|host| get(host, "meta-data/instance-id", &[]).fine());
    assert!(ids.iter().all(|id| id.starts_with("i-")), "{ids:?}");
    assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2], "{ids:?}");
    // An instance is known by its id as by its label.
    assert!(lab.exec(&ids[1], &["ip", "addr"]).fine().contains("10.1.0.4"));

    let ttl = ["-X", "PUT", "-H", "X-aws-ec2-metadata-token-ttl-seconds: 60"];
    let token = get("b", "api/token", &ttl).fine();
    let header = format!("X-aws-ec2-metadata-token: {token}");
    assert_eq!(get("b", "meta-data/local-ipv4", &["-H", &header]).fine(), "10.1.0.4");
    // 22 is curl's word for a page that is refused.
    let other = get("b", "meta-data/local-ipv4", &["-H", "X-aws-ec2-metadata-token: no"]);
    assert_eq!(other.code, 22, "{other:?}");
    assert_eq!(get("b", "meta-data/iam", &[]).code, 22);
}
