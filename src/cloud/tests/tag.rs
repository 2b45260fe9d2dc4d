//! Rows: tags, each party's own on a peering.

use super::super::event::ResourceId;
use super::*;

fn set(resource: ResourceId, tags: &[(&str, &str)]) -> Command {
    let tags = tags.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Command::CreateTags { resource, tags }
}

#[test]
fn tags_have_bounds() {
    let lab = Lab::new(Profile::Seed);
    let a = ResourceId::Vpc(lab.a);
    let long = |n: usize| "é".repeat(n);
    let many = |n: usize| {
        let tags = (0..n).map(|i| (format!("key {i}"), String::new())).collect();
        Command::CreateTags { resource: a, tags }
    };
    check(
        &lab,
        [
            (one(), set(a, &[("Name", "red")]), OK),
            (one(), set(a, &[]), OK),
            (one(), set(a, &[(&long(128), &long(256))]), OK),
            (one(), set(a, &[(&long(129), "")]), "InvalidParameterValue"),
            (one(), set(a, &[("k", &long(257))]), "InvalidParameterValue"),
            (one(), set(a, &[("", "v")]), "InvalidParameterValue"),
            (one(), set(a, &[("AWS:x", "v")]), "InvalidParameterValue"),
            (one(), many(50), OK),
            (one(), many(51), "TagLimitExceeded"),
        ],
    );
    let new = |tags: &[(&str, &str)]| {
        let tags: Vec<_> = tags.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Cloud::check_tags(&tags).map_err(|refusal| refusal.code())
    };
    assert_eq!(new(&[("Name", "red"), ("k", "")]), Ok(()));
    assert_eq!(new(&[("aws:x", "")]), Err("InvalidParameterValue"));
    let keys: Vec<String> = (0..51).map(|n| n.to_string()).collect();
    let pairs: Vec<(&str, &str)> = keys.iter().map(|key| (key.as_str(), "")).collect();
    assert_eq!(new(&pairs[..50]), Ok(()));
    assert_eq!(new(&pairs), Err("TagLimitExceeded"));
    let full = lab.clone().with([(one(), many(50))]);
    check(
        &full,
        [
            (one(), set(a, &[("key 7", "again")]), OK),
            (one(), set(a, &[("one more", "")]), "TagLimitExceeded"),
        ],
    );
}

#[test]
fn whatever_is_the_callers_can_be_tagged_and_nothing_else() {
    let lab = Lab::new(Profile::Seed);
    let own = [
        ResourceId::Vpc(lab.a),
        ResourceId::Subnet(lab.a1),
        ResourceId::RouteTable(lab.side),
        ResourceId::Instance(lab.i.0),
        ResourceId::Interface(lab.i.1),
    ];
    for resource in own {
        let delete = || Command::DeleteTags { resource, keys: vec!["Name".to_owned()] };
        check(
            &lab,
            [
                (one(), set(resource, &[("Name", "x")]), OK),
                (one(), delete(), OK),
                (two(), set(resource, &[("Name", "x")]), "InvalidID"),
                (two(), delete(), "InvalidID"),
            ],
        );
    }
    let unknown = ResourceId::Subnet(SubnetId::new(nothing()));
    check(&lab, [(one(), set(unknown, &[("Name", "x")]), "InvalidID")]);
}

#[test]
fn each_party_has_its_own_tags_on_a_peering_and_they_outlive_it() {
    let lab = Lab::new(Profile::Seed);
    let ab = ResourceId::Peering(lab.ab);
    let lab = lab.clone().with([
        (two(), set(ab, &[("Name", "from two"), ("b", "2")])),
        (one(), set(ab, &[("Name", "from one")])),
        (one(), Command::DeleteVpcPeeringConnection { peering: lab.ab }),
    ]);
    let of = |who: Caller| lab.cloud.tags(ab, who.account).get("Name").cloned();
    assert_eq!(of(one()).as_deref(), Some("from one"));
    assert_eq!(of(two()).as_deref(), Some("from two"));
    assert_eq!(lab.cloud.name(ab), Some("from one"));
    let removed = Command::DeleteTags { resource: ab, keys: vec!["Name".to_owned()] };
    let lab = lab.clone().with([(one(), removed)]);
    assert_eq!(lab.cloud.name(ab), Some("from two"));
}

#[test]
fn tags_end_with_their_resource() {
    let lab = Lab::new(Profile::Seed);
    let bare = ResourceId::Vpc(lab.bare);
    let lab = lab.clone().with([
        (one(), set(bare, &[("Name", "x")])),
        (one(), Command::DeleteVpc { vpc: lab.bare }),
    ]);
    assert!(lab.cloud.tags(bare, one().account).is_empty());
}

/// Every answer of the index beside that of a search.
#[test]
fn what_is_tagged_is_found() {
    let lab = Lab::new(Profile::Seed);
    let (a, bare, b) = (ResourceId::Vpc(lab.a), ResourceId::Vpc(lab.bare), ResourceId::Vpc(lab.b));
    let (a1, ab) = (ResourceId::Subnet(lab.a1), ResourceId::Peering(lab.ab));
    let lab = lab.clone().with([
        (one(), set(a, &[("env", "x"), ("Name", "a")])),
        (one(), set(bare, &[("env", "x")])),
        (one(), set(a1, &[("env", "x")])),
        (one(), set(ab, &[("env", "x")])),
        (two(), set(b, &[("env", "x")])),
        (two(), set(ab, &[("env", "y")])),
        // What it was does not count any more, and neither does what is gone.
        (one(), set(bare, &[("env", "xx"), ("gone", "")])),
        (one(), Command::DeleteTags { resource: bare, keys: vec!["gone".to_owned()] }),
    ]);
    let cloud = &lab.cloud;
    let vpcs = [lab.a, lab.bare, lab.b];
    for who in [one(), two(), caller(3, "us-east-1")] {
        let account = who.account;
        for (key, value) in [("env", "x"), ("env", "xx"), ("env", ""), ("Name", "a"), ("gone", "")]
        {
            let tag = |id: &VpcId| cloud.tags(ResourceId::Vpc(*id), account).get(key);
            let mut with: Vec<VpcId> = vpcs.into_iter().filter(|id| tag(id).is_some()).collect();
            let mut found: Vec<VpcId> = cloud.tagged_with_key(account, key).collect();
            with.sort_unstable();
            found.sort_unstable();
            assert_eq!(found, with, "{account} {key}");
            with.retain(|id| tag(id).is_some_and(|have| have == value));
            assert!(
                cloud.tagged_with::<VpcId>(account, key, value).eq(with),
                "{account} {key}={value}"
            );
        }
    }
    assert!(cloud.tagged_with::<SubnetId>(one().account, "env", "x").eq([lab.a1]));
    assert!(cloud.tagged_with::<PeeringId>(two().account, "env", "y").eq([lab.ab]));
    assert!(cloud.tagged_with::<PeeringId>(two().account, "env", "x").next().is_none());
    let by = |who: Caller| cloud.tagged_by(who.account).collect::<Vec<_>>();
    let mut of_one = vec![a, bare, a1, ab];
    of_one.sort_unstable();
    assert_eq!((by(one()), by(two())), (of_one, vec![b, ab]));
}
