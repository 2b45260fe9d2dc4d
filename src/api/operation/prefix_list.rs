//! Prefix lists: those that accounts manage, with their versions, and Amazon's own.
//!
//! The cloud has the blocks of a list, which is what packets feel. Its name, the greatest number of
//! entries, their descriptions and the versions before this one are remembered beside it.

use std::collections::BTreeMap;

use ipnet::IpNet;

use super::arn;
use crate::api::describe::{PageBounds, Row, describe, tag_fields, write_tags};
use crate::api::dispatch::{Ask, Edit, Operation, Run};
use crate::api::fault::Fault;
use crate::api::filter::Values;
use crate::api::params::Params;
use crate::api::records::Fact;
use crate::api::xml::Xml;
use crate::base::id::{Digits, PrefixListId};
use crate::base::limit::{
    PREFIX_LIST_ENTRIES_MAX, PREFIX_LIST_VERSIONS_KEPT, RULE_DESCRIPTION_CHARS_MAX,
};
use crate::base::rng::mix;
use crate::cloud::account::Region;
use crate::cloud::command::Command;
use crate::cloud::event::{Change, ResourceId};
use crate::cloud::prefix_list::PrefixList;
use crate::cloud::refusal::Refusal;

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "CreateManagedPrefixList",
        takes: &["PrefixListName", "MaxEntries", "AddressFamily", "Entry"],
        filters: &[],
        lacks: "A list counts in rules with the entries it has, not with `MaxEntries`.",
        run: Run::Write(create),
    },
    Operation {
        name: "DescribeManagedPrefixLists",
        takes: &["PrefixListId"],
        filters: &["owner-id", "prefix-list-id", "prefix-list-name", "tag:<key>", "tag-key"],
        lacks: "Of Amazon's lists those of S3 and DynamoDB.",
        run: Run::Read(describe_managed),
    },
    Operation {
        name: "GetManagedPrefixListEntries",
        takes: &["PrefixListId", "TargetVersion", "MaxResults", "NextToken"],
        filters: &[],
        lacks: "Versions long gone: the latest hundred are kept.",
        run: Run::Read(get_entries),
    },
    Operation {
        name: "ModifyManagedPrefixList",
        takes: &[
            "PrefixListId",
            "CurrentVersion",
            "PrefixListName",
            "AddEntry",
            "RemoveEntry",
            "MaxEntries",
        ],
        filters: &[],
        lacks: "",
        run: Run::Write(modify),
    },
    Operation {
        name: "RestoreManagedPrefixListVersion",
        takes: &["PrefixListId", "PreviousVersion", "CurrentVersion"],
        filters: &[],
        lacks: "As `GetManagedPrefixListEntries`.",
        run: Run::Write(restore),
    },
    Operation {
        name: "DeleteManagedPrefixList",
        takes: &["PrefixListId"],
        filters: &[],
        lacks: "",
        run: Run::Write(delete),
    },
    Operation {
        name: "DescribePrefixLists",
        takes: &["PrefixListId"],
        filters: &["prefix-list-id", "prefix-list-name"],
        lacks: "Lists of other services than S3 and DynamoDB; the blocks are examples.",
        run: Run::Read(describe_amazons),
    },
];

/// A list of Amazon's: the addresses of a service in a region.
pub(in crate::api) struct Amazons {
    /// Its id: of the region and the service.
    pub(in crate::api) id: PrefixListId,
    /// Its name: that of the service.
    pub(in crate::api) name: String,
    /// Its blocks.
    pub(in crate::api) entries: Vec<IpNet>,
}

/// A block: its first address and its prefix length.
type Octets = ([u8; 4], u8);

/// The services that gateway endpoints lead to, with some of the blocks that they have had.
const SERVICES: [(&str, [Octets; 2]); 2] = [
    ("s3", [([52, 216, 0, 0], 15), ([54, 231, 0, 0], 16)]),
    ("dynamodb", [([3, 218, 182, 0], 24), ([52, 94, 0, 0], 22)]),
];

/// Amazon's lists in a region.
pub(in crate::api) fn amazons(region: &Region) -> Vec<Amazons> {
    let lists = SERVICES.iter().enumerate().map(|(row, (service, blocks))| {
        // The same in every run: of the letters of its region and its place here.
        let seed = region.as_str().bytes().fold(0_u64, |sum, byte| mix(sum ^ u64::from(byte)));
        let number = mix(seed.wrapping_add(u64::try_from(row).unwrap_or_default()));
        let blocks = blocks.iter().filter_map(|(address, length)| {
            ipnet::Ipv4Net::new((*address).into(), *length).ok().map(IpNet::V4)
        });
        Amazons {
            id: PrefixListId::new(Digits::minted(number)),
            name: format!("com.amazonaws.{}.{service}", region.as_str()),
            entries: blocks.collect(),
        }
    });
    lists.collect()
}

/// Which addresses a list holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Family {
    V4,
    V6,
}

impl Family {
    const fn name(self) -> &'static str {
        match self {
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        }
    }

    fn holds(self, block: IpNet) -> bool {
        matches!((self, block), (Family::V4, IpNet::V4(_)) | (Family::V6, IpNet::V6(_)))
    }
}

/// The entries of a version, with what is said about them.
type Entries = BTreeMap<IpNet, String>;

/// What is remembered of a list: under its id the settings, under id and version the entries.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Settings {
    family: Family,
    most: usize,
    version: u64,
}

impl Settings {
    fn of(ask: &Ask<'_>, id: PrefixListId, list: &PrefixList) -> Settings {
        let words = ask.fact(id, Fact::Options).unwrap_or_default();
        let mut words = words.split(' ');
        let family = match words.next() {
            Some("IPv6") => Family::V6,
            _ => Family::V4,
        };
        let mut number = || words.next().and_then(|word| word.parse::<u64>().ok());
        let most = number().and_then(|n| usize::try_from(n).ok()).unwrap_or(list.entries.len());
        Settings { family, most, version: number().unwrap_or(1) }
    }

    fn keep(&self, edit: &mut Edit<'_>, id: PrefixListId) {
        let Settings { family, most, version } = self;
        edit.remember(id, Fact::Options, format!("{} {most} {version}", family.name()));
    }
}

/// The name under which the entries of a version are remembered.
fn version_key(id: PrefixListId, version: u64) -> String {
    format!("{id} {version}")
}

/// The entries of a version, unless it is unknown or no longer kept.
fn entries_of(ask: &Ask<'_>, id: PrefixListId, version: u64) -> Option<Entries> {
    // An empty fact is none, so what is kept begins with a word of its own.
    let kept = ask.fact(version_key(id, version), Fact::Options)?.strip_prefix(KEPT)?;
    let lines = kept.lines().filter_map(|line| {
        let (block, description) = line.split_once(' ').unwrap_or((line, ""));
        Some((block.parse().ok()?, description.to_owned()))
    });
    Some(lines.collect())
}

const KEPT: &str = "entries\n";

fn keep_entries(edit: &mut Edit<'_>, id: PrefixListId, version: u64, entries: &Entries) {
    let lines = entries.iter().map(|(block, description)| format!("{block} {description}\n"));
    let kept: String = std::iter::once(KEPT.to_owned()).chain(lines).collect();
    edit.remember(version_key(id, version), Fact::Options, kept);
    if let Some(old) = version.checked_sub(PREFIX_LIST_VERSIONS_KEPT).filter(|old| *old > 0) {
        edit.forget(version_key(id, old));
    }
}

fn own<'a>(ask: &Ask<'a>, id: PrefixListId) -> Result<&'a PrefixList, Fault> {
    let list = ask.cloud().prefix_list(id);
    let list =
        list.filter(|list| list.owner == ask.caller.account && list.region == ask.caller.region);
    Ok(list.ok_or(Refusal::PrefixListNotFound(id))?)
}

/// A list as `DescribeManagedPrefixLists` shows it.
enum ListRow<'a> {
    Managed(PrefixListId, &'a PrefixList),
    Amazons(Amazons),
}

impl<'a> ListRow<'a> {
    fn find(ask: &Ask<'a>, id: PrefixListId) -> Result<ListRow<'a>, Fault> {
        match amazons(&ask.caller.region).into_iter().find(|list| list.id == id) {
            Some(list) => Ok(ListRow::Amazons(list)),
            None => Ok(ListRow::Managed(id, own(ask, id)?)),
        }
    }

    fn id(&self) -> PrefixListId {
        match self {
            ListRow::Managed(id, _) => *id,
            ListRow::Amazons(list) => list.id,
        }
    }
}

impl Row for ListRow<'_> {
    fn key(&self) -> String {
        self.id().to_string()
    }

    fn field(&self, ask: &Ask<'_>, name: &str, out: &mut Values<'_>) {
        match (name, self) {
            ("prefix-list-id", row) => out.shows(row.id()),
            ("prefix-list-name", ListRow::Managed(id, _)) => out.maybe(ask.fact(id, Fact::Name)),
            ("prefix-list-name", ListRow::Amazons(list)) => out.is(&list.name),
            ("owner-id", ListRow::Managed(_, list)) => out.shows(list.owner),
            ("owner-id", ListRow::Amazons(_)) => out.is("AWS"),
            (name, ListRow::Managed(id, _)) => {
                tag_fields(ask.tags(ResourceId::PrefixList(*id)), name, out);
            }
            (_, ListRow::Amazons(_)) => {}
        }
    }

    fn write(&self, ask: &Ask<'_>, xml: &mut Xml) {
        match self {
            ListRow::Managed(id, list) => {
                let changed = Settings::of(ask, *id, list).version > 1;
                let state = if changed { "modify-complete" } else { "create-complete" };
                write(ask, xml, *id, list, state);
            }
            ListRow::Amazons(list) => {
                xml.text("prefixListId", list.id);
                xml.text("addressFamily", Family::V4.name());
                xml.text("state", "create-complete");
                let region = ask.caller.region.as_str();
                let name = format!("arn:aws:ec2:{region}:aws:prefix-list/{}", list.id);
                xml.text("prefixListArn", name);
                xml.text("prefixListName", &list.name);
                xml.text("ownerId", "AWS");
                xml.group("tagSet", |_| {});
            }
        }
    }
}

fn write(ask: &Ask<'_>, xml: &mut Xml, id: PrefixListId, list: &PrefixList, state: &str) {
    let settings = Settings::of(ask, id, list);
    xml.text("prefixListId", id);
    xml.text("addressFamily", settings.family.name());
    xml.text("state", state);
    xml.text("prefixListArn", arn(ask.caller, "prefix-list", id));
    xml.maybe("prefixListName", ask.fact(id, Fact::Name));
    xml.text("maxEntries", settings.most);
    xml.text("version", settings.version);
    write_tags(xml, ask.tags(ResourceId::PrefixList(id)));
    xml.text("ownerId", list.owner);
}

fn invalid(message: impl Into<String>) -> Fault {
    Fault::new("InvalidParameterValue", message)
}

fn block(row: &Params) -> Result<IpNet, Fault> {
    let text = row.text("Cidr").ok_or_else(|| Fault::missing("Cidr"))?;
    let block = text.parse::<IpNet>();
    block.map(|block| block.trunc()).map_err(|_| invalid(format!("The CIDR '{text}' is invalid.")))
}

/// The entries that a request adds.
fn added(edit: &Edit<'_>, name: &str, family: Family) -> Result<Entries, Fault> {
    let mut entries = Entries::new();
    for row in edit.params.rows(name) {
        let block = block(row)?;
        if !family.holds(block) {
            let family = family.name();
            return Err(invalid(format!("The CIDR '{block}' is not of address family {family}.")));
        }
        let description = row.text("Description").unwrap_or_default();
        if description.len() > RULE_DESCRIPTION_CHARS_MAX || description.contains(char::is_control)
        {
            return Err(Fault::value("Description", description));
        }
        if entries.insert(block, description.to_owned()).is_some() {
            return Err(invalid(format!("The CIDR '{block}' is given more than once.")));
        }
    }
    Ok(entries)
}

fn most(edit: &Edit<'_>) -> Result<Option<usize>, Fault> {
    let most: Option<usize> = edit.params.parsed("MaxEntries")?;
    match most {
        Some(n) if !(1..=PREFIX_LIST_ENTRIES_MAX).contains(&n) => {
            Err(Fault::value("MaxEntries", &n.to_string()))
        }
        most => Ok(most),
    }
}

fn list_name(edit: &Edit<'_>) -> Result<Option<String>, Fault> {
    match edit.params.text("PrefixListName") {
        Some(name)
            if name.starts_with("com.amazonaws") || name.len() > RULE_DESCRIPTION_CHARS_MAX =>
        {
            Err(Fault::value("PrefixListName", name))
        }
        name => Ok(name.map(str::to_owned)),
    }
}

fn check_room(entries: usize, most: usize) -> Result<(), Fault> {
    if entries <= most {
        return Ok(());
    }
    let message = format!("You've reached the maximum of {most} entries for the prefix list.");
    Err(Fault::new("PrefixListMaxEntriesExceeded", message))
}

fn create(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let name = list_name(edit)?.ok_or_else(|| Fault::missing("PrefixListName"))?;
    let most = most(edit)?.ok_or_else(|| Fault::missing("MaxEntries"))?;
    let family = match edit.params.needed("AddressFamily")? {
        "IPv4" => Family::V4,
        "IPv6" => Family::V6,
        other => return Err(Fault::value("AddressFamily", other)),
    };
    let entries = added(edit, "Entry", family)?;
    check_room(entries.len(), most)?;
    let tags = edit.new_tags("prefix-list")?;
    let command = Command::CreateManagedPrefixList { entries: entries.keys().copied().collect() };
    let id = edit.apply_for(&command, |change| match change {
        Change::PrefixListCreated { list, .. } => Some(*list),
        _ => None,
    })?;
    edit.remember(id, Fact::Name, name);
    Settings { family, most, version: 1 }.keep(edit, id);
    keep_entries(edit, id, 1, &entries);
    edit.tag(ResourceId::PrefixList(id), tags)?;
    answer(edit, xml, id, "create-in-progress")
}

fn answer(edit: &Edit<'_>, xml: &mut Xml, id: PrefixListId, state: &str) -> Result<(), Fault> {
    let ask = edit.ask();
    let list = own(&ask, id)?;
    xml.group("prefixList", |xml| write(&ask, xml, id, list, state));
    Ok(())
}

fn rows_of<'a>(
    ask: &Ask<'a>,
    all: impl FnOnce() -> Vec<ListRow<'a>>,
) -> Result<Vec<ListRow<'a>>, Fault> {
    let find = |id: PrefixListId| ListRow::find(ask, id);
    super::chosen(ask, "PrefixListId", "prefix-list-id", find, || match super::tagged(ask)? {
        Some(ids) => Ok(ids.into_iter().filter_map(|id| find(id).ok()).collect()),
        None => Ok(all()),
    })
}

fn of_amazon<'a>(ask: &Ask<'a>) -> impl Iterator<Item = ListRow<'a>> {
    amazons(&ask.caller.region).into_iter().map(ListRow::Amazons)
}

fn describe_managed(ask: &Ask<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let rows = rows_of(ask, || {
        let own = ask.cloud().prefix_lists_of(ask.caller);
        let own = own.map(|(id, list)| ListRow::Managed(id, list));
        own.chain(of_amazon(ask)).collect()
    })?;
    describe(ask, xml, "prefixListSet", PageBounds::INSIGHTS, rows)
}

/// A list of Amazon's as `DescribePrefixLists` shows it.
struct AmazonsRow(Amazons);

impl Row for AmazonsRow {
    fn key(&self) -> String {
        self.0.id.to_string()
    }

    fn field(&self, _: &Ask<'_>, name: &str, out: &mut Values<'_>) {
        match name {
            "prefix-list-id" => out.shows(self.0.id),
            "prefix-list-name" => out.is(&self.0.name),
            _ => {}
        }
    }

    fn write(&self, _: &Ask<'_>, xml: &mut Xml) {
        xml.text("prefixListId", self.0.id);
        xml.text("prefixListName", &self.0.name);
        xml.values("cidrSet", &self.0.entries);
    }
}

fn describe_amazons(ask: &Ask<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let rows = rows_of(ask, || of_amazon(ask).collect())?;
    let rows = rows.into_iter().filter_map(|row| match row {
        ListRow::Amazons(list) => Some(AmazonsRow(list)),
        ListRow::Managed(..) => None,
    });
    describe(ask, xml, "prefixListSet", PageBounds::USUAL, rows)
}

/// An entry as it is shown.
struct EntryRow(IpNet, String);

impl Row for EntryRow {
    fn key(&self) -> String {
        self.0.to_string()
    }

    fn field(&self, _: &Ask<'_>, _: &str, _: &mut Values<'_>) {}

    fn write(&self, _: &Ask<'_>, xml: &mut Xml) {
        xml.text("cidr", self.0);
        xml.maybe("description", Some(&self.1).filter(|text| !text.is_empty()));
    }
}

fn unknown_version(version: &str) -> Fault {
    let message = format!("The prefix list version '{version}' does not exist");
    Fault::new("InvalidPrefixListVersion", message)
}

fn get_entries(ask: &Ask<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let id = ask.params.needed_id("PrefixListId")?;
    let target: Option<u64> = ask.params.parsed("TargetVersion")?;
    let entries: Entries = match ListRow::find(ask, id)? {
        ListRow::Amazons(list) => {
            list.entries.into_iter().map(|block| (block, String::new())).collect()
        }
        ListRow::Managed(id, list) => {
            let version = target.unwrap_or(Settings::of(ask, id, list).version);
            entries_of(ask, id, version).ok_or_else(|| unknown_version(&version.to_string()))?
        }
    };
    let rows = entries.into_iter().map(|(block, description)| EntryRow(block, description));
    describe(ask, xml, "entrySet", PageBounds::INSIGHTS, rows)
}

/// The settings of a list, if the version that the request gives is its present one.
fn current(edit: &Edit<'_>, id: PrefixListId, list: &PrefixList) -> Result<Settings, Fault> {
    let settings = Settings::of(&edit.ask(), id, list);
    match edit.params.parsed::<u64>("CurrentVersion")? {
        None => Err(Fault::missing("CurrentVersion")),
        Some(version) if version == settings.version => Ok(settings),
        Some(_) => {
            let message = "The prefix list has the incorrect version number";
            Err(Fault::new("PrefixListVersionMismatch", message))
        }
    }
}

/// Gives a list other entries, as its next version.
fn renew(
    edit: &mut Edit<'_>,
    id: PrefixListId,
    list: &PrefixList,
    settings: Settings,
    entries: &Entries,
) -> Result<(), Fault> {
    check_room(entries.len(), settings.most)?;
    let command = Command::ModifyManagedPrefixList {
        list: id,
        add: entries.keys().filter(|block| !list.entries.contains(block)).copied().collect(),
        remove: list.entries.iter().filter(|b| !entries.contains_key(b)).copied().collect(),
    };
    edit.apply(&command)?;
    let settings = Settings { version: settings.version + 1, ..settings };
    settings.keep(edit, id);
    keep_entries(edit, id, settings.version, entries);
    Ok(())
}

fn modify(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let id: PrefixListId = edit.params.needed_id("PrefixListId")?;
    let list = own(&edit.ask(), id)?.clone();
    let (name, most) = (list_name(edit)?, most(edit)?);
    let settings = Settings::of(&edit.ask(), id, &list);
    let add = added(edit, "AddEntry", settings.family)?;
    let remove: Vec<IpNet> =
        edit.params.rows("RemoveEntry").map(block).collect::<Result<_, _>>()?;
    let changes_entries = !(add.is_empty() && remove.is_empty());
    if changes_entries && most.is_some() {
        return Err(Fault::combination(
            "You cannot modify the entries of a prefix list and modify the size of a prefix list \
             at the same time.",
        ));
    }
    if changes_entries {
        let settings = current(edit, id, &list)?;
        let mut entries = entries_of(&edit.ask(), id, settings.version).unwrap_or_default();
        for block in remove {
            if entries.remove(&block).is_none() {
                return Err(Refusal::PrefixListEntryNotFound { list: id, entry: block }.into());
            }
            if add.contains_key(&block) {
                return Err(invalid(format!("The CIDR '{block}' is both added and removed.")));
            }
        }
        entries.extend(add);
        renew(edit, id, &list, settings, &entries)?;
    }
    if let Some(most) = most {
        check_room(list.entries.len(), most)?;
        Settings { most, ..settings }.keep(edit, id);
    }
    if let Some(name) = name {
        edit.remember(id, Fact::Name, name);
    }
    answer(edit, xml, id, "modify-in-progress")
}

fn restore(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let id: PrefixListId = edit.params.needed_id("PrefixListId")?;
    let list = own(&edit.ask(), id)?.clone();
    let settings = current(edit, id, &list)?;
    let wanted = edit.params.needed("PreviousVersion")?;
    let version: u64 = wanted.parse().map_err(|_| Fault::value("PreviousVersion", wanted))?;
    let entries = entries_of(&edit.ask(), id, version).ok_or_else(|| unknown_version(wanted))?;
    renew(edit, id, &list, settings, &entries)?;
    answer(edit, xml, id, "restore-in-progress")
}

fn delete(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let id: PrefixListId = edit.params.needed_id("PrefixListId")?;
    let ask = edit.ask();
    let list = own(&ask, id)?;
    let version = Settings::of(&ask, id, list).version;
    let mut shown = Xml::part();
    shown.group("prefixList", |xml| write(&ask, xml, id, list, "delete-in-progress"));
    edit.apply(&Command::DeleteManagedPrefixList { list: id })?;
    edit.forget(id);
    let oldest = version.saturating_sub(PREFIX_LIST_VERSIONS_KEPT) + 1;
    for version in oldest..=version {
        edit.forget(version_key(id, version));
    }
    xml.raw(&shown.finish());
    Ok(())
}
