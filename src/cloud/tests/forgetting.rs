//! S24, L6: what nobody can see any more is forgotten, and what one account has is listed without a
//! look at others.

use super::super::account::Holdings;
use super::super::event::ResourceId;
use super::*;

/// Every end of a peering, and when its last trace is gone: to the second, for the side that sees it
/// longest.
#[test]
fn ended_peerings_are_forgotten_once_nobody_sees_them() {
    let (hours_2, days_2, week) = (Span::from_hours(2), Span::from_days(2), Span::from_days(7));
    let accept = |peering| Command::AcceptVpcPeeringConnection { peering };
    let reject = |peering| Command::RejectVpcPeeringConnection { peering };
    let delete = |peering| Command::DeleteVpcPeeringConnection { peering };
    type Step = (fn() -> Caller, fn(PeeringId) -> Command);
    let rows: [(&str, Vec<Step>, Option<Span>); 5] = [
        ("pending", vec![], Some(week + days_2)),
        ("rejected", vec![(two, reject)], Some(days_2)),
        ("deleted", vec![(two, accept), (one, delete)], Some(days_2)),
        ("taken back", vec![(one, delete)], Some(days_2)),
        ("active", vec![(two, accept)], None),
    ];
    for (what, steps, left) in rows {
        let lab = Lab::new(Profile::Seed);
        let mut build = Build { cloud: lab.cloud.clone(), events: lab.events.clone() };
        let pcx = build.request(&one(), lab.bare, lab.b, &two());
        build.act(
            &one(),
            Command::CreateTags {
                resource: ResourceId::Peering(pcx),
                tags: vec![("k".into(), "v".into())],
            },
        );
        for (who, step) in steps {
            build.act(&who(), step(pcx));
        }
        let touch = Command::CreateRouteTable { vpc: lab.b };
        let after = |span: Span| {
            let mut cloud = build.cloud.clone();
            let new = cloud.apply(&two(), &touch, NOW + span).unwrap();
            let all = build.events.iter().chain(&new);
            assert_eq!(Cloud::replay(Profile::Seed, Span::ZERO, all), cloud, "{what}");
            cloud
        };
        let Some(left) = left else {
            assert!(after(Span::from_days(3_650)).peering(pcx).is_some(), "{what}");
            continue;
        };
        let almost = after(Span::from_nanos(left.as_nanos() - 1));
        assert!(almost.peering(pcx).is_some(), "{what}: too early");
        let gone = after(left);
        assert!(gone.peering(pcx).is_none(), "{what}: too late");
        assert!(
            [lab.bare, lab.b].iter().all(|v| gone.vpc(*v).unwrap().peerings().all(|p| p != pcx))
        );
        assert!(gone.tags(ResourceId::Peering(pcx), one().account).is_empty());
        assert!(gone.describe_peering(&one(), pcx, NOW + left).is_err());
    }
    // A failed one is the requester's only.
    let lab = Lab::new(Profile::Seed);
    let mut build = Build { cloud: lab.cloud.clone(), events: Vec::new() };
    let failed = build.request(&one(), lab.bare, VpcId::new(nothing()), &caller(3, "us-east-1"));
    assert!(build.cloud.accounts.contains_key(&AccountId::from_number(3).unwrap()));
    let touch = Command::CreateRouteTable { vpc: lab.b };
    build.cloud.apply(&two(), &touch, NOW + hours_2).unwrap();
    assert!(build.cloud.peering(failed).is_none());
    assert!(!build.cloud.accounts.contains_key(&AccountId::from_number(3).unwrap()));
}

#[test]
fn a_cloud_does_not_grow_with_what_has_ended() {
    let lab = Lab::new(Profile::Seed);
    let mut build = Build { cloud: lab.cloud.clone(), events: lab.events.clone() };
    let mut most = 0;
    for day in 1..200 {
        let at = NOW + Span::from_days(day);
        for _ in 0..3 {
            let request = ask(lab.bare, lab.b, &two());
            let made = build.cloud.apply(&one(), &request, at).unwrap();
            let Change::PeeringRequested { peering, .. } = made[0].change else {
                panic!("{made:?}")
            };
            let reject = Command::RejectVpcPeeringConnection { peering };
            let rejected = build.cloud.apply(&two(), &reject, at).unwrap();
            let run = build.cloud.apply(&one(), &run(lab.a2, None), at).unwrap();
            let Change::InstanceRun { instance, .. } = run[0].change else { panic!("{run:?}") };
            let end = Command::TerminateInstances { instance };
            let ended = build.cloud.apply(&one(), &end, at).unwrap();
            build.events.extend(made.into_iter().chain(rejected).chain(run).chain(ended));
        }
        let instances = build.cloud.instances().count();
        most = most.max(build.cloud.peerings().count() + instances);
    }
    // Those of two days and of this one, the lab's own, and the terminated of this day.
    assert!(most <= 1 + 3 * 3 + 3 + 2 * 3, "{most}");
    assert!(build.cloud.fading.len() <= 4, "{:?}", build.cloud.fading);
    // Only that of the lab's own peering, which has passed.
    assert_eq!(build.cloud.deadlines.len(), 1);
    assert_eq!(Cloud::replay(Profile::Seed, Span::ZERO, &build.events), build.cloud);
}

/// What is kept for each account is what a search would find.
#[track_caller]
pub(super) fn holdings_are_right(cloud: &Cloud) {
    for (account, kept) in &cloud.accounts {
        for (region, has) in &kept.holdings {
            let here = |owner: &AccountId, r: &Region| owner == account && r == region;
            let vpcs = cloud.vpcs.iter().filter(|(_, vpc)| here(&vpc.owner, &vpc.region));
            assert!(vpcs.clone().map(|(id, _)| id).eq(&has.vpcs), "{account} {region}");
            let default = vpcs.clone().find(|(_, vpc)| vpc.is_default()).map(|(id, _)| *id);
            assert_eq!(has.default_vpc, default);
            let instances = cloud.instances.iter().filter(|(_, i)| here(&i.owner, &i.region));
            assert!(instances.map(|(id, _)| id).eq(&has.instances));
            let logs = cloud.flow_logs.iter().filter(|(_, log)| here(&log.owner, &log.region));
            assert!(logs.map(|(id, _)| id).eq(&has.flow_logs));
            let gateways = cloud.gateways.iter().filter(|(_, g)| here(&g.owner, &g.region));
            assert!(gateways.map(|(id, _)| id).eq(&has.gateways));
            let held = cloud.public_addresses.iter().filter(|(_, h)| here(&h.owner, &h.region));
            assert!(held.map(|(id, _)| id).eq(&has.public_addresses));
            let of_vpc = |vpc: &VpcId| has.vpcs.contains(vpc);
            let interfaces = cloud.interfaces.values().filter(|i| of_vpc(&i.vpc)).count();
            assert_eq!(has.interfaces, interfaces);
            let seen = cloud.peerings.values().filter(|p| {
                let ends = [p.requester(), p.accepter()];
                ends.iter().any(|e| e.account == *account)
                    && ends.iter().any(|e| e.region == *region)
            });
            assert!(seen.map(|p| p.id()).eq(has.peerings.iter().copied()));
            assert_ne!(has, Holdings::NONE);
        }
    }
    let owners = cloud.vpcs.values().map(|vpc| (vpc.owner, &vpc.region));
    for (owner, region) in owners {
        assert!(cloud.accounts[&owner].holdings.contains_key(region), "{owner} {region}");
    }
}
