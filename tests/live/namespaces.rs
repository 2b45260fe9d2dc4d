//! Namespaces of hosts by themselves: what is in one, and what it sends.
//!
//! The tests are root, or run themselves again as root of a namespace of users. Refuses to start the
//! program but for the commands that are not for the user.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests; a failure names the line")]

use std::env;
use std::fs;
use std::io::{ErrorKind, Read};
use std::net::{IpAddr, TcpListener, UdpSocket};
use std::os::fd::AsFd;
use std::process::Command;

use nix::unistd::Uid;
use vpclab::base::units::Mtu;
use vpclab::live::netns::{self, HostSpec};

use crate::lab::{README, run, until};

/// In a namespace of users if this is not root: the test runs itself again.
fn as_root(test: &str, work: impl FnOnce()) {
    if Uid::effective().is_root() {
        return work();
    }
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user"]).arg(env::current_exe().unwrap());
    let status = command.args(["--exact", test]).status().unwrap();
    assert!(status.success(), "{test} in a namespace of users");
}

/// The next packet of a device, behind its virtio-net header of 10 bytes.
fn packet_of(tun: &mut fs::File) -> Vec<u8> {
    let mut packet = vec![0; 65_600];
    until("the host sends", || match tun.read(&mut packet) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => false,
        got => {
            packet.truncate(got.unwrap());
            true
        }
    });
    packet
}

#[test]
fn a_host_says_what_its_processes_say_and_nothing_else() {
    as_root("namespaces::a_host_says_what_its_processes_say_and_nothing_else", || {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let spec = HostSpec {
            addresses: vec![address("10.0.0.4"), address("10.0.0.5"), address("2600:1f14::4")],
            services: vec![address("169.254.169.254"), address("fd00:ec2::254")],
            mtu: Mtu::ETHERNET,
        };
        let host = netns::make(&spec).unwrap();
        let mut tun = fs::File::from(host.tun);
        let mut next = || packet_of(&mut tun);
        for (from, to) in [("10.0.0.4", "192.0.2.1"), ("2600:1f14::4", "2001:db8::1")] {
            let (from, to) = (address(from), address(to));
            let chosen = netns::within(host.netns.as_fd(), || {
                let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
                let socket = UdpSocket::bind(any).unwrap();
                socket.connect((to, 9)).unwrap();
                socket.send(b"hello").unwrap();
                socket.local_addr().unwrap().ip()
            });
            assert_eq!(chosen.unwrap(), from);
            let packet = next();
            // Behind the virtio-net header of 10 bytes; the checksum is the reader's to finish.
            assert_eq!((packet[0], packet[10] >> 4), (1, if to.is_ipv4() { 4 } else { 6 }));
            assert!(packet.ends_with(b"hello"), "{packet:?}");
        }
        netns::within(host.netns.as_fd(), || {
            for own in spec.addresses.iter().chain(&spec.services) {
                TcpListener::bind((*own, 80)).unwrap();
            }
            let forwards = fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap();
            assert_eq!(forwards.trim(), "0");
        })
        .unwrap();
    });
}

/// What QUIC does for speed. The device would take it in one piece if it were let, its reader not.
#[test]
fn datagrams_come_one_by_one() {
    as_root("namespaces::datagrams_come_one_by_one", || {
        let spec = HostSpec {
            addresses: vec![IpAddr::from([10, 0, 0, 4])],
            services: Vec::new(),
            mtu: Mtu::ETHERNET,
        };
        let host = netns::make(&spec).unwrap();
        // SOL_UDP, UDP_SEGMENT.
        let program = "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); \
                       s.setsockopt(17, 103, 1000); s.sendto(bytes(2500), ('192.0.2.1', 9))";
        let sent = netns::within(host.netns.as_fd(), || {
            Command::new("python3").args(["-c", program]).status().unwrap()
        });
        assert!(sent.unwrap().success());
        let mut tun = fs::File::from(host.tun);
        let lengths: Vec<usize> = (0..3).map(|_| packet_of(&mut tun).len()).collect();
        assert_eq!(lengths, [1_000, 1_000, 500].map(|data| 10 + 28 + data));
    });
}

#[test]
fn hosts_come_in_their_order() {
    as_root("namespaces::hosts_come_in_their_order", || {
        let specs: Vec<HostSpec> = (1..=20)
            .map(|row| HostSpec {
                addresses: vec![IpAddr::from([10, 0, 0, row])],
                services: Vec::new(),
                mtu: Mtu::JUMBO,
            })
            .collect();
        for (host, spec) in netns::make_all(&specs).unwrap().iter().zip(&specs) {
            let here = netns::within(host.netns.as_fd(), || {
                UdpSocket::bind((spec.addresses[0], 0)).is_ok()
            });
            assert!(here.unwrap(), "{spec:?}");
        }
        assert!(netns::make_all(&[]).unwrap().is_empty());
    });
}

#[test]
fn the_inner_commands_are_not_for_the_user() {
    for arguments in [
        &["lab-inside", README][..],
        &["exec-inside", "--mount=900", "--files=901", "--asker=1", "--", "true"][..],
    ] {
        let said = run("test-inside", arguments);
        assert_ne!(said.code, 0, "{said:?}");
        assert!(said.err.contains("start themselves"), "{said:?}");
    }
}
