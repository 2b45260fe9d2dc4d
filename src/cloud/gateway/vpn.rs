//! Virtual private gateways: the commands about them, and the propagation of their routes.
//!
//! Holds their decisions. Refuses to store a propagated route: such routes follow from what the
//! gateway announces and from the tables that listen, see `route_table.rs`.

use ipnet::IpNet;

use super::{Gateway, GatewayId, Line};
use crate::base::id::*;
use crate::cloud::Cloud;
use crate::cloud::account::Caller;
use crate::cloud::event::Change;
use crate::cloud::quota::Quota;
use crate::cloud::refusal::Refusal;

impl Cloud {
    pub(in crate::cloud) fn create_vpn_gateway(
        &self,
        caller: &Caller,
        line: Line,
        beyond: &[IpNet],
    ) -> Result<Vec<Change>, Refusal> {
        let beyond = self.prefixes_beyond(beyond, line.name())?;
        let id = GatewayId::Vpn(VpnGatewayId::new(self.mint().next()));
        let gateway = Gateway { line: Some(line), beyond, ..Gateway::new(caller) };
        Ok(vec![Change::GatewayCreated { id, gateway }])
    }

    pub(in crate::cloud) fn attach_vpn_gateway(
        &self,
        caller: &Caller,
        id: VpnGatewayId,
        vpc_id: VpcId,
    ) -> Result<Vec<Change>, Refusal> {
        let gateway = GatewayId::Vpn(id);
        let found = self.own_gateway(caller, gateway)?;
        let vpc = self.own_vpc(caller, vpc_id)?;
        if let Some(vpc) = found.vpc {
            return Err(Refusal::GatewayAlreadyAttached { gateway, vpc });
        }
        if vpc.gateways().any(|other| matches!(other, GatewayId::Vpn(_))) {
            return Err(Refusal::VpcHasVpnGateway(vpc_id));
        }
        Ok(vec![Change::GatewayAttached { gateway, vpc: vpc_id }])
    }

    pub(in crate::cloud) fn detach_vpn_gateway(
        &self,
        caller: &Caller,
        id: VpnGatewayId,
        vpc: VpcId,
    ) -> Result<Vec<Change>, Refusal> {
        let gateway = GatewayId::Vpn(id);
        let found = self.own_gateway(caller, gateway)?;
        self.own_vpc(caller, vpc)?;
        if found.vpc != Some(vpc) {
            return Err(Refusal::GatewayNotAttached { gateway, vpc });
        }
        Ok(vec![Change::GatewayDetached { gateway }])
    }

    pub(in crate::cloud) fn delete_vpn_gateway(
        &self,
        caller: &Caller,
        id: VpnGatewayId,
    ) -> Result<Vec<Change>, Refusal> {
        let gateway = GatewayId::Vpn(id);
        if self.own_gateway(caller, gateway)?.vpc.is_some() {
            return Err(Refusal::VpnGatewayAttached(id));
        }
        Ok(self.without_gateway(gateway))
    }

    pub(in crate::cloud) fn enable_propagation(
        &self,
        caller: &Caller,
        id: VpnGatewayId,
        table_id: RouteTableId,
    ) -> Result<Vec<Change>, Refusal> {
        let gateway = GatewayId::Vpn(id);
        let found = self.own_gateway(caller, gateway)?;
        let table = self.own_table(caller, table_id)?;
        if found.vpc != Some(table.vpc) {
            return Err(Refusal::PropagationNotAttached { gateway: id, table: table_id });
        }
        // As in EC2, asking again changes nothing and is no error.
        if table.learns_from(gateway) {
            return Ok(Vec::new());
        }
        // `within` asks for one more, so the last route is not counted. A VPC has one such gateway
        // at a time: the routes of others that the table once listened to are not in force.
        self.within(caller.account, Quota::PropagatedRoutesPerTable, || {
            found.beyond.len().saturating_sub(1)
        })?;
        Ok(vec![Change::TableLearns { table: table_id, gateway }])
    }

    pub(in crate::cloud) fn disable_propagation(
        &self,
        caller: &Caller,
        id: VpnGatewayId,
        table_id: RouteTableId,
    ) -> Result<Vec<Change>, Refusal> {
        let gateway = GatewayId::Vpn(id);
        self.own_gateway(caller, gateway)?;
        let table = self.own_table(caller, table_id)?;
        Ok(if table.learns_from(gateway) {
            vec![Change::TableForgets { table: table_id, gateway }]
        } else {
            Vec::new()
        })
    }
}
