//! A file that uses every key, and the demand that the decoder has asked for every key there is.

use super::*;
use crate::base::diag::{Colour, Sources};
use crate::cloud::peering::Status;
use crate::forward::DropReason;
use crate::scenario::ast::{Action, Because, Bounds, Expect, Loss, Toggle};
use crate::scenario::format::{FLOWS, INSTANCE, PEERING, PING, RUN_INSTANCE, UDP};
use crate::scenario::schema::mappings;
use crate::scenario::shape::{Field, Need};
use crate::scenario::yaml;

/// Every key of the format at least once.
pub(in crate::scenario) const EVERYTHING: &str = include_str!("everything.yaml");

fn decoded(text: &str) -> Decoded {
    let mut sources = Sources::default();
    let id = sources.add("x.yaml", text);
    let mut diagnostics = Diagnostics::default();
    let root = yaml::parse(id, &sources, &mut diagnostics).expect("YAML");
    let decoded = scenario(&root, &mut diagnostics);
    assert!(diagnostics.is_empty(), "{}", diagnostics.render(&sources, Colour::Plain));
    decoded
}

#[test]
fn every_key_of_the_table_is_read() {
    let file = decoded(EVERYTHING).file;
    let items = EVERYTHING.lines().filter(|line| line.starts_with("  - ")).count();
    assert_eq!(file.steps.len(), items, "an action of the table is not decoded");
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

/// A default that the table gives as a value is what the decoder takes when the key is left out.
#[test]
fn the_defaults_of_the_table_are_those_of_the_decoder() {
    for (mapping, text) in [
        (&PING, "steps:\n- ping: {from: a, to: b DEFAULTS}"),
        (&UDP, "steps:\n- udp: {from: a, to: b DEFAULTS}"),
        (&FLOWS, "steps:\n- flows: {pairs: [a -> b] DEFAULTS}"),
        (&RUN_INSTANCE, "steps:\n- run-instance: {name: a, vpc: A DEFAULTS}"),
        (&INSTANCE, "instances:\n  a: {vpc: A DEFAULTS}"),
        (&PEERING, "peerings:\n  AB: {requester: A, accepter: B DEFAULTS}"),
    ] {
        let literal = |field: &'static Field| match field.need {
            Need::Default(text) => text.strip_prefix('`').and_then(|t| t.strip_suffix('`')),
            Need::Required => None,
        };
        let defaults: String = mapping
            .all_fields()
            .filter_map(|field| Some(format!(", {}: {}", field.key, literal(field)?)))
            .collect();
        assert!(!defaults.is_empty(), "{}", mapping.name);
        let file = |with: &str| {
            decoded(&format!("vpclab: 1\nname: x\n{}", text.replace(" DEFAULTS", with))).file
        };
        let (short, long) = (file(""), file(&defaults));
        assert_eq!((short.network, short.steps), (long.network, long.steps), "{defaults}");
    }
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
        matches!(dropped, Some(Expect::Dropped { reason, at: Some(_) }) if reason.value == DropReason::Transit)
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
    assert!(matches!(state, Some(Expect::Peering(s)) if s.value == Status::Active));
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
