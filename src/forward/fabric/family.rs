//! What differs between IPv4 and IPv6 on a packet's way.
//!
//! Holds [`Kind`] with its two implementations, so that every stage is written once and compiled
//! twice. Refuses to hold a stage.

use super::Hosts;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::classify::{AclFilterIdx, Classifiers, FilterIdx, Probe};
use super::directory::Key;
use super::passages::{Onward, Passage, Passages, Sent};
use super::routes::{Code, Tables};
use super::rows::InterfaceRow;
use crate::base::id::*;
use crate::cloud::cidr;
use crate::cloud::filter::Direction;
use crate::forward::connections::{Judgement, Tracking, Word};
use crate::forward::gate::Origin;
use crate::wire::{Flow, Head, Packet, Transport, View};

/// IPv4.
pub(super) enum V4 {}

/// IPv6.
pub(super) enum V6 {}

/// A family, by the questions that stages ask.
pub(super) trait Kind {
    /// An address as a number.
    type Address: Copy;
    /// An address.
    type Ip: Copy;
    /// Where facts by family have it.
    const ROW: usize;

    /// The number as a batch keeps it.
    fn wide(address: Self::Address) -> u128;
    /// And back.
    fn narrow(wide: u128) -> Self::Address;
    /// The fields by which a whole packet of the family is forwarded.
    fn head(view: &View<'_>) -> Option<Head<Self::Address>>;
    /// The flow of a whole packet of the family that is TCP or UDP.
    fn flow(view: &View<'_>) -> Option<Flow<Self::Ip>>;
    /// What the classifiers compare of a flow.
    fn probe(flow: &Flow<Self::Ip>) -> Probe<Self::Address>;
    /// Does an ACL let it pass?
    fn acl(
        by: &Classifiers,
        acl: AclFilterIdx,
        way: Direction,
        probe: &Probe<Self::Address>,
    ) -> bool;
    /// What groups say of it, sent under its sender's own address.
    fn groups(
        by: &Classifiers,
        filter: FilterIdx,
        way: Direction,
        probe: &Probe<Self::Address>,
    ) -> Word;
    /// Asks for what `judge` will read.
    fn ask(memory: &impl Tracking, at: InterfaceIdx, way: Direction, flow: &Flow<Self::Ip>);
    /// What is remembered, or else `rules`.
    fn judge(
        memory: &mut impl Tracking,
        at: InterfaceIdx,
        way: Direction,
        flow: (&Flow<Self::Ip>, &Packet),
        rules: impl FnOnce() -> Word,
    ) -> Judgement;
    /// Is it the interface's first address of the family?
    fn is_first(hosts: &Hosts, row: &InterfaceRow, address: Self::Address) -> bool;
    /// Does the address lie in the interface's subnet?
    fn shares_subnet(hosts: &Hosts, row: &InterfaceRow, address: Self::Address) -> bool;
    /// Is it in a range that no table forwards?
    fn is_service(address: Self::Address) -> bool;
    /// Where the directory has it.
    fn key(vpc: VpcIdx, address: Self::Address) -> Key;
    /// Where a packet for this destination crossed lately.
    fn onward(of: &Passages, table: TableIdx, destination: Self::Address) -> Option<&Passage>;
    /// Notes where one crosses.
    fn note_onward(to: &mut Passages, table: TableIdx, destination: u128, passage: Passage);
    /// Where a packet of this flow crossed lately that ACLs let out and in.
    fn sent(of: &Passages, from: InterfaceIdx, flow: Flow<Self::Ip>) -> Option<&Passage>;
    /// Notes where one crosses.
    fn note_sent(to: &mut Passages, from: InterfaceIdx, flow: Flow<Self::Ip>, passage: Passage);
    /// Asks for a route table's own line.
    fn prefetch_table(tables: &Tables, table: TableIdx);
    /// Asks for what a search reads next.
    fn prefetch_route(tables: &Tables, table: TableIdx, address: Self::Address);
    /// The target of the longest route that covers the address.
    fn route(tables: &Tables, table: TableIdx, address: Self::Address) -> Option<Code>;
}

impl Kind for V4 {
    type Address = u32;
    type Ip = Ipv4Addr;
    const ROW: usize = 0;

    #[inline(always)]
    fn wide(address: u32) -> u128 {
        address.into()
    }

    #[inline(always)]
    #[allow(clippy::cast_possible_truncation, reason = "it was widened")]
    fn narrow(wide: u128) -> u32 {
        wide as u32
    }

    #[inline(always)]
    fn head(view: &View<'_>) -> Option<Head<u32>> {
        view.head_v4()
    }

    #[inline(always)]
    fn flow(view: &View<'_>) -> Option<Flow<Ipv4Addr>> {
        view.flow_v4()
    }

    #[inline(always)]
    fn probe(flow: &Flow<Ipv4Addr>) -> Probe<u32> {
        let (source, destination) = (flow.source_port, flow.destination_port);
        let ports = Transport::Ports { source, destination };
        Probe::new(flow.source.into(), flow.destination.into(), flow.protocol, ports)
    }

    #[inline(always)]
    fn acl(by: &Classifiers, acl: AclFilterIdx, way: Direction, probe: &Probe<u32>) -> bool {
        by.acl_v4(acl, way, probe)
    }

    #[inline(always)]
    fn groups(by: &Classifiers, filter: FilterIdx, way: Direction, probe: &Probe<u32>) -> Word {
        by.groups_v4(filter, way, probe, Origin::Own)
    }

    #[inline(always)]
    fn ask(memory: &impl Tracking, at: InterfaceIdx, way: Direction, flow: &Flow<Ipv4Addr>) {
        memory.ask_v4(at, way, flow);
    }

    #[inline(always)]
    fn judge(
        memory: &mut impl Tracking,
        at: InterfaceIdx,
        way: Direction,
        flow: (&Flow<Ipv4Addr>, &Packet),
        rules: impl FnOnce() -> Word,
    ) -> Judgement {
        memory.judge_v4(at, way, flow, rules)
    }

    #[inline(always)]
    fn is_first(_: &Hosts, row: &InterfaceRow, address: u32) -> bool {
        row.is_first(address)
    }

    #[inline(always)]
    fn shares_subnet(_: &Hosts, row: &InterfaceRow, address: u32) -> bool {
        row.shares_subnet_with(address)
    }

    #[inline(always)]
    fn is_service(address: u32) -> bool {
        cidr::is_never_forwarded_v4(address)
    }

    #[inline(always)]
    fn key(vpc: VpcIdx, address: u32) -> Key {
        Key::of_v4(vpc, address)
    }

    #[inline(always)]
    fn onward(of: &Passages, table: TableIdx, destination: u32) -> Option<&Passage> {
        of.v4.get(Onward { table, destination })
    }

    fn note_onward(to: &mut Passages, table: TableIdx, destination: u128, passage: Passage) {
        to.v4.put(Onward { table, destination: V4::narrow(destination) }, passage);
    }

    #[inline(always)]
    fn sent(of: &Passages, from: InterfaceIdx, flow: Flow<Ipv4Addr>) -> Option<&Passage> {
        of.flows_v4.get(Sent { from, flow })
    }

    fn note_sent(to: &mut Passages, from: InterfaceIdx, flow: Flow<Ipv4Addr>, passage: Passage) {
        to.flows_v4.put(Sent { from, flow }, passage);
    }

    #[inline(always)]
    fn prefetch_table(tables: &Tables, table: TableIdx) {
        tables.prefetch_table(table);
    }

    #[inline(always)]
    fn prefetch_route(tables: &Tables, table: TableIdx, address: u32) {
        tables.prefetch(table, address);
    }

    #[inline(always)]
    fn route(tables: &Tables, table: TableIdx, address: u32) -> Option<Code> {
        tables.get(table, address)
    }
}

impl Kind for V6 {
    type Address = u128;
    type Ip = Ipv6Addr;
    const ROW: usize = 1;

    #[inline(always)]
    fn wide(address: u128) -> u128 {
        address
    }

    #[inline(always)]
    fn narrow(wide: u128) -> u128 {
        wide
    }

    #[inline(always)]
    fn head(view: &View<'_>) -> Option<Head<u128>> {
        view.head_v6()
    }

    #[inline(always)]
    fn flow(view: &View<'_>) -> Option<Flow<Ipv6Addr>> {
        view.flow_v6()
    }

    #[inline(always)]
    fn probe(flow: &Flow<Ipv6Addr>) -> Probe<u128> {
        let (source, destination) = (flow.source_port, flow.destination_port);
        let ports = Transport::Ports { source, destination };
        Probe::new(flow.source.into(), flow.destination.into(), flow.protocol, ports)
    }

    #[inline(always)]
    fn acl(by: &Classifiers, acl: AclFilterIdx, way: Direction, probe: &Probe<u128>) -> bool {
        by.acl_v6(acl, way, probe)
    }

    #[inline(always)]
    fn groups(by: &Classifiers, filter: FilterIdx, way: Direction, probe: &Probe<u128>) -> Word {
        by.groups_v6(filter, way, probe, Origin::Own)
    }

    #[inline(always)]
    fn ask(memory: &impl Tracking, at: InterfaceIdx, way: Direction, flow: &Flow<Ipv6Addr>) {
        memory.ask_v6(at, way, flow);
    }

    #[inline(always)]
    fn judge(
        memory: &mut impl Tracking,
        at: InterfaceIdx,
        way: Direction,
        flow: (&Flow<Ipv6Addr>, &Packet),
        rules: impl FnOnce() -> Word,
    ) -> Judgement {
        memory.judge_v6(at, way, flow, rules)
    }

    #[inline(always)]
    fn is_first(hosts: &Hosts, row: &InterfaceRow, address: u128) -> bool {
        hosts.more(row).is_some_and(|more| more.address == Some(address.into()))
    }

    #[inline(always)]
    fn shares_subnet(hosts: &Hosts, row: &InterfaceRow, address: u128) -> bool {
        hosts.more(row).is_some_and(|more| more.shares_subnet_with(address.into()))
    }

    #[inline(always)]
    fn is_service(address: u128) -> bool {
        cidr::is_never_forwarded_v6(address)
    }

    #[inline(always)]
    fn key(vpc: VpcIdx, address: u128) -> Key {
        Key::of_v6(vpc, address)
    }

    #[inline(always)]
    fn onward(of: &Passages, table: TableIdx, destination: u128) -> Option<&Passage> {
        of.v6.get(Onward { table, destination })
    }

    fn note_onward(to: &mut Passages, table: TableIdx, destination: u128, passage: Passage) {
        to.v6.put(Onward { table, destination: V6::narrow(destination) }, passage);
    }

    #[inline(always)]
    fn sent(of: &Passages, from: InterfaceIdx, flow: Flow<Ipv6Addr>) -> Option<&Passage> {
        of.flows_v6.get(Sent { from, flow })
    }

    fn note_sent(to: &mut Passages, from: InterfaceIdx, flow: Flow<Ipv6Addr>, passage: Passage) {
        to.flows_v6.put(Sent { from, flow }, passage);
    }

    #[inline(always)]
    fn prefetch_table(tables: &Tables, table: TableIdx) {
        tables.prefetch_table_v6(table);
    }

    #[inline(always)]
    fn prefetch_route(tables: &Tables, table: TableIdx, address: u128) {
        tables.prefetch_v6(table, address);
    }

    #[inline(always)]
    fn route(tables: &Tables, table: TableIdx, address: u128) -> Option<Code> {
        tables.get_v6(table, address)
    }
}
