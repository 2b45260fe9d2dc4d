//! The folder's contract from outside.

use super::*;

#[test]
fn a_ping_and_its_answer() {
    let ping = build::echo(
        EchoKind::Request,
        "10.1.0.10".parse().unwrap(),
        "10.2.0.10".parse().unwrap(),
        7,
        1,
        &[0; 56],
    )
    .unwrap();
    assert_eq!(
        format!("{ping:?}"),
        "Packet(10.1.0.10 > 10.2.0.10 icmp, icmp echo request, 84 bytes)"
    );
    let pong = build::echo_reply(&ping).unwrap();
    assert_eq!(
        format!("{pong:?}"),
        "Packet(10.2.0.10 > 10.1.0.10 icmp, icmp echo reply, 84 bytes)"
    );
}
