//! The parameters of a request: EC2's flat names as the tree that they mean.
//!
//! Holds the parser of forms and typed access by name, with EC2's errors. Refuses to know which
//! parameters an operation takes.
//!
//! `Filter.1.Value.2=a` is the second value of the first filter. Lists count from 1, and gaps are
//! allowed; `Filter.1.Value=a` is a list of one, as in AWS's own samples (vpc-semantics 6.1).

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use super::fault::Fault;
use crate::base::id::*;
use crate::base::limit::{API_PARAMETER_DEPTH_MAX, API_PARAMETERS_MAX};

/// The value and the members of one name.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Params {
    value: Option<String>,
    members: BTreeMap<Name, Params>,
}

/// One part of a dotted name. Numbers sort as numbers.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
enum Name {
    Number(u32),
    Word(String),
}

impl Name {
    fn of(part: &str) -> Name {
        match part.parse() {
            Ok(number) => Name::Number(number),
            Err(_) => Name::Word(part.to_owned()),
        }
    }
}

impl Params {
    /// The parameters of forms: a query string, a body. What comes later counts.
    ///
    /// # Errors
    /// `MalformedQueryString` with too many parameters or too deep a name.
    pub fn parse<'a>(forms: impl IntoIterator<Item = &'a [u8]>) -> Result<Params, Fault> {
        let mut root = Params::default();
        let mut count = 0;
        for form in forms {
            for (name, value) in form_urlencoded::parse(form) {
                count += 1;
                if count > API_PARAMETERS_MAX {
                    return Err(malformed(format!("more than {API_PARAMETERS_MAX} parameters")));
                }
                if name.split('.').count() > API_PARAMETER_DEPTH_MAX {
                    return Err(malformed("a parameter's name has too many parts".to_owned()));
                }
                let mut node = &mut root;
                for part in name.split('.') {
                    node = node.members.entry(Name::of(part)).or_default();
                }
                node.value = Some(value.into_owned());
            }
        }
        Ok(root)
    }

    /// The names at the top, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.members.keys().filter_map(|name| match name {
            Name::Word(word) => Some(word.as_str()),
            Name::Number(_) => None,
        })
    }

    /// The members of this name, if any were given: `IcmpTypeCode.Type` is `Type` of
    /// `IcmpTypeCode`. The name may have dots.
    pub fn member(&self, name: &str) -> Option<&Params> {
        name.split('.').try_fold(self, |node, part| node.members.get(&Name::of(part)))
    }

    /// The rows of a list of structures, in order of their numbers.
    pub fn rows(&self, name: &str) -> impl Iterator<Item = &Params> {
        let list = self.member(name).into_iter().flat_map(|list| &list.members);
        list.filter(|(name, _)| matches!(name, Name::Number(_))).map(|(_, row)| row)
    }

    /// The values of a list, in order of their numbers.
    pub fn list(&self, name: &str) -> impl Iterator<Item = &str> {
        let bare = self.member(name).and_then(|list| list.value.as_deref());
        bare.into_iter().chain(self.rows(name).filter_map(|row| row.value.as_deref()))
    }

    /// The value of this name. An empty one counts as none, as clients mean it.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.member(name)?.value.as_deref().filter(|value| !value.is_empty())
    }

    /// The value of this name, even if it is empty: to empty something is a wish.
    pub fn text_or_empty(&self, name: &str) -> Option<&str> {
        self.member(name)?.value.as_deref()
    }

    /// The value of this name.
    ///
    /// # Errors
    /// `MissingParameter`.
    pub fn needed(&self, name: &str) -> Result<&str, Fault> {
        self.text(name).ok_or_else(|| Fault::missing(name))
    }

    /// The value of this name as something that can be read from text: a number, a block.
    ///
    /// # Errors
    /// `InvalidParameterValue`.
    pub fn parsed<T: FromStr>(&self, name: &str) -> Result<Option<T>, Fault> {
        let parse = |value: &str| value.parse().map_err(|_| Fault::value(name, value));
        self.text(name).map(parse).transpose()
    }

    /// Yes or no.
    ///
    /// # Errors
    /// `InvalidParameterValue`.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, Fault> {
        match self.text(name) {
            None => Ok(None),
            Some(value) if value.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(value) if value.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(value) => Err(Fault::value(name, value)),
        }
    }

    /// An id, if it is given.
    ///
    /// # Errors
    /// The `...Malformed` code of its kind.
    pub fn id<T: WireId>(&self, name: &str) -> Result<Option<T>, Fault> {
        self.text(name).map(id).transpose()
    }

    /// An id that must be there.
    ///
    /// # Errors
    /// `MissingParameter`, or the `...Malformed` code of its kind.
    pub fn needed_id<T: WireId>(&self, name: &str) -> Result<T, Fault> {
        id(self.needed(name)?)
    }

    /// The ids of a list, each once, in order of first mention.
    ///
    /// # Errors
    /// The `...Malformed` code of their kind.
    pub fn ids<T: WireId>(&self, name: &str) -> Result<Vec<T>, Fault> {
        let mut ids = Vec::new();
        for text in self.list(name) {
            let id = id(text)?;
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        Ok(ids)
    }
}

fn malformed(why: String) -> Fault {
    Fault::new("MalformedQueryString", format!("The query string is malformed: {why}"))
}

/// An id from its text.
///
/// # Errors
/// The `...Malformed` code of its kind.
pub fn id<T: WireId>(text: &str) -> Result<T, Fault> {
    text.parse().map_err(|_| {
        let message = format!("Invalid id: \"{text}\" (expecting \"{}-...\")", T::EXPECTED);
        Fault::new(T::MALFORMED, message)
    })
}

/// An id that stands in requests.
pub trait WireId: FromStr + Display + PartialEq {
    /// The code for a text that is no such id: `ID` or `Id` as vpc-semantics 6.7 has it.
    const MALFORMED: &'static str;
    /// Its prefix.
    const EXPECTED: &'static str;
}

macro_rules! wire_ids {
    ($($id:ty: $code:literal),+ $(,)?) => {
        $(impl WireId for $id {
            const MALFORMED: &'static str = $code;
            const EXPECTED: &'static str = <$id>::PREFIX;
        })+
    };
}

wire_ids! {
    VpcId: "InvalidVpcID.Malformed",
    SubnetId: "InvalidSubnetID.Malformed",
    RouteTableId: "InvalidRouteTableId.Malformed",
    AssociationId: "InvalidAssociationID.Malformed",
    AclAssociationId: "InvalidAssociationID.Malformed",
    CidrAssociationId: "InvalidVpcCidrBlockAssociationID.Malformed",
    PeeringId: "InvalidVpcPeeringConnectionId.Malformed",
    InstanceId: "InvalidInstanceID.Malformed",
    InterfaceId: "InvalidNetworkInterfaceId.Malformed",
    AttachmentId: "InvalidAttachmentID.Malformed",
    SubnetCidrAssociationId: "InvalidSubnetCidrBlockAssociationID.Malformed",
    SecurityGroupId: "InvalidSecurityGroupId.Malformed",
    PrefixListId: "InvalidPrefixListId.Malformed",
    NetworkAclId: "InvalidNetworkAclId.Malformed",
    InternetGatewayId: "InvalidInternetGatewayId.Malformed",
    EgressOnlyGatewayId: "InvalidEgressOnlyInternetGatewayId.Malformed",
    VpnGatewayId: "InvalidVpnGatewayID.Malformed",
    EndpointId: "InvalidVpcEndpointId.Malformed",
    NatGatewayId: "NatGatewayMalformed",
    AllocationId: "InvalidAllocationID.Malformed",
    AddressAssociationId: "InvalidAssociationID.Malformed",
    FlowLogId: "InvalidFlowLogId.Malformed",
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(form: &str) -> Params {
        Params::parse([form.as_bytes()]).unwrap()
    }

    #[test]
    fn dotted_names_are_a_tree() {
        let p = params(
            "Filter.2.Name=b&Filter.1.Name=a&Filter.1.Value.10=z&Filter.1.Value.2=y&E=&X.Y=1",
        );
        let names: Vec<_> = p.rows("Filter").map(|f| f.text("Name").unwrap()).collect();
        assert_eq!(names, ["a", "b"]);
        let values: Vec<_> = p.rows("Filter").next().unwrap().list("Value").collect();
        assert_eq!(values, ["y", "z"]);
        assert_eq!(p.text("E"), None);
        assert_eq!(p.text_or_empty("E"), Some(""));
        assert_eq!(p.text("X.Y"), Some("1"));
        assert_eq!(params("Value=a").list("Value").collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn what_cannot_be_read_has_its_code() {
        let p = params("VpcId=vpc-xyz&DryRun=maybe&Max=x");
        let code = |fault: Fault| fault.code().to_owned();
        assert_eq!(code(p.needed_id::<VpcId>("VpcId").unwrap_err()), "InvalidVpcID.Malformed");
        assert_eq!(code(p.needed_id::<VpcId>("Other").unwrap_err()), "MissingParameter");
        assert_eq!(code(p.flag("DryRun").unwrap_err()), "InvalidParameterValue");
        assert_eq!(code(p.parsed::<u8>("Max").unwrap_err()), "InvalidParameterValue");
    }

    #[test]
    fn a_form_has_bounds() {
        let many = |n: usize| (0..n).map(|i| format!("A.{i}=x&")).collect::<String>();
        assert!(Params::parse([many(API_PARAMETERS_MAX).as_bytes()]).is_ok());
        assert!(Params::parse([many(API_PARAMETERS_MAX + 1).as_bytes()]).is_err());
        let deep = |n: usize| vec!["a"; n].join(".");
        assert!(Params::parse([deep(API_PARAMETER_DEPTH_MAX).as_bytes()]).is_ok());
        assert!(Params::parse([deep(API_PARAMETER_DEPTH_MAX + 1).as_bytes()]).is_err());
    }
}
