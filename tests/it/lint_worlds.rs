//! Lint against packets, in every small world: what is lost by a route has a finding, and what has a
//! finding is lost.
//!
//! Refuses to repeat the forwarder: what becomes of a packet is what `support/small.rs` expects.
#![allow(clippy::unwrap_used, reason = "helpers of tests; a failure names the line")]

use vpclab::forward::middlebox::Middleboxes;
use vpclab::forward::{DropReason, Rows};
use vpclab::reach::lint::{self, Evidence, Finding, LintRule, Subject};
use vpclab::wire::Packet;

use crate::support::family::{Tally, families, visit};
use crate::support::small::{Defaults, Expected, Shape, SmallWorld, Stage};

/// The findings about the main table of a VPC of the world.
fn about(world: &SmallWorld, findings: &[Finding], x: usize) -> Vec<Finding> {
    let vpc = world.lab.cloud.interface(world.hosts[x]).unwrap().vpc;
    let subject = Subject::Table(world.lab.main_table(vpc));
    findings.iter().filter(|finding| finding.subject == subject).cloned().collect()
}

fn has(findings: &[Finding], rules: &[LintRule]) -> bool {
    findings.iter().any(|finding| rules.contains(&finding.rule()))
}

/// Does the answer to what `x` sent to `z` reach `x`?
fn returns(world: &SmallWorld, x: usize, z: usize) -> bool {
    world.expected(z, x) == Expected::Host(x)
}

fn look_at(world: &SmallWorld, _: &Rows, packets: &[(usize, usize, Packet)], tally: &mut Tally) {
    use LintRule::{
        AsymmetricReturn, BlackholeRoute, EdgeTransit, HubTransit, NoReturnRoute, NotInPeer,
        PartialReturn, WiderThanPeer,
    };
    const BEYOND: &[LintRule] = &[HubTransit, EdgeTransit, NotInPeer, WiderThanPeer];
    const RETURN: &[LintRule] = &[NoReturnRoute, PartialReturn, AsymmetricReturn];
    tally.worlds += 1;
    let findings = lint::check(&world.lab.cloud, &Middleboxes::default(), world.lab.now);
    for (x, y, _) in packets {
        let of_x = about(world, &findings, *x);
        let context = || {
            format!(
                "{x} -> {y}\n{:?}\n{:?}\n{:?}\n{of_x:#?}",
                world.shape, world.digits, world.stages
            )
        };
        // What is lost has a finding.
        match world.expected(*x, *y) {
            Expected::Dropped(DropReason::Transit) => assert!(has(&of_x, BEYOND), "{}", context()),
            Expected::Dropped(DropReason::Blackhole) => {
                assert!(has(&of_x, &[BlackholeRoute]), "{}", context());
            }
            Expected::Host(z) if z != *x => {
                assert!(returns(world, *x, z) || has(&of_x, RETURN), "{}", context());
            }
            Expected::Host(_) | Expected::Dropped(_) => {}
        }
    }
    for x in 0..world.hosts.len() {
        // What has a finding is lost, where every peering is active.
        if world.stages.iter().any(|stage| *stage != Stage::Active) {
            continue;
        }
        let of_x = about(world, &findings, x);
        let others = || (0..world.hosts.len()).filter(move |y| *y != x);
        let fates = || others().map(|y| world.expected(x, y));
        let lost = fates().any(|fate| match fate {
            Expected::Host(z) => z != x && !returns(world, x, z),
            Expected::Dropped(_) => false,
        });
        assert_eq!(has(&of_x, RETURN), lost, "{x}\n{:?}\n{of_x:#?}", world.digits);
        assert!(!has(&of_x, &[BlackholeRoute]));
        for finding in &of_x {
            let Evidence::HubTransit { beyond, .. } = &finding.evidence else { continue };
            for spoke in beyond {
                let is_spoke = |y: &usize| {
                    world.lab.cloud.interface(world.hosts[*y]).unwrap().vpc == spoke.vpc
                };
                let y = others().find(is_spoke).unwrap();
                let fate = world.expected(x, y);
                assert_eq!(fate, Expected::Dropped(DropReason::Transit), "{x} -> {y}");
            }
        }
    }
}

/// Three VPCs with different blocks, every graph of active peerings, every table, default routes
/// included: `1 + 3·8² + 3·27·8² + 27³ = 25,060` worlds.
#[test]
fn three_vpcs() {
    const STAGES: &[Stage] = &[Stage::Active];
    let shapes = Shape::all(&[0, 1, 2]);
    let seen = visit("lint, three VPCs", &families(&shapes, Defaults::With, STAGES), look_at);
    assert_eq!(seen.worlds, 25_060);
}

/// The same with two VPCs that share a block, where an answer can reach the wrong one, and with
/// peerings that are pending:
/// `3·(1 + 2·2·4² + 4·9·4²) = 1,923` worlds.
#[test]
fn three_vpcs_with_equal_blocks() {
    const STAGES: &[Stage] = &[Stage::Pending, Stage::Active];
    let blocks = [[0, 1, 1], [1, 0, 1], [1, 1, 0]];
    let shapes: Vec<Shape> = blocks.iter().flat_map(|blocks| Shape::all(blocks)).collect();
    let seen = visit("lint, equal blocks", &families(&shapes, Defaults::With, STAGES), look_at);
    assert_eq!(seen.worlds, 1_923);
}
