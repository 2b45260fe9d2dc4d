//! The network changes under running traffic: EC2 requests while real pings go on.
//!
//! curl signs the requests as AWS's own clients do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests; a failure names the line"
)]

use std::net::TcpListener;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use crate::lab::{Lab, README, until};

/// One EC2 request; the answer as XML.
#[track_caller]
fn ask(address: &str, parameters: &[(&str, &str)]) -> String {
    let mut command = Command::new("curl");
    command.args(["-sS", "--noproxy", "*", "--max-time", "20"]);
    command.args(["--aws-sigv4", "aws:amz:us-east-1:ec2", "--user", "123456789012:secret"]);
    command.args(["--data-urlencode", "Version=2016-11-15"]);
    for (name, value) in parameters {
        command.args(["--data-urlencode", &format!("{name}={value}")]);
    }
    let said = command.arg(format!("http://{address}/")).output().expect("curl is installed");
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.status.success() && !text.contains("<Error>"), "{parameters:?}: {text} {said:?}");
    text
}

/// The first value of this name.
#[track_caller]
fn value(xml: &str, name: &str) -> String {
    let rest = xml.split_once(&format!("<{name}>")).map(|(_, rest)| rest);
    let value = rest.and_then(|rest| rest.split_once('<'));
    value.unwrap_or_else(|| panic!("no {name} in {xml}")).0.to_owned()
}

/// The VPC with this block, and its main table.
fn vpc(address: &str, cidr: &str) -> (String, String) {
    let by_cidr =
        [("Action", "DescribeVpcs"), ("Filter.1.Name", "cidr"), ("Filter.1.Value.1", cidr)];
    let vpc = value(&ask(address, &by_cidr), "vpcId");
    let main = [
        ("Action", "DescribeRouteTables"),
        ("Filter.1.Name", "vpc-id"),
        ("Filter.1.Value.1", &vpc),
        ("Filter.2.Name", "association.main"),
        ("Filter.2.Value.1", "true"),
    ];
    let table = value(&ask(address, &main), "routeTableId");
    (vpc, table)
}

#[test]
fn a_running_ping_follows_the_routes() {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let address = free.unwrap().to_string();
    let lab = Lab::up_with(README, "api", &["--api", &address]);
    let ping = lab.start("b", &["ping", "-n", "-i0.1", "c"]);
    let answers = || ping.said().matches("bytes from").count();
    assert!(lab.ping("b", "a"));
    sleep(Duration::from_millis(500));
    assert_eq!(answers(), 0, "{}", ping.said());

    let (b, table_of_b) = vpc(&address, "10.1.0.0/16");
    let (c, table_of_c) = vpc(&address, "10.2.0.0/16");
    let request = [("Action", "CreateVpcPeeringConnection"), ("VpcId", &b), ("PeerVpcId", &c)];
    let peering = value(&ask(&address, &request), "vpcPeeringConnectionId");
    let named = ("VpcPeeringConnectionId", peering.as_str());
    ask(&address, &[("Action", "AcceptVpcPeeringConnection"), named]);
    for (table, cidr) in [(&table_of_b, "10.2.0.0/16"), (&table_of_c, "10.1.0.0/16")] {
        let route = ("RouteTableId", table.as_str());
        let destination = ("DestinationCidrBlock", cidr);
        ask(&address, &[("Action", "ReplaceRoute"), route, destination, named]);
    }
    until("the ping is answered", || answers() >= 3);

    ask(&address, &[("Action", "DeleteVpcPeeringConnection"), named]);
    // What was on its way has come, or never will.
    sleep(Duration::from_millis(500));
    let by_then = answers();
    sleep(Duration::from_secs(1));
    assert_eq!(answers(), by_then, "{}", ping.said());
    assert!(lab.ping("b", "a"));
}

/// Instances come and go with the API: who is started can be entered, what runs on one that is
/// terminated ends, and a world that is emptied and built again is as good as the first.
#[test]
fn instances_live_and_end_with_the_api() {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let address = free.unwrap().to_string();
    let lab = Lab::up_with(README, "emptied", &["--api", &address]);
    let mut sleeping = lab.start("c", &["sleep", "1000"]);
    let by_name =
        [("Action", "DescribeInstances"), ("Filter.1.Name", "tag:Name"), ("Filter.1.Value.1", "c")];
    let c = value(&ask(&address, &by_name), "instanceId");
    ask(&address, &[("Action", "TerminateInstances"), ("InstanceId.1", &c)]);
    assert_ne!(sleeping.end(), 0, "it was killed");
    let pair = || {
        let made = [("Action", "CreateVpc"), ("CidrBlock", "10.7.0.0/16")];
        let vpc = value(&ask(&address, &made), "vpcId");
        let made = [("Action", "CreateSubnet"), ("VpcId", &vpc), ("CidrBlock", "10.7.1.0/24")];
        let subnet = value(&ask(&address, &made), "subnetId");
        let run = [
            ("Action", "RunInstances"),
            ("ImageId", "ami-12345678"),
            ("MinCount", "2"),
            ("MaxCount", "2"),
            ("SubnetId", &subnet),
        ];
        let xml = ask(&address, &run);
        let ids: Vec<String> = xml
            .split("<instanceId>")
            .skip(1)
            .filter_map(|rest| Some(rest.split_once('<')?.0.to_owned()))
            .collect();
        ids
    };
    let reset = || {
        let url = format!("http://{address}/_vpclab/reset");
        let said = Command::new("curl").args(["-sS", "--noproxy", "*", "-XPOST", &url]).output();
        assert!(said.unwrap().status.success());
    };
    // As fast as a test suite does it: the ids of the second world are those of the first.
    reset();
    let first = pair();
    let talks = |id: &str| lab.exec(id, &["ping", "-n", "-c1", "-W1", "10.7.1.5"]).code == 0;
    until("the first pair talks", || talks(&first[0]));
    reset();
    let second = pair();
    assert_eq!(first, second);
    until("the second pair talks", || talks(&second[0]));
}
