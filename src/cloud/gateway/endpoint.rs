//! Gateway endpoints: the commands about them.
//!
//! Holds their decisions. Refuses to store an endpoint's routes: they follow from its prefixes and
//! its tables, see `route_table.rs`.

use ipnet::IpNet;

use super::{Gateway, GatewayId};
use crate::base::id::*;
use crate::cloud::Cloud;
use crate::cloud::account::Caller;
use crate::cloud::event::Change;
use crate::cloud::refusal::Refusal;

impl Cloud {
    pub(in crate::cloud) fn create_endpoint(
        &self,
        caller: &Caller,
        vpc: VpcId,
        service: &str,
        prefixes: &[IpNet],
        tables: &[RouteTableId],
    ) -> Result<Vec<Change>, Refusal> {
        self.own_vpc(caller, vpc)?;
        let beyond = self.prefixes_beyond(prefixes, service)?;
        if beyond.is_empty() || service.is_empty() {
            return Err(Refusal::PrefixesInvalid(service.to_owned()));
        }
        let id = GatewayId::Endpoint(EndpointId::new(self.mint().next()));
        let joins = self.tables_joining(caller, id, vpc, &beyond, tables)?;
        let gateway = Gateway {
            vpc: Some(vpc),
            service: Some(service.to_owned()),
            beyond,
            ..Gateway::new(caller)
        };
        let mut changes = vec![Change::GatewayCreated { id, gateway }];
        changes.extend(joins);
        Ok(changes)
    }

    pub(in crate::cloud) fn modify_endpoint(
        &self,
        caller: &Caller,
        id: EndpointId,
        add: &[RouteTableId],
        remove: &[RouteTableId],
    ) -> Result<Vec<Change>, Refusal> {
        let id = GatewayId::Endpoint(id);
        let gateway = self.own_gateway(caller, id)?;
        let vpc = gateway.vpc.ok_or(Refusal::GatewayNotFound(id))?;
        let mut changes = self.tables_joining(caller, id, vpc, &gateway.beyond, add)?;
        for table_id in remove {
            // Taking away a table that never was the endpoint's changes nothing.
            if self.own_table(caller, *table_id)?.learns_from(id) {
                changes.push(Change::TableForgets { table: *table_id, gateway: id });
            }
        }
        Ok(changes)
    }

    pub(in crate::cloud) fn delete_endpoint(
        &self,
        caller: &Caller,
        id: EndpointId,
    ) -> Result<Vec<Change>, Refusal> {
        let id = GatewayId::Endpoint(id);
        self.own_gateway(caller, id)?;
        Ok(self.without_gateway(id))
    }

    /// May each of these tables have the endpoint's routes?
    fn tables_joining(
        &self,
        caller: &Caller,
        endpoint: GatewayId,
        vpc: VpcId,
        prefixes: &[IpNet],
        tables: &[RouteTableId],
    ) -> Result<Vec<Change>, Refusal> {
        let mut changes = Vec::new();
        for table_id in tables {
            let table = self.own_table(caller, *table_id)?;
            if table.vpc != vpc {
                return Err(Refusal::EndpointOfOtherVpc { table: *table_id, vpc });
            }
            let joins = Change::TableLearns { table: *table_id, gateway: endpoint };
            if table.learns_from(endpoint) || changes.contains(&joins) {
                continue;
            }
            // One table, one endpoint for each prefix: else two routes would be equal.
            let others = table.learns_from.iter().filter(|id| matches!(id, GatewayId::Endpoint(_)));
            let mut taken =
                others.filter_map(|id| self.gateways.get(id)).flat_map(|other| &other.beyond);
            if let Some(prefix) = taken.find(|prefix| prefixes.contains(prefix)) {
                return Err(Refusal::RouteExists(*prefix));
            }
            changes.push(joins);
        }
        Ok(changes)
    }
}
