//! Machine images: a fixed catalogue of those that clients look for by name. Nothing boots, so every
//! image that is well-formed can be launched.

use crate::api::describe::{PageBounds, Row, describe};
use crate::api::dispatch::{Ask, Operation, Run};
use crate::api::fault::Fault;
use crate::api::filter::Values;
use crate::api::xml::Xml;
use crate::base::id::Digits;

pub(super) const OPERATIONS: &[Operation] = &[Operation {
    name: "DescribeImages",
    takes: &["ImageId", "Owner", "ExecutableBy", "IncludeDeprecated"],
    filters: &[
        "architecture",
        "creation-date",
        "description",
        "ena-support",
        "hypervisor",
        "image-id",
        "image-type",
        "is-public",
        "name",
        "owner-alias",
        "owner-id",
        "platform",
        "root-device-name",
        "root-device-type",
        "state",
        "virtualization-type",
        "tag:<key>",
        "tag-key",
    ],
    lacks: "A catalogue of common images, the same in every region; one that is asked for by an id \
            which is not in it is shown all the same.",
    run: Run::Read(describe_images),
}];

/// An image.
#[derive(Clone, Copy)]
struct Image {
    id: &'static str,
    name: &'static str,
    description: &'static str,
    architecture: &'static str,
    owner: &'static str,
    created: &'static str,
}

const AMAZON: &str = "137112412989";
const CANONICAL: &str = "099720109477";
const DEBIAN: &str = "136693071363";
const WINDOWS: &str = "801119661308";

const IMAGES: [Image; 11] = [
    Image {
        id: "ami-0a1b2c3d4e5f60001",
        name: "amzn2-ami-hvm-2.0.20250305.0-x86_64-gp2",
        description: "Amazon Linux 2 AMI 2.0.20250305.0 x86_64 HVM gp2",
        architecture: "x86_64",
        owner: AMAZON,
        created: "2025-03-08T01:08:24.000Z",
    },
    Image {
        id: "ami-0a1b2c3d4e5f60002",
        name: "amzn2-ami-kernel-5.10-hvm-2.0.20250305.0-x86_64-gp2",
        description: "Amazon Linux 2 Kernel 5.10 AMI 2.0.20250305.0 x86_64 HVM gp2",
        architecture: "x86_64",
        owner: AMAZON,
        created: "2025-03-08T01:08:25.000Z",
    },
    Image {
        id: "ami-0a1b2c3d4e5f60003",
        name: "amzn2-ami-kernel-5.10-hvm-2.0.20250305.0-arm64-gp2",
        description: "Amazon Linux 2 LTS Arm64 Kernel 5.10 AMI 2.0.20250305.0 arm64 HVM gp2",
        architecture: "arm64",
        owner: AMAZON,
        created: "2025-03-08T01:08:26.000Z",
    },
    Image {
        id: "ami-0a1b2c3d4e5f60004",
        name: "al2023-ami-2023.6.20250303.0-kernel-6.1-x86_64",
        description: "Amazon Linux 2023 AMI 2023.6.20250303.0 x86_64 HVM kernel-6.1",
        architecture: "x86_64",
        owner: AMAZON,
        created: "2025-03-01T00:23:24.000Z",
    },
    Image {
        id: "ami-0a1b2c3d4e5f60005",
        name: "al2023-ami-2023.6.20250303.0-kernel-6.1-arm64",
        description: "Amazon Linux 2023 AMI 2023.6.20250303.0 arm64 HVM kernel-6.1",
        architecture: "arm64",
        owner: AMAZON,
        created: "2025-03-01T00:23:25.000Z",
    },
    Image {
        id: "ami-0a1b2c3d4e5f60006",
        name: "al2023-ami-minimal-2023.6.20250303.0-kernel-6.1-x86_64",
        description: "Amazon Linux 2023 AMI 2023.6.20250303.0 x86_64 Minimal HVM kernel-6.1",
        architecture: "x86_64",
        owner: AMAZON,
        created: "2025-03-01T00:23:26.000Z",
    },
    Image {
        id: "ami-0a1b2c3d4e5f60007",
        name: "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-server-20250305",
        description: "Canonical, Ubuntu, 22.04 LTS, amd64 jammy image build on 2025-03-05",
        architecture: "x86_64",
        owner: CANONICAL,
        created: "2025-03-05T06:12:41.000Z",
    },
    Image {
        id: "ami-0a1b2c3d4e5f60008",
        name: "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20250305",
        description: "Canonical, Ubuntu, 24.04, amd64 noble image",
        architecture: "x86_64",
        owner: CANONICAL,
        created: "2025-03-05T06:42:17.000Z",
    },
    Image {
        id: "ami-0a1b2c3d4e5f60009",
        name: "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-arm64-server-20250305",
        description: "Canonical, Ubuntu, 24.04, arm64 noble image",
        architecture: "arm64",
        owner: CANONICAL,
        created: "2025-03-05T06:42:18.000Z",
    },
    Image {
        id: "ami-0a1b2c3d4e5f6000a",
        name: "debian-12-amd64-20250316-2053",
        description: "Debian 12 (20250316-2053)",
        architecture: "x86_64",
        owner: DEBIAN,
        created: "2025-03-16T23:05:02.000Z",
    },
    Image {
        id: "ami-0a1b2c3d4e5f6000b",
        name: "Windows_Server-2022-English-Full-Base-2025.03.12",
        description: "Microsoft Windows Server 2022 Full Locale English AMI provided by Amazon",
        architecture: "x86_64",
        owner: WINDOWS,
        created: "2025-03-12T05:51:44.000Z",
    },
];

impl Image {
    fn is_windows(self) -> bool {
        self.owner == WINDOWS
    }

    fn alias(self) -> Option<&'static str> {
        [AMAZON, WINDOWS].contains(&self.owner).then_some("amazon")
    }

    fn root_device(self) -> &'static str {
        if [AMAZON, DEBIAN].contains(&self.owner) { "/dev/xvda" } else { "/dev/sda1" }
    }

    fn platform(self) -> Option<&'static str> {
        self.is_windows().then_some("windows")
    }
}

/// Is it the id of an image?
///
/// # Errors
/// `InvalidAMIID.Malformed`.
pub(super) fn check_id(text: &str) -> Result<(), Fault> {
    match text.strip_prefix("ami-").and_then(Digits::parse) {
        Some(_) => Ok(()),
        None => {
            let message = format!("Invalid id: \"{text}\" (expecting \"ami-...\")");
            Err(Fault::new("InvalidAMIID.Malformed", message))
        }
    }
}

/// An image under its id: its own, or one that the catalogue does not have.
struct ImageRow {
    id: String,
    image: Image,
}

impl ImageRow {
    fn find(id: &str) -> ImageRow {
        let known = IMAGES.into_iter().find(|image| image.id == id);
        let image = known.unwrap_or(Image {
            id: "",
            name: "vpclab-image",
            description: "An image that is in no catalogue",
            architecture: "x86_64",
            owner: AMAZON,
            created: "2025-01-01T00:00:00.000Z",
        });
        ImageRow { id: id.to_owned(), image }
    }
}

impl Row for ImageRow {
    fn key(&self) -> String {
        self.id.clone()
    }

    fn field(&self, _: &Ask<'_>, name: &str, out: &mut Values<'_>) {
        let image = self.image;
        match name {
            "image-id" => out.is(&self.id),
            "name" => out.is(image.name),
            "description" => out.is(image.description),
            "architecture" => out.is(image.architecture),
            "creation-date" => out.is(image.created),
            "ena-support" | "is-public" => out.is("true"),
            "hypervisor" => out.is("xen"),
            "image-type" => out.is("machine"),
            "owner-alias" => out.maybe(image.alias()),
            "owner-id" => out.is(image.owner),
            "platform" => out.maybe(image.platform()),
            "root-device-name" => out.is(image.root_device()),
            "root-device-type" => out.is("ebs"),
            "state" => out.is("available"),
            "virtualization-type" => out.is("hvm"),
            // They have no tags.
            _ => {}
        }
    }

    fn write(&self, _: &Ask<'_>, xml: &mut Xml) {
        let image = self.image;
        xml.text("imageId", &self.id);
        xml.text(
            "imageLocation",
            format!("{}/{}", image.alias().unwrap_or(image.owner), image.name),
        );
        xml.text("imageState", "available");
        xml.text("imageOwnerId", image.owner);
        xml.text("creationDate", image.created);
        xml.text("isPublic", true);
        xml.text("architecture", image.architecture);
        xml.text("imageType", "machine");
        xml.maybe("platform", image.platform());
        let details = if image.is_windows() { "Windows" } else { "Linux/UNIX" };
        xml.text("platformDetails", details);
        let usage = if image.is_windows() { "RunInstances:0002" } else { "RunInstances" };
        xml.text("usageOperation", usage);
        xml.maybe("imageOwnerAlias", image.alias());
        xml.text("name", image.name);
        xml.text("description", image.description);
        xml.text("rootDeviceType", "ebs");
        xml.text("rootDeviceName", image.root_device());
        xml.set("blockDeviceMapping", [()], |xml, ()| {
            xml.text("deviceName", image.root_device());
            xml.group("ebs", |xml| {
                xml.text("deleteOnTermination", true);
                xml.text("volumeSize", if image.is_windows() { 30 } else { 8 });
                xml.text("volumeType", "gp3");
                xml.text("encrypted", false);
            });
        });
        xml.text("virtualizationType", "hvm");
        xml.text("hypervisor", "xen");
        xml.text("enaSupport", true);
        xml.text("sriovNetSupport", "simple");
        xml.group("tagSet", |_| {});
    }
}

fn describe_images(ask: &Ask<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let mut rows = Vec::new();
    for id in ask.params.list("ImageId") {
        check_id(id)?;
        rows.push(ImageRow::find(id));
    }
    if rows.is_empty() {
        rows.extend(IMAGES.iter().map(|image| ImageRow::find(image.id)));
    }
    // Everybody may launch each of them, and nobody here has one of its own.
    let executable: Vec<&str> = ask.params.list("ExecutableBy").collect();
    if !executable.is_empty() && !executable.contains(&"all") {
        rows.clear();
    }
    let owners: Vec<&str> = ask.params.list("Owner").collect();
    rows.retain(|row| {
        let is = |owner: &&str| *owner == row.image.owner || Some(*owner) == row.image.alias();
        owners.is_empty() || owners.iter().any(is)
    });
    describe(ask, xml, "imagesSet", PageBounds::USUAL, rows)
}
