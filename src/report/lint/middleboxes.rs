//! Sentences about instances to which routes lead.
//!
//! Refuses to find anything, like the rest of `report::lint`.

use ipnet::IpNet;

use super::{Words, listed, listed_by};
use crate::base::id::{InterfaceId, RouteTableId};
use crate::forward::middlebox::Role;

impl Words<'_> {
    pub(super) fn checked(
        &self,
        role: Option<Role>,
        routes: &[(RouteTableId, IpNet)],
    ) -> (String, Vec<String>) {
        let what = match role.filter(|_| routes.is_empty()) {
            Some(role) => format!("its role is `{}`", role.name()),
            None => self.led(routes),
        };
        let message = format!(
            "{what}, and its source/destination check is on: it drops whatever is not its own"
        );
        let mut help = vec!["switch the check off: `source_dest_check: false`".to_owned()];
        if role.is_none() {
            help.push(NO_ROLE.to_owned());
        }
        (message, help)
    }

    pub(super) fn idle(&self, routes: &[(RouteTableId, IpNet)]) -> (String, Vec<String>) {
        let message = format!("{}, and it has no role: it sends nothing on", self.led(routes));
        (message, vec![NO_ROLE.to_owned()])
    }

    pub(super) fn ring(
        &self,
        ring: &[(InterfaceId, RouteTableId)],
        destinations: &[IpNet],
    ) -> (String, Vec<String>) {
        let names = self.names;
        let next = ring.iter().cycle().skip(1);
        let hop = |((_, table), (to, _)): (&(_, RouteTableId), &(InterfaceId, _))| {
            format!("table {} to {}", names.table(*table), names.interface(*to))
        };
        let hops = listed_by(", from there by ", ring.iter().zip(next).map(hop));
        let destinations = listed(destinations.iter().map(ToString::to_string));
        let message = format!("what it sends on to {destinations} goes round: by {hops}");
        let tables = ring.iter().map(|(_, table)| names.table(*table));
        (message, vec![format!("let one of these tables lead elsewhere: {}", listed(tables))])
    }

    fn led(&self, routes: &[(RouteTableId, IpNet)]) -> String {
        let one = |(table, destination): &(RouteTableId, IpNet)| {
            format!("{destination} in table {}", self.names.table(*table))
        };
        let lead = if routes.len() == 1 { "leads" } else { "lead" };
        format!("{} {lead} to it", listed(routes.iter().map(one)))
    }
}

const NO_ROLE: &str = "give it `role: router` or `role: nat`, or point the routes elsewhere";
