//! Instances: what is shown of them, and what starts, stops and ends them.
//!
//! Holds their rows and the operations on their state; launching, attributes and status stand in
//! `instance/`.

mod attribute;
mod run;
mod show;
mod status;

use super::{chosen, done, exactly};
use crate::api::clock::timestamp;
use crate::api::dispatch::{Ask, Edit, Operation, Run};
use crate::api::fault::Fault;
use crate::api::records::Fact;
use crate::api::xml::Xml;
use crate::base::id::{InstanceId, InterfaceId, SubnetId, VpcId};
use crate::cloud::command::Command;
use crate::cloud::instance::{Instance, InstanceState};
use crate::cloud::refusal::Refusal;

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "RunInstances",
        takes: run::TAKES,
        filters: &[],
        lacks: "Volumes, launch templates, spot and dedicated instances, placement groups, prefixes \
                of addresses. Any image that is well-formed will do; user data is remembered and \
                nobody runs it.",
        run: Run::Write(run::run),
    },
    Operation {
        name: "DescribeInstances",
        takes: &["InstanceId"],
        filters: show::FILTERS,
        lacks: "Filters on volumes, hosts and what else instances do not have here.",
        run: Run::Read(show::describe_instances),
    },
    Operation {
        name: "StartInstances",
        takes: &["InstanceId"],
        filters: &[],
        lacks: "",
        run: Run::Write(start),
    },
    Operation {
        name: "StopInstances",
        takes: &["InstanceId", "Force"],
        filters: &[],
        lacks: "Hibernation.",
        run: Run::Write(stop),
    },
    Operation {
        name: "RebootInstances",
        takes: &["InstanceId"],
        filters: &[],
        lacks: "An instance has nothing to lose by it.",
        run: Run::Write(reboot),
    },
    Operation {
        name: "TerminateInstances",
        takes: &["InstanceId"],
        filters: &[],
        lacks: "",
        run: Run::Write(terminate),
    },
    Operation {
        name: "DescribeInstanceStatus",
        takes: &["InstanceId", "IncludeAllInstances"],
        filters: status::FILTERS,
        lacks: "Scheduled events: there are none, and everybody is well.",
        run: Run::Read(status::describe_status),
    },
    Operation {
        name: "DescribeInstanceAttribute",
        takes: &["InstanceId", "Attribute"],
        filters: &[],
        lacks: "",
        run: Run::Read(attribute::describe_one),
    },
    Operation {
        name: "ModifyInstanceAttribute",
        takes: &[
            "InstanceId",
            "Attribute",
            "Value",
            "SourceDestCheck",
            "GroupId",
            "InstanceType",
            "UserData",
            "DisableApiTermination",
            "DisableApiStop",
            "InstanceInitiatedShutdownBehavior",
            "EbsOptimized",
        ],
        filters: &[],
        lacks: "Volumes, kernels and drivers.",
        run: Run::Write(attribute::modify),
    },
    Operation {
        name: "ModifyInstanceMetadataOptions",
        takes: attribute::METADATA,
        filters: &[],
        lacks: "The options are remembered; the metadata of live mode does not mind them.",
        run: Run::Write(attribute::modify_metadata),
    },
    Operation {
        name: "MonitorInstances",
        takes: &["InstanceId"],
        filters: &[],
        lacks: "It is remembered and measures nothing.",
        run: Run::Write(status::monitor),
    },
    Operation {
        name: "UnmonitorInstances",
        takes: &["InstanceId"],
        filters: &[],
        lacks: "",
        run: Run::Write(status::unmonitor),
    },
    Operation {
        name: "DescribeInstanceCreditSpecifications",
        takes: &["InstanceId"],
        filters: &["instance-id"],
        lacks: "",
        run: Run::Read(status::describe_credits),
    },
];

/// A state as EC2 counts and calls it (vpc-semantics 6.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Pending,
    Running,
    ShuttingDown,
    Terminated,
    Stopping,
    Stopped,
}

impl State {
    const fn of(instance: &Instance) -> State {
        match instance.state {
            InstanceState::Running => State::Running,
            InstanceState::Stopped => State::Stopped,
            InstanceState::Terminated { .. } => State::Terminated,
        }
    }

    const fn code(self) -> u8 {
        match self {
            State::Pending => 0,
            State::Running => 16,
            State::ShuttingDown => 32,
            State::Terminated => 48,
            State::Stopping => 64,
            State::Stopped => 80,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            State::Pending => "pending",
            State::Running => "running",
            State::ShuttingDown => "shutting-down",
            State::Terminated => "terminated",
            State::Stopping => "stopping",
            State::Stopped => "stopped",
        }
    }

    fn write(self, xml: &mut Xml, name: &str) {
        xml.group(name, |xml| {
            xml.text("code", self.code());
            xml.text("name", self.name());
        });
    }
}

/// The instance, if it is the caller's and can still be seen.
fn own<'a>(ask: &Ask<'a>, id: InstanceId) -> Result<&'a Instance, Fault> {
    Ok(ask.cloud().describe_instance(ask.caller, id, ask.now)?)
}

/// The instances that a Describe operation is about, from the narrowest index that a filter names.
fn wanted<'a>(ask: &Ask<'a>) -> Result<Vec<(InstanceId, &'a Instance)>, Fault> {
    let find = |id: InstanceId| Ok((id, own(ask, id)?));
    let missing: Vec<InstanceId> =
        ask.params.ids("InstanceId")?.into_iter().filter(|id| own(ask, *id).is_err()).collect();
    if missing.len() > 1 {
        let missing: Vec<String> = missing.iter().map(InstanceId::to_string).collect();
        let message = format!("The instance IDs '{}' do not exist", missing.join(", "));
        return Err(Fault::new("InvalidInstanceID.NotFound", message));
    }
    chosen(ask, "InstanceId", "instance-id", find, || {
        let of = |id: InterfaceId| ask.cloud().interface(id)?.instance();
        let mut ids: Vec<InstanceId> = if let Some(interfaces) = interfaces(ask)? {
            interfaces.into_iter().filter_map(of).collect()
        } else if let Some(ids) = super::tagged(ask)? {
            ids
        } else {
            return Ok(ask.cloud().instances_of(ask.caller, ask.now).collect());
        };
        ids.sort_unstable();
        ids.dedup();
        Ok(ids.into_iter().filter_map(|id| find(id).ok()).collect())
    })
}

/// The interfaces that instances must have, if a filter names where.
fn interfaces(ask: &Ask<'_>) -> Result<Option<Vec<InterfaceId>>, Fault> {
    let cloud = ask.cloud();
    let field = "network-interface.network-interface-id";
    if let Some(interfaces) = exactly::<InterfaceId>(ask, field)? {
        return Ok(Some(interfaces));
    }
    for field in ["subnet-id", "network-interface.subnet-id"] {
        if let Some(subnets) = exactly::<SubnetId>(ask, field)? {
            let of = |id: SubnetId| cloud.interfaces_in(id).map(|(id, _)| id);
            return Ok(Some(subnets.into_iter().flat_map(of).collect()));
        }
    }
    for field in ["vpc-id", "network-interface.vpc-id"] {
        if let Some(vpcs) = exactly::<VpcId>(ask, field)? {
            let vpcs = vpcs.into_iter().filter_map(|id| super::own_vpc(ask, id).ok());
            let subnets = vpcs.flat_map(|vpc| vpc.subnets());
            let of = |id: &SubnetId| cloud.interfaces_in(*id).map(|(id, _)| id);
            return Ok(Some(subnets.flat_map(of).collect()));
        }
    }
    Ok(None)
}

/// The instances that a request lists: at least one, each the caller's.
fn listed(edit: &Edit<'_>) -> Result<Vec<(InstanceId, State)>, Fault> {
    let ids: Vec<InstanceId> = edit.params.ids("InstanceId")?;
    if ids.is_empty() {
        return Err(Fault::missing("InstanceId"));
    }
    let ask = edit.ask();
    ids.into_iter().map(|id| Ok((id, State::of(own(&ask, id)?)))).collect()
}

/// Asks the cloud for the same of several instances: of all or of none.
fn apply_to_all(
    edit: &mut Edit<'_>,
    xml: &mut Xml,
    command: fn(InstanceId) -> Command,
    becomes: fn(State) -> State,
) -> Result<(), Fault> {
    let instances = listed(edit)?;
    let ask = edit.ask();
    for (id, _) in &instances {
        ask.cloud().check(ask.caller, &command(*id), ask.now)?;
    }
    for (id, _) in &instances {
        edit.apply(&command(*id))?;
    }
    xml.set("instancesSet", instances, |xml, (id, before)| {
        xml.text("instanceId", id);
        becomes(before).write(xml, "currentState");
        before.write(xml, "previousState");
    });
    Ok(())
}

fn start(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let stopped: Vec<InstanceId> = listed(edit)?
        .into_iter()
        .filter(|(_, state)| *state == State::Stopped)
        .map(|(id, _)| id)
        .collect();
    apply_to_all(
        edit,
        xml,
        |instance| Command::StartInstances { instance },
        |before| if before == State::Stopped { State::Pending } else { before },
    )?;
    for id in stopped {
        edit.remember(id, Fact::Created, timestamp(edit.now));
        edit.remember(id, Fact::Deleted, "");
    }
    Ok(())
}

/// Refuses if an instance has the attribute that bars this.
fn unless_barred(edit: &Edit<'_>, attribute: &str, what: &str) -> Result<(), Fault> {
    let ask = edit.ask();
    for (id, state) in listed(edit)? {
        if state != State::Terminated && attribute::option(&ask, id, attribute) == Some("true") {
            let message = format!(
                "The instance '{id}' may not be {what}. Modify its '{attribute}' instance attribute \
                 and try again."
            );
            return Err(Fault::new("OperationNotPermitted", message));
        }
    }
    Ok(())
}

fn stop(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    unless_barred(edit, "disableApiStop", "stopped")?;
    let running = listed(edit)?.into_iter().filter(|(_, state)| *state == State::Running);
    let running: Vec<InstanceId> = running.map(|(id, _)| id).collect();
    apply_to_all(
        edit,
        xml,
        |instance| Command::StopInstances { instance },
        |before| if before == State::Running { State::Stopping } else { before },
    )?;
    for id in running {
        edit.remember(id, Fact::Deleted, edit.now.as_nanos().to_string());
    }
    Ok(())
}

fn reboot(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    for (id, state) in listed(edit)? {
        if state == State::Terminated {
            return Err(Refusal::InstanceState { instance: id, action: "rebooted" }.into());
        }
    }
    done(xml);
    Ok(())
}

fn terminate(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    unless_barred(edit, "disableApiTermination", "terminated")?;
    apply_to_all(
        edit,
        xml,
        |instance| Command::TerminateInstances { instance },
        |before| if before == State::Terminated { before } else { State::ShuttingDown },
    )
}
