//! Rows: the order of checks of a request, regions and quotas (vpc-semantics 2.2 to 2.5). Who may do
//! what in which state is `tests/it/lifecycle.rs`.

use super::*;

const ABROAD: &str = "eu-west-1";

fn ask_abroad(requester: VpcId, accepter: VpcId, peer: &Caller, region: &str) -> Command {
    Command::CreateVpcPeeringConnection {
        requester,
        accepter,
        peer_owner: Some(peer.account),
        peer_region: Some(net::<Region>(region)),
    }
}

#[test]
fn a_request_fails_as_a_call_or_as_a_connection() {
    let lab = Lab::new(Profile::Seed);
    let unknown = VpcId::new(nothing());
    let to_self = |vpc| Command::CreateVpcPeeringConnection {
        requester: vpc,
        accepter: vpc,
        peer_owner: None,
        peer_region: None,
    };
    check(
        &lab,
        [
            (one(), ask(lab.bare, lab.b, &two()), OK),
            (one(), ask(lab.a, lab.b, &two()), OK), // the answer is the connection that exists
            (one(), ask(lab.bare, unknown, &two()), OK), // fails as a connection
            (one(), ask(lab.bare, lab.b, &one()), OK), // likewise: b is not account one's
            (one(), ask_abroad(lab.bare, lab.b, &two(), "us-east-1"), OK),
            (one(), ask_abroad(lab.bare, lab.b, &two(), ABROAD), "UnknownParameter"),
            (one(), to_self(lab.a), "InvalidParameterValue"),
            (one(), ask(unknown, lab.b, &two()), "InvalidVpcID.NotFound"),
            (two(), ask(lab.bare, lab.b, &two()), "InvalidVpcID.NotFound"),
            (one_abroad(), ask(lab.bare, lab.b, &two()), "InvalidVpcID.NotFound"),
            (two(), ask(lab.b, lab.a, &one()), "VpcPeeringConnectionAlreadyExists"),
        ],
    );
}

#[test]
fn what_becomes_of_a_request() {
    let mut build = Build { cloud: Cloud::new(Profile::Today, Span::ZERO), events: Vec::new() };
    let (a, ..) = build.vpc(&one(), "10.10.0.0/16");
    let (equal, ..) = build.vpc(&two(), "10.10.0.0/16");
    let (inside, ..) = build.vpc(&two(), "10.10.128.0/24");
    let (apart, ..) = build.vpc(&two(), "10.11.0.0/16");
    let (abroad, ..) = build.vpc(&caller(222_222_222_222, ABROAD), "10.12.0.0/16");
    let (six, ..) = build.vpc(&two(), "10.13.0.0/16");
    build.act(&one(), grow(a, "2001:db8::/56"));
    build.act(&two(), grow(six, "2001:db8::/56"));
    for (accepter, peer, region, want) in [
        (apart, two(), "us-east-1", Status::PendingAcceptance),
        (equal, two(), "us-east-1", Status::Failed),
        (inside, two(), "us-east-1", Status::Failed),
        (six, two(), "us-east-1", Status::Failed), // IPv6 overlaps
        (apart, one(), "us-east-1", Status::Failed), // not that account's
        (apart, two(), ABROAD, Status::Failed),    // not in that region
        (abroad, two(), "us-east-1", Status::Failed),
        (abroad, two(), ABROAD, Status::PendingAcceptance),
    ] {
        let mut build = Build { cloud: build.cloud.clone(), events: Vec::new() };
        let events = build.act(&one(), ask_abroad(a, accepter, &peer, region));
        let [Change::PeeringRequested { peering, .. }] = events[..] else { panic!("{events:?}") };
        let status = build.cloud.peering(peering).unwrap().status(NOW);
        assert_eq!(status, want, "{accepter} of {peer:?} in {region}");
    }
}

/// 2.2, "right account, wrong region".
#[test]
fn a_request_from_abroad_is_answered_at_home() {
    let (here, there) = (two(), caller(222_222_222_222, ABROAD));
    let third = caller(222_222_222_222, "ap-south-1");
    let mut lab = Lab::new(Profile::Today);
    let mut build = Build { cloud: lab.cloud.clone(), events: lab.events.clone() };
    let (far, ..) = build.vpc(&there, "10.12.0.0/16");
    let events = build.act(&one(), ask_abroad(lab.a, far, &two(), ABROAD));
    let [Change::PeeringRequested { peering, .. }] = events[..] else { panic!("{events:?}") };
    (lab.cloud, lab.events) = (build.cloud, build.events);
    let accept = Command::AcceptVpcPeeringConnection { peering };
    let reject = Command::RejectVpcPeeringConnection { peering };
    check(
        &lab,
        [
            (there.clone(), accept.clone(), OK),
            (there, reject.clone(), OK),
            (here.clone(), accept.clone(), "OperationNotPermitted"),
            (here, reject, "OperationNotPermitted"),
            (third, accept.clone(), "InvalidVpcPeeringConnectionID.NotFound"),
            (one_abroad(), accept, "OperationNotPermitted"),
        ],
    );
}

#[test]
fn quotas_hold_at_request_and_at_acceptance() {
    let active = "ActiveVpcPeeringConnectionPerVpcLimitExceeded";
    let outstanding = "OutstandingVpcPeeringConnectionLimitExceeded";
    let mut lab = Lab::new(Profile::Seed);
    let mut build = Build { cloud: lab.cloud.clone(), events: lab.events.clone() };
    let bare_b = build.request(&one(), lab.bare, lab.b, &two());
    (lab.cloud, lab.events) = (build.cloud, build.events);
    let accept = || Command::AcceptVpcPeeringConnection { peering: bare_b };

    // a and b have one active peering each; account one has one request outstanding.
    let tight =
        |caller: Caller, limit| lab.clone().quota(&caller, Quota::ActivePeeringsPerVpc, limit);
    check(
        &tight(one(), 1),
        [
            (one(), ask(lab.a, lab.bare, &one()), active),
            (one(), ask(lab.bare, lab.a, &one()), OK), // bare has none yet; it shows at acceptance
            (two(), accept(), OK),
        ],
    );
    check(&tight(two(), 1), [(two(), accept(), active)]);
    check(&tight(two(), 2), [(two(), accept(), OK)]);
    // The requester's VPC is full: refused with the same code, without its figure.
    let full = tight(one(), 0);
    check(&full, [(two(), accept(), active)]);
    let refusal = full.cloud.clone().apply(&two(), &accept(), NOW).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        format!("The peer vpc of {bare_b} has reached its maximum of active peering connections")
    );

    let few = |limit| lab.clone().quota(&one(), Quota::OutstandingPeeringRequests, limit);
    let again = || ask(lab.a, lab.bare, &one());
    check(&few(1), [(one(), again(), outstanding)]);
    check(&few(2), [(one(), again(), OK)]);
    let answered = few(1).with([(two(), accept())]);
    check(&answered, [(one(), again(), OK)]);
}

/// 2.5: in `today` both directions may be asked; the second acceptance is refused.
#[test]
fn in_today_the_second_of_two_crossing_requests_loses() {
    let lab = Lab::new(Profile::Today);
    let mut build = Build { cloud: lab.cloud.clone(), events: lab.events.clone() };
    let there = build.request(&one(), lab.bare, lab.b, &two());
    let back = build.request(&two(), lab.b, lab.bare, &one());
    build.act(&one(), Command::AcceptVpcPeeringConnection { peering: back });
    let lab = Lab { cloud: build.cloud, events: build.events, ..lab };
    let (accept, reject, delete) = (
        Command::AcceptVpcPeeringConnection { peering: there },
        Command::RejectVpcPeeringConnection { peering: there },
        Command::DeleteVpcPeeringConnection { peering: there },
    );
    check(
        &lab,
        [
            (two(), accept, "VpcPeeringConnectionAlreadyExists"),
            (two(), reject, OK),
            (one(), delete, OK),
        ],
    );
}

/// 2.4: which blocks a party is shown.
#[test]
fn the_accepters_blocks_show_once_it_is_active() {
    let lab = Lab::new(Profile::Seed);
    let mut build = Build { cloud: lab.cloud.clone(), events: Vec::new() };
    let pcx = build.request(&one(), lab.bare, lab.b, &two());
    let shown = |build: &Build| {
        let view = build.cloud.describe_peering(&two(), pcx, NOW).unwrap();
        let blocks = End::ALL.map(|end| view.blocks(end).len());
        (view.status(), blocks[0], blocks[1], view.expires_at())
    };
    let deadline = NOW + Span::from_days(7);
    assert_eq!(shown(&build), (Status::PendingAcceptance, 1, 0, Some(deadline)));
    build.act(&two(), Command::AcceptVpcPeeringConnection { peering: pcx });
    assert_eq!(shown(&build), (Status::Active, 1, 1, None));
    build.act(&two(), Command::DeleteVpcPeeringConnection { peering: pcx });
    assert_eq!(shown(&build), (Status::Deleted, 0, 0, None));
}

#[test]
fn live_peerings_are_listed_before_ended_ones() {
    let lab = Lab::new(Profile::Seed);
    let mut build = Build { cloud: lab.cloud.clone(), events: Vec::new() };
    for _ in 0..4 {
        let pcx = build.request(&one(), lab.bare, lab.b, &two());
        build.act(&two(), Command::RejectVpcPeeringConnection { peering: pcx });
    }
    let views = build.cloud.describe_peerings(&two(), NOW);
    let statuses: Vec<Status> = views.iter().map(|view| view.status()).collect();
    let rejected = Status::Rejected;
    assert_eq!(statuses, [Status::Active, rejected, rejected, rejected, rejected]);
}

/// L3: time alone, to the nanosecond, and what comes next is known beforehand.
#[test]
fn l3_the_next_deadline_is_the_next_change() {
    let (settle, start) = (Span::from_secs(1), Instant::START);
    let mut cloud = Cloud::new(Profile::Seed, settle);
    assert_eq!(cloud.next_deadline(start), Instant::NEVER);
    let mut made = Vec::new();
    for (who, cidr) in [(one(), "10.10.0.0/16"), (two(), "10.20.0.0/16")] {
        let events = cloud.apply(&who, &Command::CreateVpc { cidr: net(cidr) }, start).unwrap();
        if let Change::VpcCreated { vpc, .. } = events[0].change {
            made.push(vpc);
        }
    }
    cloud.apply(&one(), &ask(made[0], made[1], &two()), start).unwrap();
    let week = Instant::START + Span::from_days(7);
    for (now, want) in [
        (start, start + settle),
        (start + settle, week),
        (Instant::from_nanos(week.as_nanos() - 1), week),
        (week, Instant::NEVER),
    ] {
        assert_eq!(cloud.next_deadline(now), want, "at {now}");
    }
}

/// A command from before the last event counts as made at that event: time never goes back, so an
/// accept can't slip under a deadline by claiming an earlier moment.
#[test]
fn time_does_not_go_back() {
    let lab = Lab::new(Profile::Seed);
    let mut build = Build { cloud: lab.cloud.clone(), events: Vec::new() };
    let peering = build.request(&one(), lab.bare, lab.b, &two());
    let late = NOW + Span::from_days(7);
    build.cloud.apply(&one(), &Command::CreateVpc { cidr: net("10.99.0.0/16") }, late).unwrap();
    let accept = Command::AcceptVpcPeeringConnection { peering };
    let refusal = build.cloud.apply(&two(), &accept, NOW).unwrap_err();
    assert_eq!(refusal.code(), "InvalidStateTransition");
    assert_eq!(
        refusal.to_string(),
        format!(
            "Invalid state transition for {peering}, attempted to transition from expired to provisioning"
        )
    );
}
