//! The types of instances: a fixed catalogue. Nothing here depends on a type, so every one has as many
//! interfaces as the largest.

use crate::api::describe::{PageBounds, Row, describe};
use crate::api::dispatch::{Ask, Operation, Run};
use crate::api::fault::Fault;
use crate::api::filter::Values;
use crate::api::xml::Xml;
use crate::base::limit::INTERFACES_PER_INSTANCE_MAX;

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "DescribeInstanceTypes",
        takes: &["InstanceType"],
        filters: &[
            "bare-metal",
            "burstable-performance-supported",
            "current-generation",
            "free-tier-eligible",
            "hypervisor",
            "instance-storage-supported",
            "instance-type",
            "memory-info.size-in-mib",
            "network-info.ena-support",
            "network-info.ipv6-supported",
            "network-info.maximum-network-interfaces",
            "processor-info.supported-architecture",
            "supported-root-device-type",
            "supported-usage-class",
            "supported-virtualization-type",
            "vcpu-info.default-cores",
            "vcpu-info.default-vcpus",
            "vcpu-info.default-threads-per-core",
        ],
        lacks: "A catalogue of common types; all have as many interfaces and addresses as the \
                largest.",
        run: Run::Read(describe_types),
    },
    Operation {
        name: "DescribeInstanceTypeOfferings",
        takes: &["LocationType"],
        filters: &["instance-type", "location"],
        lacks: "Every type is offered everywhere.",
        run: Run::Read(describe_offerings),
    },
];

/// A type.
#[derive(Clone, Copy, Debug)]
pub(super) struct InstanceType {
    /// Its name.
    pub(super) name: &'static str,
    vcpus: u16,
    memory_mib: u32,
    /// What its processors understand.
    pub(super) architecture: &'static str,
}

/// The type that a launch has which names none, as in EC2.
pub(super) const DEFAULT: &str = "m1.small";

const X86: &str = "x86_64";
const ARM: &str = "arm64";

const fn of(
    name: &'static str,
    vcpus: u16,
    memory_mib: u32,
    architecture: &'static str,
) -> InstanceType {
    InstanceType { name, vcpus, memory_mib, architecture }
}

/// Ordered by name.
const TYPES: [InstanceType; 56] = [
    of("c5.large", 2, 4_096, X86),
    of("c5.xlarge", 4, 8_192, X86),
    of("c5.2xlarge", 8, 16_384, X86),
    of("c5n.large", 2, 5_376, X86),
    of("c6g.medium", 1, 2_048, ARM),
    of("c6g.large", 2, 4_096, ARM),
    of("c6i.large", 2, 4_096, X86),
    of("c6i.xlarge", 4, 8_192, X86),
    of("c7g.large", 2, 4_096, ARM),
    of("c7i.large", 2, 4_096, X86),
    of("m1.small", 1, 1_740, X86),
    of("m4.large", 2, 8_192, X86),
    of("m5.large", 2, 8_192, X86),
    of("m5.xlarge", 4, 16_384, X86),
    of("m5.2xlarge", 8, 32_768, X86),
    of("m5.4xlarge", 16, 65_536, X86),
    of("m5a.large", 2, 8_192, X86),
    of("m6a.large", 2, 8_192, X86),
    of("m6g.medium", 1, 4_096, ARM),
    of("m6g.large", 2, 8_192, ARM),
    of("m6i.large", 2, 8_192, X86),
    of("m6i.xlarge", 4, 16_384, X86),
    of("m7a.large", 2, 8_192, X86),
    of("m7g.medium", 1, 4_096, ARM),
    of("m7g.large", 2, 8_192, ARM),
    of("m7i.large", 2, 8_192, X86),
    of("r5.large", 2, 16_384, X86),
    of("r5.xlarge", 4, 32_768, X86),
    of("r6g.large", 2, 16_384, ARM),
    of("r6i.large", 2, 16_384, X86),
    of("r7g.large", 2, 16_384, ARM),
    of("t1.micro", 1, 627, X86),
    of("t2.nano", 1, 512, X86),
    of("t2.micro", 1, 1_024, X86),
    of("t2.small", 1, 2_048, X86),
    of("t2.medium", 2, 4_096, X86),
    of("t2.large", 2, 8_192, X86),
    of("t2.xlarge", 4, 16_384, X86),
    of("t2.2xlarge", 8, 32_768, X86),
    of("t3.nano", 2, 512, X86),
    of("t3.micro", 2, 1_024, X86),
    of("t3.small", 2, 2_048, X86),
    of("t3.medium", 2, 4_096, X86),
    of("t3.large", 2, 8_192, X86),
    of("t3.xlarge", 4, 16_384, X86),
    of("t3.2xlarge", 8, 32_768, X86),
    of("t3a.nano", 2, 512, X86),
    of("t3a.micro", 2, 1_024, X86),
    of("t3a.small", 2, 2_048, X86),
    of("t3a.medium", 2, 4_096, X86),
    of("t4g.nano", 2, 512, ARM),
    of("t4g.micro", 2, 1_024, ARM),
    of("t4g.small", 2, 2_048, ARM),
    of("t4g.medium", 2, 4_096, ARM),
    of("t4g.large", 2, 8_192, ARM),
    of("t4g.xlarge", 4, 16_384, ARM),
];

impl InstanceType {
    /// Threads of one core: the processors of Arm have one.
    pub(super) fn threads_per_core(&self) -> u16 {
        if self.architecture == ARM || self.vcpus < 2 || self.name.starts_with("t2.") {
            1
        } else {
            2
        }
    }

    /// Its cores.
    pub(super) fn cores(&self) -> u16 {
        self.vcpus / self.threads_per_core()
    }

    /// Those before 2017 run on Xen.
    fn hypervisor(&self) -> &'static str {
        let old = ["m1.", "m4.", "t1.", "t2."];
        if old.iter().any(|family| self.name.starts_with(family)) { "xen" } else { "nitro" }
    }

    fn bursts(&self) -> bool {
        self.name.starts_with('t') && self.name != "t1.micro"
    }

    fn is_current(&self) -> bool {
        !["m1.", "t1."].iter().any(|family| self.name.starts_with(family))
    }

    fn is_free(&self) -> bool {
        ["t2.micro", "t3.micro"].contains(&self.name)
    }

    fn ena(&self) -> &'static str {
        match self.hypervisor() {
            "nitro" => "required",
            _ => "unsupported",
        }
    }
}

/// The type with this name.
///
/// # Errors
/// `InvalidParameterValue`, as EC2 has it for a type in a launch.
pub(super) fn known(name: &str) -> Result<InstanceType, Fault> {
    TYPES.into_iter().find(|known| known.name == name).ok_or_else(|| {
        let message = format!("Invalid value '{name}' for InstanceType.");
        Fault::new("InvalidParameterValue", message)
    })
}

/// The type with this name, the default one if there is none.
pub(super) fn find(name: &str) -> InstanceType {
    known(name).unwrap_or(of(DEFAULT, 1, 1_740, X86))
}

struct TypeRow(InstanceType);

impl Row for TypeRow {
    fn key(&self) -> String {
        self.0.name.to_owned()
    }

    fn field(&self, _: &Ask<'_>, name: &str, out: &mut Values<'_>) {
        let kind = &self.0;
        match name {
            "instance-type" => out.is(kind.name),
            "bare-metal" | "instance-storage-supported" => out.is("false"),
            "burstable-performance-supported" => out.shows(kind.bursts()),
            "current-generation" => out.shows(kind.is_current()),
            "free-tier-eligible" => out.shows(kind.is_free()),
            "hypervisor" => out.is(kind.hypervisor()),
            "memory-info.size-in-mib" => out.shows(kind.memory_mib),
            "network-info.ena-support" => out.is(kind.ena()),
            "network-info.ipv6-supported" => out.is("true"),
            "network-info.maximum-network-interfaces" => out.shows(INTERFACES_PER_INSTANCE_MAX),
            "processor-info.supported-architecture" => out.is(kind.architecture),
            "supported-root-device-type" => out.is("ebs"),
            "supported-usage-class" => out.is("on-demand"),
            "supported-virtualization-type" => out.is("hvm"),
            "vcpu-info.default-vcpus" => out.shows(kind.vcpus),
            "vcpu-info.default-cores" => out.shows(kind.cores()),
            _ => out.shows(kind.threads_per_core()),
        }
    }

    fn write(&self, _: &Ask<'_>, xml: &mut Xml) {
        let kind = &self.0;
        xml.text("instanceType", kind.name);
        xml.text("currentGeneration", kind.is_current());
        xml.text("freeTierEligible", kind.is_free());
        xml.values("supportedUsageClasses", ["on-demand"]);
        xml.values("supportedRootDeviceTypes", ["ebs"]);
        xml.values("supportedVirtualizationTypes", ["hvm"]);
        xml.text("bareMetal", false);
        xml.text("hypervisor", kind.hypervisor());
        xml.group("processorInfo", |xml| {
            xml.values("supportedArchitectures", [kind.architecture]);
        });
        xml.group("vCpuInfo", |xml| {
            xml.text("defaultVCpus", kind.vcpus);
            xml.text("defaultCores", kind.cores());
            xml.text("defaultThreadsPerCore", kind.threads_per_core());
        });
        xml.group("memoryInfo", |xml| xml.text("sizeInMiB", kind.memory_mib));
        xml.text("instanceStorageSupported", false);
        xml.group("ebsInfo", |xml| {
            xml.text("ebsOptimizedSupport", "default");
            xml.text("encryptionSupport", "supported");
            xml.text("nvmeSupport", "required");
        });
        xml.group("networkInfo", |xml| {
            xml.text("networkPerformance", "Up to 5 Gigabit");
            xml.text("maximumNetworkInterfaces", INTERFACES_PER_INSTANCE_MAX);
            xml.text("maximumNetworkCards", 1);
            xml.text("defaultNetworkCardIndex", 0);
            xml.set("networkCards", [()], |xml, ()| {
                xml.text("networkCardIndex", 0);
                xml.text("networkPerformance", "Up to 5 Gigabit");
                xml.text("maximumNetworkInterfaces", INTERFACES_PER_INSTANCE_MAX);
            });
            xml.text("ipv4AddressesPerInterface", ADDRESSES_PER_INTERFACE);
            xml.text("ipv6AddressesPerInterface", ADDRESSES_PER_INTERFACE);
            xml.text("ipv6Supported", true);
            xml.text("enaSupport", kind.ena());
            xml.text("efaSupported", false);
            xml.text("encryptionInTransitSupported", false);
        });
        xml.group("placementGroupInfo", |xml| {
            xml.values("supportedStrategies", ["partition", "spread"]);
        });
        xml.text("hibernationSupported", false);
        xml.text("burstablePerformanceSupported", kind.bursts());
        xml.text("dedicatedHostsSupported", false);
        xml.text("autoRecoverySupported", true);
        xml.values("supportedBootModes", ["legacy-bios", "uefi"]);
        xml.text("nitroEnclavesSupport", "unsupported");
        xml.text("nitroTpmSupport", "unsupported");
    }
}

/// Addresses of a family that AWS grants the largest types; here there is no such bound.
const ADDRESSES_PER_INTERFACE: u16 = 50;

fn describe_types(ask: &Ask<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let mut rows = Vec::new();
    for wanted in ask.params.list("InstanceType") {
        rows.push(TypeRow(known(wanted).map_err(|_| {
            let message = format!("The following supplied instance types do not exist: [{wanted}]");
            Fault::new("InvalidInstanceType", message)
        })?));
    }
    if rows.is_empty() {
        rows.extend(TYPES.map(TypeRow));
    }
    describe(ask, xml, "instanceTypeSet", PageBounds { least: 5, most: 100 }, rows)
}

/// A type where it is offered.
struct OfferingRow {
    kind: &'static str,
    location_type: &'static str,
    location: String,
}

impl Row for OfferingRow {
    fn key(&self) -> String {
        format!("{} {}", self.kind, self.location)
    }

    fn field(&self, _: &Ask<'_>, name: &str, out: &mut Values<'_>) {
        match name {
            "instance-type" => out.is(self.kind),
            _ => out.is(&self.location),
        }
    }

    fn write(&self, _: &Ask<'_>, xml: &mut Xml) {
        xml.text("instanceType", self.kind);
        xml.text("locationType", self.location_type);
        xml.text("location", &self.location);
    }
}

fn describe_offerings(ask: &Ask<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let region = &ask.caller.region;
    let (location_type, locations): (&'static str, Vec<String>) =
        match ask.params.text("LocationType") {
            None | Some("region") => ("region", vec![region.to_string()]),
            Some("availability-zone") => {
                ("availability-zone", region.zones().map(String::from).collect())
            }
            Some("availability-zone-id") => {
                ("availability-zone-id", region.zones().map(|zone| zone.id()).collect())
            }
            Some(other) => return Err(Fault::value("locationType", other)),
        };
    let rows = TYPES.iter().flat_map(|kind| {
        locations.iter().map(|location| OfferingRow {
            kind: kind.name,
            location_type,
            location: location.clone(),
        })
    });
    describe(ask, xml, "instanceTypeOfferingSet", PageBounds::USUAL, rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_stands_once_and_the_default_is_one() {
        let mut names: Vec<&str> = TYPES.iter().map(|kind| kind.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), TYPES.len());
        assert!(known(DEFAULT).is_ok());
        assert!(known("x99.huge").is_err());
    }
}
