//! The fields of a flow log's records, and the order that one log writes them in.
//!
//! Holds one table of fields, from which names, versions and documentation derive, and the format
//! string (`${srcaddr} ${dstaddr}`). Refuses to know the value of any field: that is the report's.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Builds the enum and its table from one list.
macro_rules! fields {
    ($($version:literal $variant:ident $name:literal $what:literal;)+) => {
        /// A field of a record (vpc-semantics 4.1 and 4.2), in the order of AWS's documentation.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        pub enum Field {
            $(#[doc = $what] $variant,)+
        }

        impl Field {
            /// Every field.
            pub const ALL: &[Field] = &[$(Field::$variant),+];

            /// The name in a format string and in a file's first line.
            pub const fn name(self) -> &'static str {
                match self { $(Field::$variant => $name),+ }
            }

            /// The version of the format that brought it: 2 to 5.
            pub const fn version(self) -> u8 {
                match self { $(Field::$variant => $version),+ }
            }

            /// What it says, in a few words.
            pub const fn what(self) -> &'static str {
                match self { $(Field::$variant => $what),+ }
            }
        }
    };
}

fields! {
    2 Version "version" "The highest version among the fields of the format.";
    2 AccountId "account-id" "The owner of the interface.";
    2 InterfaceId "interface-id" "The interface at which the traffic was seen.";
    2 SrcAddr "srcaddr" "The source; of outgoing traffic the interface's primary private address.";
    2 DstAddr "dstaddr" "The destination; of incoming traffic the interface's primary private address.";
    2 SrcPort "srcport" "The source port, 0 where there is none.";
    2 DstPort "dstport" "The destination port, 0 where there is none.";
    2 Protocol "protocol" "The IANA protocol number.";
    2 Packets "packets" "Packets of the flow in the window.";
    2 Bytes "bytes" "Their bytes, IP headers included.";
    2 Start "start" "When the first packet of the window was seen, in seconds since 1970.";
    2 End "end" "When the last packet of the window was seen, in seconds since 1970.";
    2 Action "action" "`ACCEPT`, or `REJECT` by a security group or network ACL.";
    2 LogStatus "log-status" "`OK`, `NODATA` without traffic, `SKIPDATA` where records were left out.";
    3 VpcId "vpc-id" "The VPC of the interface.";
    3 SubnetId "subnet-id" "The subnet of the interface.";
    3 InstanceId "instance-id" "The instance behind the interface; `-` for a NAT gateway.";
    3 TcpFlags "tcp-flags" "FIN 1, SYN 2, RST 4, SYN-ACK 18, or-ed over the window.";
    3 Type "type" "`IPv4` or `IPv6`.";
    3 PktSrcAddr "pkt-srcaddr" "The source address in the packet.";
    3 PktDstAddr "pkt-dstaddr" "The destination address in the packet.";
    4 Region "region" "The region of the interface.";
    4 AzId "az-id" "The id of its availability zone.";
    4 SublocationType "sublocation-type" "Always `-`: there are no sublocations here.";
    4 SublocationId "sublocation-id" "Always `-`: there are no sublocations here.";
    5 PktSrcAwsService "pkt-src-aws-service" "The service that has the source address, if one of an endpoint does.";
    5 PktDstAwsService "pkt-dst-aws-service" "The service that has the destination address, if one of an endpoint does.";
    5 FlowDirection "flow-direction" "`ingress` or `egress`, seen from the interface.";
    5 TrafficPath "traffic-path" "The way that outgoing traffic took, by number; `-` for the rest.";
}

/// Which fields a flow log writes, in which order: at least one, none twice.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LogFormat(Vec<Field>);

/// A text that is no format of a flow log.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MalformedFormat {
    /// There is no field in it.
    #[error("a format names at least one field, such as `${{srcaddr}}`")]
    Empty,
    /// A word that is not `${field}`.
    #[error("`{0}` is no field of a flow log (want words such as `${{srcaddr}}`)")]
    NotAField(String),
    /// The same field again.
    #[error("`${{{}}}` is named twice", .0.name())]
    Twice(Field),
}

impl LogFormat {
    /// The fields in their order.
    pub fn fields(&self) -> &[Field] {
        &self.0
    }

    /// What the field `version` says: the highest among the fields, at least 2.
    pub fn version(&self) -> u8 {
        self.0.iter().map(|field| field.version()).max().unwrap_or(2)
    }

    /// The first line of a file of records: the names of the fields.
    pub fn header(&self) -> String {
        self.0.iter().map(|field| field.name()).collect::<Vec<_>>().join(" ")
    }
}

/// The default format: the fourteen fields of version 2.
impl Default for LogFormat {
    fn default() -> LogFormat {
        LogFormat(Field::ALL.iter().copied().filter(|field| field.version() == 2).collect())
    }
}

/// The format string: `${version} ${account-id} ...`.
impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (row, field) in self.0.iter().enumerate() {
            let gap = if row == 0 { "" } else { " " };
            write!(f, "{gap}${{{}}}", field.name())?;
        }
        Ok(())
    }
}

impl From<LogFormat> for String {
    fn from(format: LogFormat) -> String {
        format.to_string()
    }
}

impl TryFrom<String> for LogFormat {
    type Error = MalformedFormat;
    fn try_from(text: String) -> Result<LogFormat, MalformedFormat> {
        text.parse()
    }
}

impl FromStr for LogFormat {
    type Err = MalformedFormat;

    /// Words `${field}` with white space between them, as `CreateFlowLogs` takes them.
    fn from_str(text: &str) -> Result<LogFormat, MalformedFormat> {
        let mut fields = Vec::new();
        for word in text.split_ascii_whitespace() {
            let name = word.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
            let found = name.and_then(|name| Field::ALL.iter().find(|f| f.name() == name));
            let Some(field) = found.copied() else {
                let shown = word.chars().take(64).collect();
                return Err(MalformedFormat::NotAField(shown));
            };
            // No field comes twice, so the list is never longer than the table.
            if fields.contains(&field) {
                return Err(MalformedFormat::Twice(field));
            }
            fields.push(field);
        }
        if fields.is_empty() { Err(MalformedFormat::Empty) } else { Ok(LogFormat(fields)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_version_2_in_the_documented_order() {
        let default = LogFormat::default();
        assert_eq!(
            default.header(),
            "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes \
             start end action log-status"
        );
        assert_eq!(default.version(), 2);
    }

    #[test]
    fn what_is_printed_is_what_is_parsed() {
        let all = LogFormat(Field::ALL.to_vec());
        for format in [LogFormat::default(), all] {
            assert_eq!(format.to_string().parse(), Ok(format));
        }
    }

    #[test]
    fn the_version_is_the_highest_of_the_fields() {
        for (text, version) in [
            ("${srcaddr}", 2),
            ("${version} ${tcp-flags}", 3),
            ("${az-id}\t${version}", 4),
            ("${traffic-path} ${vpc-id}", 5),
        ] {
            assert_eq!(text.parse::<LogFormat>().unwrap().version(), version, "{text}");
        }
    }

    #[test]
    fn a_format_holds_fields_and_nothing_else() {
        for (text, wrong) in [
            ("", "a format names at least one field, such as `${srcaddr}`"),
            ("  ", "a format names at least one field, such as `${srcaddr}`"),
            ("srcaddr", "`srcaddr` is no field of a flow log (want words such as `${srcaddr}`)"),
            ("${src}", "`${src}` is no field of a flow log (want words such as `${srcaddr}`)"),
            (
                "${srcaddr}${dstaddr}",
                "`${srcaddr}${dstaddr}` is no field of a flow log (want words such as `${srcaddr}`)",
            ),
            ("${start} ${end} ${start}", "`${start}` is named twice"),
        ] {
            assert_eq!(text.parse::<LogFormat>().unwrap_err().to_string(), wrong, "{text}");
        }
    }
}
