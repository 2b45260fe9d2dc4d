//! The EC2 error code of every refusal.
//!
//! Holds the one table from rules to codes, and the list of all codes. Refuses to hold the rules.

use super::Refusal;
use crate::cloud::gateway::GatewayId;
use crate::cloud::quota::Quota;

impl Refusal {
    /// Every code that [`Refusal::code`] can give, in alphabetical order: what a file may expect.
    pub const CODES: &[&str] = &[
        "ActiveVpcPeeringConnectionPerVpcLimitExceeded",
        "AttachmentLimitExceeded",
        "CannotDelete",
        "CidrLimitExceeded",
        "DefaultVpcAlreadyExists",
        "DependencyViolation",
        "EgressOnlyInternetGatewayLimitExceeded",
        "FlowLogAlreadyExists",
        "FlowLogsLimitExceeded",
        "Gateway.NotAttached",
        "IncorrectInstanceState",
        "IncorrectState",
        "InstanceLimitExceeded",
        "InsufficientAddressCapacity",
        "InsufficientFreeAddressesInSubnet",
        "InvalidAllocationID.NotFound",
        "InvalidAssociationID.NotFound",
        "InvalidAttachmentID.NotFound",
        "InvalidEgressOnlyInternetGatewayId.NotFound",
        "InvalidFlowLogId.NotFound",
        "InvalidGatewayID.NotFound",
        "InvalidGroup.Duplicate",
        "InvalidGroup.NotFound",
        "InvalidGroup.Reserved",
        "InvalidID",
        "InvalidIPAddress.InUse",
        "InvalidInstanceID.NotFound",
        "InvalidInternetGatewayID.NotFound",
        "InvalidNatGatewayID.NotFound",
        "InvalidNetworkAclEntry.NotFound",
        "InvalidNetworkAclID.NotFound",
        "InvalidNetworkInterface.InUse",
        "InvalidNetworkInterfaceID.NotFound",
        "InvalidParameterCombination",
        "InvalidParameterValue",
        "InvalidPermission.Duplicate",
        "InvalidPermission.NotFound",
        "InvalidPrefixListID.NotFound",
        "InvalidRoute.NotFound",
        "InvalidRouteTableID.NotFound",
        "InvalidStateTransition",
        "InvalidSubnet.Conflict",
        "InvalidSubnet.Range",
        "InvalidSubnetCidrBlockAssociationID.NotFound",
        "InvalidSubnetID.NotFound",
        "InvalidVpc.Range",
        "InvalidVpcEndpointId.NotFound",
        "InvalidVpcID.NotFound",
        "InvalidVpcPeeringConnectionID.NotFound",
        "InvalidVpcPeeringConnectionState.DnsHostnamesDisabled",
        "InvalidVpcState",
        "InvalidVpnGatewayAttachment.NotFound",
        "InvalidVpnGatewayID.NotFound",
        "InvalidZone.NotFound",
        "MissingParameter",
        "NatGatewayNotFound",
        "NetworkAclEntryAlreadyExists",
        "NetworkAclEntryLimitExceeded",
        "NetworkAclLimitExceeded",
        "NetworkInterfaceLimitExceeded",
        "OperationNotPermitted",
        "OutstandingVpcPeeringConnectionLimitExceeded",
        "PrefixListMaxEntriesExceeded",
        "Resource.AlreadyAssociated",
        "RouteAlreadyExists",
        "RouteLimitExceeded",
        "RouteTableLimitExceeded",
        "RulesPerSecurityGroupLimitExceeded",
        "SecurityGroupLimitExceeded",
        "SecurityGroupsPerInterfaceLimitExceeded",
        "SubnetLimitExceeded",
        "TagLimitExceeded",
        "UnknownParameter",
        "VpcLimitExceeded",
        "VpcPeeringConnectionAlreadyExists",
        "VpnGatewayAttachmentLimitExceeded",
    ];

    /// The EC2 error code, exactly as on the wire.
    pub const fn code(&self) -> &'static str {
        match self {
            Refusal::VpcNotFound(_) => "InvalidVpcID.NotFound",
            Refusal::SubnetNotFound(_) => "InvalidSubnetID.NotFound",
            Refusal::RouteTableNotFound(_) => "InvalidRouteTableID.NotFound",
            Refusal::AssociationNotFound(_) => "InvalidAssociationID.NotFound",
            Refusal::PeeringNotFound(_) => "InvalidVpcPeeringConnectionID.NotFound",
            Refusal::InstanceNotFound(_) => "InvalidInstanceID.NotFound",
            Refusal::InterfaceNotFound(_) => "InvalidNetworkInterfaceID.NotFound",
            Refusal::GroupNotFound(_) | Refusal::GroupOfOtherVpc(_) => "InvalidGroup.NotFound",
            Refusal::PrefixListNotFound(_) => "InvalidPrefixListID.NotFound",
            Refusal::AclNotFound(_) => "InvalidNetworkAclID.NotFound",
            Refusal::AclAssociationNotFound(_) => "InvalidAssociationID.NotFound",
            Refusal::GatewayNotFound(id) => match id {
                GatewayId::Internet(_) => "InvalidInternetGatewayID.NotFound",
                GatewayId::Vpn(_) => "InvalidVpnGatewayID.NotFound",
                GatewayId::Endpoint(_) => "InvalidVpcEndpointId.NotFound",
                GatewayId::EgressOnly(_) => "InvalidEgressOnlyInternetGatewayId.NotFound",
            },
            Refusal::RouteGatewayNotFound(_) => "InvalidGatewayID.NotFound",
            Refusal::SubnetCidrAssociationNotFound(_) => {
                "InvalidSubnetCidrBlockAssociationID.NotFound"
            }
            Refusal::AttachmentNotFound(_) => "InvalidAttachmentID.NotFound",
            Refusal::DefaultVpcExists(_) => "DefaultVpcAlreadyExists",
            Refusal::InstanceState { .. } => "IncorrectInstanceState",
            Refusal::InterfaceInUse(_) => "InvalidNetworkInterface.InUse",
            Refusal::PrimaryInterfaceStays(_) => "OperationNotPermitted",
            Refusal::InterfaceElsewhere | Refusal::ForOneInstance => "InvalidParameterCombination",
            Refusal::TooManyInterfaces => "AttachmentLimitExceeded",
            Refusal::TooManyInstances(_) => "InstanceLimitExceeded",
            Refusal::InterfaceNotAttached(_)
            | Refusal::DeviceTaken { .. }
            | Refusal::DeviceNamedTwice(_)
            | Refusal::SubnetWithoutIpv6(_)
            | Refusal::PrimaryAddressStays(_) => "InvalidParameterValue",
            Refusal::FlowLogNotFound(_) => "InvalidFlowLogId.NotFound",
            Refusal::FlowLogExists(_) => "FlowLogAlreadyExists",
            Refusal::TooManyFlowLogs(_) => "FlowLogsLimitExceeded",
            Refusal::NatGatewayNotFound(_) => "NatGatewayNotFound",
            Refusal::RouteNatGatewayNotFound(_) => "InvalidNatGatewayID.NotFound",
            Refusal::AllocationNotFound(_) => "InvalidAllocationID.NotFound",
            Refusal::AddressAssociationNotFound(_) | Refusal::AddressNotAssociated(_) => {
                "InvalidAssociationID.NotFound"
            }
            Refusal::ResourceNotFound(_) => "InvalidID",
            Refusal::VpcBlockInvalid(_)
            | Refusal::VpcBlockRestricted(_)
            | Refusal::VpcBlockConflict(_)
            | Refusal::VpcBlockCoversRoute { .. } => "InvalidVpc.Range",
            Refusal::VpcBlockWhilePending { .. } | Refusal::VpcBlockOverlapsPeer { .. } => {
                "OperationNotPermitted"
            }
            Refusal::VpcBlockNotRemovable(_) => "OperationNotPermitted",
            Refusal::SubnetBlockInvalid(_) => "InvalidSubnet.Range",
            Refusal::SubnetBlockConflict(_) => "InvalidSubnet.Conflict",
            Refusal::ZoneNotFound(_) => "InvalidZone.NotFound",
            Refusal::AddressNotInSubnet(_) => "InvalidParameterValue",
            Refusal::AddressInUse(_) => "InvalidIPAddress.InUse",
            Refusal::AddressNotPublic(_)
            | Refusal::AddressNotOfInterface { .. }
            | Refusal::AddressNotBeyond { .. }
            | Refusal::PrefixesInvalid(_)
            | Refusal::RouteToEndpoint(_)
            | Refusal::RouteToEgressOnlyNotIpv6(_)
            | Refusal::EndpointOfOtherVpc { .. }
            | Refusal::VpcHasEgressOnlyGateway(_)
            | Refusal::VpcHasInternetGateway(_) => "InvalidParameterValue",
            Refusal::AddressAlreadyAssociated(_) | Refusal::SubnetHasIpv6(_) => {
                "Resource.AlreadyAssociated"
            }
            Refusal::NoPublicAddressLeft => "InsufficientAddressCapacity",
            Refusal::GatewayInUse(_) | Refusal::PublicAddressesMapped(_) => "DependencyViolation",
            Refusal::GatewayAlreadyAttached { gateway, .. } => match gateway {
                GatewayId::Vpn(_) => "VpnGatewayAttachmentLimitExceeded",
                _ => "Resource.AlreadyAssociated",
            },
            Refusal::VpcHasVpnGateway(_) => "InvalidVpcState",
            Refusal::GatewayNotAttached { gateway, .. } => match gateway {
                GatewayId::Vpn(_) => "InvalidVpnGatewayAttachment.NotFound",
                _ => "Gateway.NotAttached",
            },
            Refusal::NoInternetGateway(_) | Refusal::PropagationNotAttached { .. } => {
                "Gateway.NotAttached"
            }
            Refusal::VpnGatewayAttached(_) => "IncorrectState",
            Refusal::SubnetFull(_) => "InsufficientFreeAddressesInSubnet",
            Refusal::VpcInUse(_)
            | Refusal::SubnetInUse(_)
            | Refusal::RouteTableInUse(_)
            | Refusal::GroupInUse(_)
            | Refusal::PrefixListInUse(_)
            | Refusal::AclInUse(_) => "DependencyViolation",
            Refusal::GroupNameTaken(_) => "InvalidGroup.Duplicate",
            Refusal::GroupNameReserved(_) => "InvalidGroup.Reserved",
            Refusal::DefaultGroupStays(_) => "CannotDelete",
            Refusal::RuleExists(_) => "InvalidPermission.Duplicate",
            Refusal::RuleNotFound(_) => "InvalidPermission.NotFound",
            Refusal::NoGroups => "MissingParameter",
            Refusal::InterfaceManaged(_) => "OperationNotPermitted",
            Refusal::AclEntryExists(_) => "NetworkAclEntryAlreadyExists",
            Refusal::AclEntryNotFound(_) => "InvalidNetworkAclEntry.NotFound",
            Refusal::GroupNameInvalid(_)
            | Refusal::PrefixListEntryNotFound { .. }
            | Refusal::DefaultAclStays(_)
            | Refusal::AclOfOtherVpc { .. }
            | Refusal::QuotaNotGranted { .. } => "InvalidParameterValue",
            Refusal::RouteExists(_) => "RouteAlreadyExists",
            Refusal::RouteNotFound { .. } => "InvalidRoute.NotFound",
            Refusal::RouteToReplaceNotFound { .. }
            | Refusal::LocalRouteStays { .. }
            | Refusal::RouteInsideLocal(_)
            | Refusal::RouteInsideLocalNotSubnet(_)
            | Refusal::RouteReserved(_)
            | Refusal::RouteTargetOfOtherVpc { .. }
            | Refusal::AssociationOfOtherVpc { .. }
            | Refusal::MainAssociationStays(_)
            | Refusal::PeeringWithItself(_)
            | Refusal::DnsHostnamesNeedSupport(_) => "InvalidParameterValue",
            Refusal::AlreadyAssociated { .. } => "Resource.AlreadyAssociated",
            Refusal::PeeringExists(_) => "VpcPeeringConnectionAlreadyExists",
            Refusal::PeeringState { .. } => "InvalidStateTransition",
            Refusal::PeeringNotYours { .. }
            | Refusal::PeeringRegion { .. }
            | Refusal::PeeringSideNotYours { .. }
            | Refusal::PeeringNotActive(_) => "OperationNotPermitted",
            Refusal::PeeringNeedsDnsHostnames(_) => {
                "InvalidVpcPeeringConnectionState.DnsHostnamesDisabled"
            }
            Refusal::UnknownParameter(_) => "UnknownParameter",
            Refusal::QuotaExceeded { quota, .. } => match quota {
                Quota::VpcsPerRegion => "VpcLimitExceeded",
                Quota::CidrsPerVpc => "CidrLimitExceeded",
                Quota::SubnetsPerVpc => "SubnetLimitExceeded",
                Quota::RouteTablesPerVpc => "RouteTableLimitExceeded",
                // AWS names no code for propagated routes; that of static ones is a choice.
                Quota::RoutesPerTable | Quota::PropagatedRoutesPerTable => "RouteLimitExceeded",
                Quota::ActivePeeringsPerVpc => "ActiveVpcPeeringConnectionPerVpcLimitExceeded",
                Quota::OutstandingPeeringRequests => "OutstandingVpcPeeringConnectionLimitExceeded",
                Quota::InterfacesPerRegion => "NetworkInterfaceLimitExceeded",
                Quota::SecurityGroupsPerRegion => "SecurityGroupLimitExceeded",
                Quota::RulesPerSecurityGroup => "RulesPerSecurityGroupLimitExceeded",
                Quota::SecurityGroupsPerInterface => "SecurityGroupsPerInterfaceLimitExceeded",
                Quota::EntriesPerPrefixList => "PrefixListMaxEntriesExceeded",
                Quota::NetworkAclsPerVpc => "NetworkAclLimitExceeded",
                Quota::EntriesPerNetworkAcl => "NetworkAclEntryLimitExceeded",
                // A choice, after that of internet gateways.
                Quota::EgressOnlyGatewaysPerRegion => "EgressOnlyInternetGatewayLimitExceeded",
            },
            Refusal::PeerQuotaExceeded(_) => "ActiveVpcPeeringConnectionPerVpcLimitExceeded",
            Refusal::TooManyTags => "TagLimitExceeded",
            Refusal::InvalidTag(_) => "InvalidParameterValue",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Refusal;

    /// The list is that of the arms of `code`, read from this file.
    #[test]
    fn the_list_of_codes_is_that_of_the_arms() {
        let text = include_str!("code.rs");
        let arms = text.split("pub const fn code").nth(1).unwrap();
        let arms = arms.split("\n}\n").next().unwrap();
        let mut codes: Vec<&str> = arms.split('"').skip(1).step_by(2).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes, Refusal::CODES);
    }
}
