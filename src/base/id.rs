//! Identifiers: resource ids as users see them, account ids, and dense indices for hot paths.
//!
//! Holds the types, their parsers and printers. Refuses to hold what the identifiers stand for.
//! No kind of id converts into another kind, and neither do ids and indices.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::de::{self, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// The part of a resource id after its prefix: 8 or 17 lower-case hexadecimal digits
/// (both forms occur in the wild; vpclab itself mints 17).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digits {
    len: u8,
    text: [u8; 17],
}

impl Digits {
    /// No digits come before these.
    pub const LOWEST: Digits = Digits { len: 8, text: *b"00000000\0\0\0\0\0\0\0\0\0" };

    /// The 17 digits of a minted id: a zero and 16 digits.
    pub fn minted(value: u64) -> Digits {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut text = [b'0'; 17];
        for (i, slot) in text[1..].iter_mut().enumerate() {
            *slot = HEX[(value >> (60 - 4 * i) & 0xf) as usize];
        }
        Digits { len: 17, text }
    }

    /// Digits from their text; `None` unless it is 8 or 17 lower-case hexadecimal digits.
    pub fn parse(s: &str) -> Option<Digits> {
        let ok = matches!(s.len(), 8 | 17)
            && s.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if !ok {
            return None;
        }
        let mut text = [0; 17];
        text[..s.len()].copy_from_slice(s.as_bytes());
        Some(Digits { len: if s.len() == 8 { 8 } else { 17 }, text })
    }

    /// The number behind the last 16 digits: of minted ones what they were minted from.
    pub fn value(&self) -> u64 {
        let digits = &self.text[..usize::from(self.len)];
        // All but the first of 17, which is a zero where it matters. The others are digits.
        digits.iter().fold(0_u64, |value, digit| {
            value << 4 | u64::from(char::from(*digit).to_digit(16).unwrap_or_default())
        })
    }

    /// The digits as text.
    pub fn as_str(&self) -> &str {
        // Only ASCII digits are ever stored, so the conversion cannot fail; an empty string would
        // be visible at once in any output.
        std::str::from_utf8(&self.text[..usize::from(self.len)]).unwrap_or_default()
    }
}

/// Shorter ones first, then as their text. Maps by id do little else: as words it costs a few
/// instructions, as slices a call for each step.
impl Ord for Digits {
    fn cmp(&self, other: &Digits) -> Ordering {
        let words = |digits: &Digits| {
            let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, last] = digits.text;
            let first = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
            let second = u64::from_be_bytes([i, j, k, l, m, n, o, p]);
            (digits.len, first, second, last)
        };
        words(self).cmp(&words(other))
    }
}

impl PartialOrd for Digits {
    fn partial_cmp(&self, other: &Digits) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Written as their text: both lengths stay what they are, and what is read is checked.
impl Serialize for Digits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Digits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Digits, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Digits;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("8 or 17 lower-case hex digits")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Digits, E> {
                Digits::parse(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// A text that is not an id of the wanted kind.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{text}` is not a {prefix} id (want `{prefix}-` and 8 or 17 lower-case hex digits)")]
pub struct MalformedId {
    /// What was given.
    pub text: String,
    /// The prefix that was wanted, without the dash.
    pub prefix: &'static str,
}

macro_rules! resource_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(Digits);

        impl $name {
            /// The prefix of this kind of id, without the dash.
            pub const PREFIX: &'static str = $prefix;

            /// Its digits.
            pub const fn digits(self) -> Digits {
                self.0
            }

            /// The id with these digits.
            pub const fn new(digits: Digits) -> Self {
                $name(digits)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "-{}"), self.0.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = MalformedId;
            fn from_str(s: &str) -> Result<Self, MalformedId> {
                s.strip_prefix(concat!($prefix, "-"))
                    .and_then(Digits::parse)
                    .map($name)
                    .ok_or_else(|| MalformedId { text: s.to_owned(), prefix: $prefix })
            }
        }
    };
}

resource_id!(
    /// A VPC, e.g. `vpc-0a1b2c3d`.
    VpcId, "vpc");
resource_id!(
    /// A subnet.
    SubnetId, "subnet");
resource_id!(
    /// A route table.
    RouteTableId, "rtb");
resource_id!(
    /// An association of a route table with a subnet, or as main table of its VPC.
    AssociationId, "rtbassoc");
resource_id!(
    /// A peering connection.
    PeeringId, "pcx");
resource_id!(
    /// An instance.
    InstanceId, "i");
resource_id!(
    /// A network interface.
    InterfaceId, "eni");
resource_id!(
    /// An association of a CIDR block with a VPC.
    CidrAssociationId, "vpc-cidr-assoc");
resource_id!(
    /// An association of an IPv6 block with a subnet.
    SubnetCidrAssociationId, "subnet-cidr-assoc");
resource_id!(
    /// An attachment of a network interface to an instance.
    AttachmentId, "eni-attach");
resource_id!(
    /// A security group.
    SecurityGroupId, "sg");
resource_id!(
    /// A network ACL.
    NetworkAclId, "acl");
resource_id!(
    /// An association of a network ACL with a subnet.
    AclAssociationId, "aclassoc");
resource_id!(
    /// A managed prefix list.
    PrefixListId, "pl");
resource_id!(
    /// An internet gateway.
    InternetGatewayId, "igw");
resource_id!(
    /// A virtual private gateway.
    VpnGatewayId, "vgw");
resource_id!(
    /// A gateway endpoint.
    EndpointId, "vpce");
resource_id!(
    /// An egress-only internet gateway.
    EgressOnlyGatewayId, "eigw");
resource_id!(
    /// A NAT gateway.
    NatGatewayId, "nat");
resource_id!(
    /// A public address that an account holds.
    AllocationId, "eipalloc");
resource_id!(
    /// An association of a public address with an interface's private one.
    AddressAssociationId, "eipassoc");

resource_id!(
    /// A VPC flow log.
    FlowLogId, "fl");

/// An account: exactly twelve decimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct AccountId(u64);

/// A text that is not an account id.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is not an account id (want exactly 12 digits)")]
pub struct MalformedAccountId(
    /// What was given.
    pub String,
);

impl AccountId {
    /// The account that owns what a file gives to nobody else.
    pub const DEFAULT: AccountId = AccountId(123_456_789_012);

    /// The lowest id; orders before or with every other.
    pub const LOWEST: AccountId = AccountId(0);

    /// The account whose id is `n` written with twelve digits; `None` above twelve digits.
    pub const fn from_number(n: u64) -> Option<AccountId> {
        if n < 1_000_000_000_000 { Some(AccountId(n)) } else { None }
    }

    /// The id as a number, below 10^12.
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl From<AccountId> for u64 {
    fn from(id: AccountId) -> u64 {
        id.0
    }
}

impl TryFrom<u64> for AccountId {
    type Error = MalformedAccountId;
    fn try_from(n: u64) -> Result<AccountId, MalformedAccountId> {
        AccountId::from_number(n).ok_or_else(|| MalformedAccountId(n.to_string()))
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:012}", self.0)
    }
}

impl fmt::Debug for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for AccountId {
    type Err = MalformedAccountId;
    fn from_str(s: &str) -> Result<Self, MalformedAccountId> {
        let twelve = s.len() == 12 && s.bytes().all(|b| b.is_ascii_digit());
        match s.parse() {
            Ok(n) if twelve => Ok(AccountId(n)),
            _ => Err(MalformedAccountId(s.to_owned())),
        }
    }
}

macro_rules! dense_index {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub struct $name(u32);

        impl $name {
            /// The row with this number.
            ///
            /// # Panics
            /// Above 2^32 rows, which no limit of [`crate::base::limit`] allows.
            #[inline]
            #[track_caller]
            #[allow(clippy::expect_used, reason = "limits keep every table far below 2^32 rows")]
            pub fn from_row(row: usize) -> Self {
                $name(u32::try_from(row).expect("table has fewer than 2^32 rows"))
            }

            /// A row that no table has.
            pub const NOWHERE: Self = $name(u32::MAX);

            /// The number of the row.
            #[inline]
            pub const fn row(self) -> usize {
                self.0 as usize
            }
        }
    };
}

dense_index!(
    /// An interface's row in the `forward::Rows` that handed it out: of an instance, a NAT gateway
    /// or a host outside the cloud.
    InterfaceIdx);
dense_index!(
    /// A VPC's row in the `forward::Rows` that handed it out.
    VpcIdx);
dense_index!(
    /// A peering's row in the `forward::Rows` that handed it out.
    PeeringIdx);
dense_index!(
    /// A route table's row in the `forward::Rows` that handed it out.
    TableIdx);
dense_index!(
    /// A network ACL's row in the `forward::Rows` that handed it out.
    AclIdx);
dense_index!(
    /// A gateway's row in the `forward::Rows` that handed it out.
    GatewayIdx);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_one_kind_are_not_another() {
        assert!("vpc-0a1b2c3d".parse::<VpcId>().is_ok());
        let e = "vpc-0a1b2c3d".parse::<PeeringId>().unwrap_err();
        assert_eq!(
            e.to_string(),
            "`vpc-0a1b2c3d` is not a pcx id (want `pcx-` and 8 or 17 lower-case hex digits)"
        );
    }

    #[test]
    fn ids_take_8_or_17_lower_case_digits_and_nothing_else() {
        for (text, ok) in [
            ("pcx-11112222", true),
            ("pcx-11223344556677889", true),
            ("pcx-aaaagggg", false),
            ("pcx-1111222", false),
            ("pcx-1111222A", false),
            ("pcx-", false),
            ("pcx", false),
        ] {
            assert_eq!(text.parse::<PeeringId>().is_ok(), ok, "{text}");
        }
    }

    /// The order of digits is that of their lengths and texts, place by place.
    #[test]
    fn digits_are_in_the_order_of_their_texts() {
        let mut texts = vec!["00000000".to_owned(), "0fffffff".to_owned(), "10000000".to_owned()];
        for place in 0..17 {
            for digit in ["0", "1", "9", "a", "f"] {
                let mut text = "7".repeat(17);
                text.replace_range(place..=place, digit);
                texts.push(text);
            }
        }
        let digits = |text: &String| Digits::parse(text).unwrap();
        for a in &texts {
            assert!(Digits::LOWEST <= digits(a), "{a}");
            for b in &texts {
                let want = (a.len(), a).cmp(&(b.len(), b));
                assert_eq!(digits(a).cmp(&digits(b)), want, "{a} {b}");
            }
        }
    }

    #[test]
    fn what_is_printed_is_what_is_parsed() {
        let id = VpcId::new(Digits::minted(0x0123_4567_89ab_cdef));
        assert_eq!(id.to_string(), "vpc-00123456789abcdef");
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    #[cfg(feature = "serve")]
    fn what_is_read_back_is_checked_like_what_is_parsed() {
        for (text, ok) in [("0a1b2c3d", true), ("0A1B2C3D", false), ("", false), ("0a1b2c3", false)]
        {
            let kept = postcard::to_stdvec(text).unwrap();
            assert_eq!(postcard::from_bytes::<VpcId>(&kept).is_ok(), ok, "{text}");
        }
        for (number, ok) in [(999_999_999_999_u64, true), (1_000_000_000_000, false)] {
            let kept = postcard::to_stdvec(&number).unwrap();
            assert_eq!(postcard::from_bytes::<AccountId>(&kept).is_ok(), ok, "{number}");
        }
    }

    #[test]
    fn accounts_have_twelve_digits() {
        assert_eq!("000000000042".parse::<AccountId>().unwrap().to_string(), "000000000042");
        for bad in ["42", "1234567890123", "12345678901x", "+23456789012", ""] {
            assert!(bad.parse::<AccountId>().is_err(), "{bad}");
        }
    }
}
