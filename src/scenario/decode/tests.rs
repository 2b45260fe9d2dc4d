//! A file that uses every key, and the demand that the decoder has asked for every key there is.

use super::*;
use crate::base::diag::{Colour, Sources};
use crate::scenario::ast::{Action, Because, Bounds, Expect, Loss, PeeringState, Toggle};
use crate::scenario::schema::mappings;
use crate::scenario::yaml;

pub(in crate::scenario) const REASONS: &[&str] =
    &["no-route", "transit", "link-loss", "queue-full", "no-such-host", "dest-check"];

/// Every key of the format at least once.
pub(in crate::scenario) const EVERYTHING: &str = include_str!("everything.yaml");

fn decoded(text: &str) -> Decoded {
    let mut sources = Sources::default();
    let id = sources.add("x.yaml", text);
    let mut diagnostics = Diagnostics::default();
    let root = yaml::parse(id, &sources, &mut diagnostics).expect("YAML");
    let decoded = scenario(&root, REASONS, &mut diagnostics);
    assert!(diagnostics.is_empty(), "{}", diagnostics.render(&sources, Colour::Plain));
    decoded
}

#[test]
fn every_key_of_the_table_is_read() {
    decoded(EVERYTHING);
    let mut sources = Sources::default();
    let id = sources.add("n.yaml", "vpclab: 1");
    let mut diagnostics = Diagnostics::default();
    let root = yaml::parse(id, &sources, &mut diagnostics).expect("YAML");
    network(&root, &mut diagnostics, &mut BTreeSet::new());

    let asked = fields::asked::all();
    let missing: Vec<_> = mappings(&[&SCENARIO, &NETWORK_FILE])
        .into_iter()
        .flat_map(|mapping| mapping.all_fields().map(|field| (mapping.name, field.key)))
        .filter(|pair| !asked.contains(pair))
        .collect();
    assert_eq!(missing, []);
}

#[test]
fn what_is_left_out_has_its_documented_default() {
    let file = decoded(
        "vpclab: 1\nname: x\nsteps:\n- ping: a -> b\n- udp: a -> b\n- flows: {pairs: [a -> b]}",
    )
    .file;
    assert_eq!(file.profile.value, Profile::Seed);
    assert_eq!(file.start.value, 1_420_070_400);
    assert_eq!((file.seed, file.settle), (Seed(0), Span::TICK));
    let [ping, udp, flows] = &file.steps[..] else { panic!("three steps") };
    let Action::Ping(ping) = &ping.action else { panic!("a ping") };
    assert_eq!((ping.count.get(), ping.interval, ping.size), (1, Span::from_secs(1), 56));
    let Action::Udp(udp) = &udp.action else { panic!("datagrams") };
    assert_eq!((udp.port, udp.source_port, udp.size, udp.answer), (9, 40_000, 18, Toggle::No));
    let Action::Flows(flows) = &flows.action else { panic!("flows") };
    assert_eq!((flows.packets.get(), flows.rate.to_string().as_str()), (1_000, "1000/s"));
}

#[test]
fn expectations_become_what_they_say() {
    let expect = |action: &str, text: &str| {
        let file = decoded(&format!("vpclab: 1\nname: x\nsteps:\n- {action}\n  expect: {text}"));
        file.file.steps[0].expect.clone().map(|e| e.value)
    };
    let ping = "ping: a -> b";
    assert_eq!(expect(ping, "replied"), Some(Expect::Replied));
    let dropped = expect(ping, "{dropped: transit, at: AB}");
    assert!(
        matches!(dropped, Some(Expect::Dropped { reason, at: Some(_) }) if reason.value.as_str() == "transit")
    );
    let lost = expect(ping, "{reply-lost: misdelivered}");
    assert!(
        matches!(lost, Some(Expect::ReplyLost { loss, at: None }) if loss.value == Loss::Misdelivered)
    );
    let counts =
        expect("flows: {pairs: [a -> b]}", "{delivered: 990..1000, dropped: {link-loss: 3}}");
    let Some(Expect::Counts { delivered: Some(delivered), dropped }) = counts else {
        panic!("counts")
    };
    assert_eq!(Some(delivered.value), Bounds::new(990, 1000));
    assert_eq!(Some(dropped[0].1.value), Bounds::new(3, 3));
    let reaches = expect(
        "ping: {from: a, to: [b, c]}",
        "{reaches: [b], never-reaches: [c], because: {c: no-route}}",
    );
    assert!(
        matches!(reaches, Some(Expect::Reaches { because: Because::Each(each), .. }) if each.len() == 1)
    );
    let state = expect("accept-peering: AB", "{state: active}");
    assert!(matches!(state, Some(Expect::Peering(s)) if s.value == PeeringState::Active));
    let state = expect("describe-route: {table: A, destination: 0.0.0.0/0}", "{state: active}");
    assert!(matches!(state, Some(Expect::Route(_))));
}

#[test]
fn bytes_are_read_from_hexadecimal() {
    let file =
        decoded("vpclab: 1\nname: x\nsteps:\n- send: {from: a, hex: \"45 00\\n ff0A\"}").file;
    let Action::Send(send) = &file.steps[0].action else { panic!("bytes") };
    assert_eq!(send.bytes.value, [0x45, 0x00, 0xff, 0x0a]);
}
