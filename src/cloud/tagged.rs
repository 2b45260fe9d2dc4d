//! The tags of all resources, and the index that tells which resources have a tag.
//!
//! Holds `Tags`, which only `evolve.rs` changes, and what it is asked. The index follows from the
//! tags: neither a journal nor a snapshot holds it, and reading a snapshot makes it anew. Refuses to
//! hold rules about keys and values: `tag.rs`.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Cloud;
use super::event::ResourceId;
use crate::base::id::*;

/// The tags of one resource, of one account.
type Pairs = BTreeMap<String, String>;
/// All tags. A resource without tags is not there.
type ByResource = BTreeMap<(ResourceId, AccountId), Pairs>;

/// An id of a kind of resource that can carry tags.
pub trait TaggedId: Copy {
    /// The kind, as the index sorts by.
    #[doc(hidden)]
    const KIND: Kind;

    /// The id, if the resource is of this kind.
    fn of(resource: ResourceId) -> Option<Self>;
}

macro_rules! kinds {
    ($($kind:ident($id:ty)),* $(,)?) => {
        /// A kind of resource, in the order of [`ResourceId`].
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        #[allow(missing_docs, reason = "each is the variant of `ResourceId` of its name")]
        pub enum Kind {
            $($kind),*
        }

        impl Kind {
            const fn of(resource: ResourceId) -> Kind {
                match resource {
                    $(ResourceId::$kind(_) => Kind::$kind),*
                }
            }
        }

        $(impl TaggedId for $id {
            const KIND: Kind = Kind::$kind;

            fn of(resource: ResourceId) -> Option<Self> {
                match resource {
                    ResourceId::$kind(id) => Some(id),
                    _ => None,
                }
            }
        })*
    };
}

kinds!(
    Vpc(VpcId),
    Subnet(SubnetId),
    RouteTable(RouteTableId),
    Peering(PeeringId),
    Instance(InstanceId),
    Interface(InterfaceId),
    SecurityGroup(SecurityGroupId),
    PrefixList(PrefixListId),
    NetworkAcl(NetworkAclId),
    Gateway(super::gateway::GatewayId),
    NatGateway(NatGatewayId),
    FlowLog(FlowLogId),
    Allocation(AllocationId),
);

/// The tags of all resources.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Tags {
    of: ByResource,
    by: BTreeMap<AccountId, BTreeMap<Kind, Hung>>,
}

/// What an account has hung on resources of one kind. Without anything it is not there.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Hung {
    on: BTreeSet<ResourceId>,
    /// By key: the values, each with a resource. Flat, because most values are few resources' own.
    with: BTreeMap<String, BTreeSet<(String, ResourceId)>>,
}

impl Tags {
    /// The tags of a resource.
    pub(super) fn get(&self, resource: ResourceId, account: AccountId) -> Option<&Pairs> {
        self.of.get(&(resource, account))
    }

    /// The tags of a resource, account by account.
    pub(super) fn of_all(&self, resource: ResourceId) -> impl Iterator<Item = (AccountId, &Pairs)> {
        let first = (resource, AccountId::LOWEST);
        let of_it = self.of.range(first..).take_while(move |((tagged, _), _)| *tagged == resource);
        of_it.map(|((_, account), pairs)| (*account, pairs))
    }

    /// Gives a resource a tag; a value that it had for the key goes.
    pub(super) fn set(&mut self, resource: ResourceId, account: AccountId, key: &str, value: &str) {
        let pairs = self.of.entry((resource, account)).or_default();
        let old = pairs.insert(key.to_owned(), value.to_owned());
        let kinds = self.by.entry(account).or_default();
        let hung = kinds.entry(Kind::of(resource)).or_default();
        hung.on.insert(resource);
        // Not `entry`: most keys are there already, and it would take a copy of each.
        if !hung.with.contains_key(key) {
            hung.with.insert(key.to_owned(), BTreeSet::new());
        }
        if let Some(with) = hung.with.get_mut(key) {
            if let Some(old) = old {
                with.remove(&(old, resource));
            }
            with.insert((value.to_owned(), resource));
        }
    }

    /// Takes a tag away.
    pub(super) fn remove(&mut self, resource: ResourceId, account: AccountId, key: &str) {
        let Some(pairs) = self.of.get_mut(&(resource, account)) else { return };
        let Some(old) = pairs.remove(key) else { return };
        let bare = pairs.is_empty();
        if bare {
            self.of.remove(&(resource, account));
        }
        self.unhang(resource, account, key, old, bare);
    }

    /// Takes all tags of a resource away, whoever has hung them there.
    pub(super) fn remove_all(&mut self, resource: ResourceId) {
        let accounts: Vec<AccountId> = self.of_all(resource).map(|(account, _)| account).collect();
        for account in accounts {
            for (key, old) in self.of.remove(&(resource, account)).unwrap_or_default() {
                self.unhang(resource, account, &key, old, true);
            }
        }
    }

    /// The index without a tag that is gone; `bare` resources have no other.
    fn unhang(
        &mut self,
        resource: ResourceId,
        account: AccountId,
        key: &str,
        old: String,
        bare: bool,
    ) {
        let Some(kinds) = self.by.get_mut(&account) else { return };
        let Some(hung) = kinds.get_mut(&Kind::of(resource)) else { return };
        if let Some(with) = hung.with.get_mut(key) {
            with.remove(&(old, resource));
            if with.is_empty() {
                hung.with.remove(key);
            }
        }
        if bare {
            hung.on.remove(&resource);
        }
        if hung.on.is_empty() {
            kinds.remove(&Kind::of(resource));
        }
        if kinds.is_empty() {
            self.by.remove(&account);
        }
    }

    fn hung<T: TaggedId>(&self, account: AccountId) -> Option<&Hung> {
        self.by.get(&account)?.get(&T::KIND)
    }
}

#[cfg(test)]
impl Tags {
    /// Is the index what the tags make of it?
    pub(super) fn are_indexed(&self) -> bool {
        Tags::from(self.of.clone()) == *self
    }
}

impl From<ByResource> for Tags {
    fn from(of: ByResource) -> Tags {
        let mut tags = Tags::default();
        for ((resource, account), pairs) in &of {
            for (key, value) in pairs {
                tags.set(*resource, *account, key, value);
            }
        }
        tags
    }
}

impl Serialize for Tags {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.of.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Tags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Tags, D::Error> {
        ByResource::deserialize(deserializer).map(Tags::from)
    }
}

impl Cloud {
    /// The resources that an account has hung tags on, ordered. Costs what it has tagged.
    pub fn tagged_by(&self, account: AccountId) -> impl Iterator<Item = ResourceId> + '_ {
        let kinds = self.tags.by.get(&account).into_iter().flat_map(BTreeMap::values);
        kinds.flat_map(|hung| hung.on.iter().copied())
    }

    /// The resources of one kind on which an account has hung a tag with this key, by value. Each is
    /// there once. Costs what it answers.
    pub fn tagged_with_key<T: TaggedId>(
        &self,
        account: AccountId,
        key: &str,
    ) -> impl Iterator<Item = T> + '_ {
        let with = self.tags.hung::<T>(account).and_then(|hung| hung.with.get(key));
        with.into_iter().flatten().filter_map(|(_, resource)| T::of(*resource))
    }

    /// Those of [`Cloud::tagged_with_key`] whose tag has this value, ordered by id.
    pub fn tagged_with<T: TaggedId>(
        &self,
        account: AccountId,
        key: &str,
        value: &str,
    ) -> impl Iterator<Item = T> + '_ {
        let with = self.tags.hung::<T>(account).and_then(|hung| hung.with.get(key));
        let first = (value.to_owned(), ResourceId::LOWEST);
        let of_value = with.into_iter().flat_map(move |with| {
            let value = first.0.clone();
            with.range(&first..).take_while(move |(other, _)| *other == value)
        });
        of_value.filter_map(|(_, resource)| T::of(*resource))
    }
}
