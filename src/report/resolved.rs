//! What a name resolved to, told in a line, with the rule that decided.
//!
//! Holds the words. Refuses to resolve anything: the cloud did, and every line is one of its rules.

use crate::cloud::dns::{Answer, Denial, Resolution, Rule, Spot};
use crate::cloud::hostname::Hostname;
use crate::report::names::Names;

/// The answer or what is in its way, in the words of a scenario's expectations, then why.
pub fn told(names: Names<'_>, name: &Hostname, resolution: &Resolution) -> String {
    match resolution {
        Ok(Answer { address, rule }) => {
            let why = match rule {
                Rule::SameVpc => "of the VPC that asks".to_owned(),
                Rule::PrivateRange(id) => {
                    format!(
                        "across {}: in the same region, private by RFC 1918",
                        names.peering(*id)
                    )
                }
                Rule::Allowed(id) => {
                    format!("across {}: its other side allows it", names.peering(*id))
                }
                Rule::Public(denial) => {
                    format!("the public address: {}", denied(names, *denial))
                }
            };
            format!("address: {address} ({name}, {why})")
        }
        Err(denial) => {
            let rcode = denial.reason.rcode().name();
            format!("unresolved: {} ({name}: {rcode})", denied(names, *denial))
        }
    }
}

fn denied(names: Names<'_>, Denial { reason, at }: Denial) -> String {
    let at = match at {
        Spot::Vpc(id) => names.vpc(id),
        Spot::Peering(id) => names.peering(id),
    };
    format!("{reason}, at: {at}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::{Digits, PeeringId, VpcId};
    use crate::base::time::Span;
    use crate::cloud::Cloud;
    use crate::cloud::dns::Reason;
    use crate::cloud::profile::Profile;

    #[test]
    fn every_rule_has_its_line() {
        let cloud = Cloud::new(Profile::Today, Span::ZERO);
        let digits = Digits::parse("0a1b2c3d").unwrap();
        let (vpc, peering) = (VpcId::new(digits), PeeringId::new(digits));
        let address = "10.0.0.5".parse().unwrap();
        let name = "ip-10-0-0-5.ec2.internal";
        let denial = |reason, at| Denial { reason, at };
        let off = denial(Reason::OptionOff, Spot::Peering(peering));
        let answer = |rule| Ok(Answer { address, rule });
        for (resolution, want) in [
            (answer(Rule::SameVpc), "address: 10.0.0.5 (NAME, of the VPC that asks)"),
            (
                answer(Rule::PrivateRange(peering)),
                "address: 10.0.0.5 (NAME, across pcx-0a1b2c3d: in the same region, private by RFC 1918)",
            ),
            (
                answer(Rule::Allowed(peering)),
                "address: 10.0.0.5 (NAME, across pcx-0a1b2c3d: its other side allows it)",
            ),
            (
                answer(Rule::Public(off)),
                "address: 10.0.0.5 (NAME, the public address: dns-option-off, at: pcx-0a1b2c3d)",
            ),
            (Err(off), "unresolved: dns-option-off, at: pcx-0a1b2c3d (NAME: NXDOMAIN)"),
            (
                Err(denial(Reason::NoResolver, Spot::Vpc(vpc))),
                "unresolved: no-resolver, at: vpc-0a1b2c3d (NAME: no answer)",
            ),
        ] {
            let got = told(Names(&cloud), &name.parse().unwrap(), &resolution);
            assert_eq!(got, want.replace("NAME", name));
        }
    }
}
