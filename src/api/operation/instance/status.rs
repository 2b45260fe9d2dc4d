//! How instances are: always well, for nothing here breaks.

use super::attribute::{option, set_options};
use super::show::InstanceRow;
use super::{State, listed, wanted};
use crate::api::describe::{PageBounds, Row, describe};
use crate::api::dispatch::{Ask, Edit};
use crate::api::fault::Fault;
use crate::api::filter::Values;
use crate::api::xml::Xml;
use crate::cloud::account::Zone;

/// The filters of `DescribeInstanceStatus`.
pub(super) const FILTERS: &[&str] = &[
    "availability-zone",
    "availability-zone-id",
    "event.code",
    "instance-state-code",
    "instance-state-name",
    "instance-status.reachability",
    "instance-status.status",
    "system-status.reachability",
    "system-status.status",
];

/// The status of an instance.
struct StatusRow<'a>(InstanceRow<'a>);

impl StatusRow<'_> {
    fn state(&self) -> State {
        State::of(self.0.1)
    }

    /// How it is, and whether it can be reached, if that can be said.
    fn status(&self) -> (&'static str, Option<&'static str>) {
        match self.state() {
            State::Running => ("ok", Some("passed")),
            _ => ("not-applicable", None),
        }
    }
}

impl Row for StatusRow<'_> {
    fn key(&self) -> String {
        self.0.key()
    }

    fn field(&self, ask: &Ask<'_>, name: &str, out: &mut Values<'_>) {
        let (status, reachable) = self.status();
        match name {
            "instance-state-code" => out.shows(self.state().code()),
            "instance-state-name" => out.is(self.state().name()),
            "instance-status.status" | "system-status.status" => out.is(status),
            "instance-status.reachability" | "system-status.reachability" => out.maybe(reachable),
            // There are no events.
            "event.code" => {}
            _ => self.0.field(ask, name, out),
        }
    }

    fn write(&self, ask: &Ask<'_>, xml: &mut Xml) {
        let (status, reachable) = self.status();
        xml.text("instanceId", self.0.0);
        let zone = self.0.zone(ask);
        xml.maybe("availabilityZone", zone.as_ref().map(Zone::as_str));
        xml.maybe("availabilityZoneId", zone.as_ref().map(Zone::id));
        self.state().write(xml, "instanceState");
        for name in ["systemStatus", "instanceStatus"] {
            xml.group(name, |xml| {
                xml.text("status", status);
                xml.set("details", reachable, |xml, status| {
                    xml.text("name", "reachability");
                    xml.text("status", status);
                });
            });
        }
        xml.group("eventsSet", |_| {});
    }
}

/// `DescribeInstanceStatus`: of those that run, unless all are wanted.
pub(super) fn describe_status(ask: &Ask<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let all = ask.params.flag("IncludeAllInstances")?.unwrap_or(false);
    let rows = wanted(ask)?.into_iter().map(|(id, found)| StatusRow(InstanceRow(id, found)));
    let rows = rows.filter(|row| all || row.state() == State::Running);
    describe(ask, xml, "instanceStatusSet", PageBounds::USUAL, rows)
}

/// `MonitorInstances`.
pub(super) fn monitor(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    set_monitoring(edit, xml, "enabled", "pending")
}

/// `UnmonitorInstances`.
pub(super) fn unmonitor(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    set_monitoring(edit, xml, "disabled", "disabling")
}

fn set_monitoring(
    edit: &mut Edit<'_>,
    xml: &mut Xml,
    settled: &str,
    at_first: &str,
) -> Result<(), Fault> {
    let instances = listed(edit)?;
    for (id, _) in &instances {
        set_options(edit, *id, &[("monitoring", settled.to_owned())]);
    }
    xml.set("instancesSet", instances, |xml, (id, _)| {
        xml.text("instanceId", id);
        xml.group("monitoring", |xml| xml.text("state", at_first));
    });
    Ok(())
}

/// What an instance does when its processor is in demand.
struct CreditRow<'a>(InstanceRow<'a>);

impl CreditRow<'_> {
    /// Only types that burst have credits.
    fn bursts(&self, ask: &Ask<'_>) -> bool {
        self.0.type_name(ask).starts_with('t')
    }
}

impl Row for CreditRow<'_> {
    fn key(&self) -> String {
        self.0.key()
    }

    fn field(&self, ask: &Ask<'_>, name: &str, out: &mut Values<'_>) {
        self.0.field(ask, name, out);
    }

    fn write(&self, ask: &Ask<'_>, xml: &mut Xml) {
        xml.text("instanceId", self.0.0);
        let usual = if self.0.type_name(ask).starts_with("t2.") { "standard" } else { "unlimited" };
        xml.text("cpuCredits", option(ask, self.0.0, "cpuCredits").unwrap_or(usual));
    }
}

/// `DescribeInstanceCreditSpecifications`.
pub(super) fn describe_credits(ask: &Ask<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let rows = wanted(ask)?.into_iter().map(|(id, found)| CreditRow(InstanceRow(id, found)));
    let rows = rows.filter(|row| !row.0.1.is_terminated() && row.bursts(ask));
    describe(ask, xml, "instanceCreditSpecificationSet", PageBounds::USUAL, rows)
}
