//! Rows: flow logs (vpc-semantics 4.6).

use super::super::flow_log::{Interval, LogFormat, Recording, TrafficType, Watched};
use super::*;

fn create(of: Watched, traffic: TrafficType) -> Command {
    Command::CreateFlowLogs { of, recording: Recording { traffic, ..Recording::default() } }
}

fn the_log(lab: &Lab) -> FlowLogId {
    lab.cloud.flow_logs().next().unwrap().0
}

#[test]
fn whoever_owns_a_resource_may_log_it() {
    let lab = Lab::new(Profile::Seed);
    let all = TrafficType::All;
    let unknown = Watched::Vpc(VpcId::new(nothing()));
    check(
        &lab,
        [
            (one(), create(Watched::Vpc(lab.a), all), OK),
            (one(), create(Watched::Subnet(lab.a1), all), OK),
            (one(), create(Watched::Interface(lab.i.1), all), OK),
            // A flow log in a peer's VPC is the peer's to make.
            (one(), create(Watched::Vpc(lab.b), all), "InvalidVpcID.NotFound"),
            (two(), create(Watched::Subnet(lab.a1), all), "InvalidSubnetID.NotFound"),
            (two(), create(Watched::Interface(lab.i.1), all), "InvalidNetworkInterfaceID.NotFound"),
            (one_abroad(), create(Watched::Vpc(lab.a), all), "InvalidVpcID.NotFound"),
            (one(), create(unknown, all), "InvalidVpcID.NotFound"),
        ],
    );
}

#[test]
fn a_resource_has_two_flow_logs_that_differ() {
    let lab = Lab::new(Profile::Seed);
    let of = Watched::Vpc(lab.a);
    let lab = lab.with([(one(), create(of, TrafficType::Accept))]);
    let other = |recording| Command::CreateFlowLogs { of, recording };
    let traffic = TrafficType::Accept;
    let minute = Recording { traffic, interval: Interval::Minute, ..Recording::default() };
    let format: LogFormat = "${srcaddr}".parse().unwrap();
    check(
        &lab,
        [
            (one(), create(of, traffic), "FlowLogAlreadyExists"),
            (one(), create(of, TrafficType::Reject), OK),
            (one(), other(minute), OK),
            (one(), other(Recording { traffic, format, ..Recording::default() }), OK),
        ],
    );
    let lab = lab.with([(one(), create(of, TrafficType::Reject))]);
    check(
        &lab,
        [
            (one(), create(of, TrafficType::All), "FlowLogsLimitExceeded"),
            // What exists is told before what is too much.
            (one(), create(of, traffic), "FlowLogAlreadyExists"),
            // The subnet has a count of its own.
            (one(), create(Watched::Subnet(lab.a1), traffic), OK),
        ],
    );
}

#[test]
fn only_its_owner_deletes_a_flow_log_and_only_once() {
    let lab = Lab::new(Profile::Seed);
    let of = Watched::Vpc(lab.a);
    let lab = lab.with([(one(), create(of, TrafficType::All))]);
    let log = the_log(&lab);
    check(
        &lab,
        [
            (one(), Command::DeleteFlowLogs { log }, OK),
            (two(), Command::DeleteFlowLogs { log }, "InvalidFlowLogId.NotFound"),
            (one_abroad(), Command::DeleteFlowLogs { log }, "InvalidFlowLogId.NotFound"),
        ],
    );
    let lab = lab.with([(one(), Command::DeleteFlowLogs { log })]);
    check(&lab, [(one(), Command::DeleteFlowLogs { log }, "InvalidFlowLogId.NotFound")]);
}

#[test]
fn a_flow_log_goes_with_what_it_watches() {
    let all = TrafficType::All;
    for (of, end) in [
        (
            (|lab: &Lab| Watched::Vpc(lab.bare)) as fn(&Lab) -> Watched,
            (|lab: &Lab| Command::DeleteVpc { vpc: lab.bare }) as fn(&Lab) -> Command,
        ),
        (|lab| Watched::Subnet(lab.a2), |lab| Command::DeleteSubnet { subnet: lab.a2 }),
        (
            |lab| Watched::Interface(lab.i.1),
            |lab| Command::TerminateInstances { instance: lab.i.0 },
        ),
    ] {
        let lab = Lab::new(Profile::Seed);
        let (of, end) = (of(&lab), end(&lab));
        let lab = lab.with([(one(), create(of, all))]);
        assert_eq!(lab.cloud.flow_logs().count(), 1, "{of}");
        // That it is logged keeps nothing from being deleted.
        let lab = lab.with([(one(), end)]);
        assert_eq!(lab.cloud.flow_logs().count(), 0, "{of}");
    }
}
