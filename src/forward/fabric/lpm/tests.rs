//! The tables beside a list that is searched in full, at every size and through every change. Refuses to time anything.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// The obvious table: every route, searched in full.
#[derive(Default)]
struct List(BTreeMap<IpNet, Code>);

impl List {
    fn get(&self, address: std::net::IpAddr) -> Option<Code> {
        let covering = self.0.iter().filter(|(net, _)| net.contains(&address));
        covering.max_by_key(|(net, _)| net.prefix_len()).map(|(_, code)| *code)
    }
}

fn table(row: usize) -> TableIdx {
    TableIdx::from_row(row)
}

fn code(number: u32) -> Code {
    Code::new(number).unwrap()
}

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn look_up(tables: &Tables, row: usize, address: std::net::IpAddr) -> Option<Code> {
    match address {
        std::net::IpAddr::V4(address) => tables.get(table(row), address.to_bits()),
        std::net::IpAddr::V6(address) => tables.get_v6(table(row), address.to_bits()),
    }
}

#[test]
fn longest_prefix_wins() {
    let rows = [
        ("10.0.0.0/16", 1),
        ("10.0.0.0/8", 2),
        ("0.0.0.0/0", 3),
        ("10.0.3.4/32", 4),
        ("128.0.0.0/1", 5),
        ("255.255.255.255/32", 6),
        ("0.0.0.0/32", 7),
        ("2001:db8::/32", 8),
        ("2001:db8::1/128", 9),
        ("fd00::/8", 10),
        ("::/0", 0),
    ];
    let routes = rows.iter().map(|(prefix, number)| (net(prefix), code(*number)));
    let tables = Tables::build([(table(3), routes)]).unwrap();
    for (address, want) in [
        ("10.0.3.3", Some(1)),
        ("10.0.3.4", Some(4)),
        ("10.9.0.1", Some(2)),
        ("11.0.0.0", Some(3)),
        ("192.0.2.1", Some(5)),
        ("255.255.255.255", Some(6)),
        ("255.255.255.254", Some(5)),
        ("0.0.0.0", Some(7)),
        ("0.0.0.1", Some(3)),
        ("2001:db8::1", Some(9)),
        ("2001:db8::2", Some(8)),
        ("2001:db9::", Some(0)),
        ("fdff::1", Some(10)),
    ] {
        let address = address.parse().unwrap();
        assert_eq!(look_up(&tables, 3, address), want.map(code), "{address}");
        for other in [0, 4, 1_000_000] {
            assert_eq!(look_up(&tables, other, address), None, "table {other}");
        }
    }
    assert_eq!((tables.routes(table(3)), tables.routes(table(2))), (11, 0));
}

#[test]
fn of_equal_prefixes_the_later_wins_and_host_bits_do_not_count() {
    let routes = [("10.0.0.0/8", 1), ("10.1.2.3/8", 2), ("0.0.0.0/0", 3), ("9.9.9.9/0", 4)];
    let routes = routes.map(|(prefix, number)| (net(prefix), code(number)));
    let mut tables = Tables::build([(table(0), routes.to_vec())]).unwrap();
    assert_eq!(tables.get(table(0), 0x0a00_0001), Some(code(2)));
    assert_eq!(tables.get(table(0), 1), Some(code(4)));
    assert_eq!(tables.routes(table(0)), 2);
    assert_eq!(tables.insert(table(0), net("10.9.9.9/8"), code(5)), Ok(Some(code(2))));
    assert_eq!(tables.remove(table(0), net("10.200.0.1/8")), Some(code(5)));
    assert_eq!(tables.get(table(0), 0x0a00_0001), Some(code(4)));
    assert_eq!(tables.remove(table(0), net("10.0.0.0/8")), None);
    assert_eq!(tables.remove(table(7), net("10.0.0.0/8")), None);
}

#[test]
fn codes_end_below_the_last_number() {
    assert_eq!(Code::new(Code::MAX).map(Code::number), Some(Code::MAX));
    assert_eq!(Code::new(0).map(Code::number), Some(0));
    assert_eq!(Code::new(u32::MAX), None);
}

#[test]
fn a_wild_row_is_refused_and_allocates_nothing() {
    let mut tables = Tables::default();
    let before = tables.bytes();
    for prefix in ["10.0.0.0/8", "::/0"] {
        let got = tables.insert(TableIdx::NOWHERE, net(prefix), code(1));
        assert_eq!(got, Err(Full::Tables));
    }
    assert_eq!(tables.bytes(), before);
    assert_eq!(tables.get(TableIdx::NOWHERE, 0), None);
    tables.prefetch(TableIdx::NOWHERE, 0);
    tables.prefetch_table(TableIdx::NOWHERE);
}

/// Numbers that are the same on every machine.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// Where prefixes are drawn from.
#[derive(Clone, Copy, Debug)]
enum Spread {
    /// Any address, lengths 1..=32: few nest.
    Anywhere,
    /// A few thousand addresses, so that prefixes nest and everything is full.
    Dense,
    /// 10.0.0.0/8 and single routes far away.
    Clustered,
}

fn draw(numbers: &mut Numbers, spread: Spread, is_v6: bool) -> IpNet {
    let (address, len) = match spread {
        Spread::Anywhere => (numbers.next() >> 32, 33 - numbers.below(33).min(numbers.below(33))),
        Spread::Dense => (0x7fff_f000 + numbers.below(0x2000), 18 + numbers.below(15)),
        Spread::Clustered if numbers.below(200) == 0 => (numbers.next() >> 32, 8),
        Spread::Clustered => (0x0a00_0000 | numbers.below(1 << 24), 8 + numbers.below(25)),
    };
    let (address, len) = (u32::try_from(address).unwrap(), u8::try_from(len.min(32)).unwrap());
    if is_v6 {
        // The same pattern in the first and in the last bits of the address.
        let first = u128::from(address) << 96;
        let (address, len) = match numbers.below(3) {
            0 => (first, len),
            1 => (first | u128::from(numbers.next()), len * 2 + 64),
            _ => (0xfd00 << 112 | u128::from(address), 96 + len),
        };
        ipnet::Ipv6Net::new(address.into(), len).unwrap().trunc().into()
    } else {
        ipnet::Ipv4Net::new(address.into(), len).unwrap().trunc().into()
    }
}

/// The addresses at which an answer may change: the ends of the prefix and those beside it.
fn probes(net: IpNet) -> Vec<std::net::IpAddr> {
    match net {
        IpNet::V4(net) => {
            let (first, last) = (net.network().to_bits(), net.broadcast().to_bits());
            [first, last, first.wrapping_sub(1), last.wrapping_add(1), first ^ ((last - first) / 3)]
                .map(|bits| std::net::Ipv4Addr::from_bits(bits).into())
                .to_vec()
        }
        IpNet::V6(net) => {
            let (first, last) = (net.network().to_bits(), net.broadcast().to_bits());
            [first, last, first.wrapping_sub(1), last.wrapping_add(1), first ^ ((last - first) / 3)]
                .map(|bits| std::net::Ipv6Addr::from_bits(bits).into())
                .to_vec()
        }
    }
}

/// Grows a table to `most` routes and empties it again, in random order; after some changes all
/// answers at all ends, one by one and in batches, are compared with the list's.
fn live(spread: Spread, is_v6: bool, most: usize, seed: u64) {
    let mut numbers = Numbers(seed);
    let mut list = List::default();
    let mut tables = Tables::default();
    let row = 5;
    let mut growing = true;
    let mut changes = 0_u32;
    loop {
        let removes = numbers.below(10) < if growing { 2 } else { 8 };
        let drawn = draw(&mut numbers, spread, is_v6);
        changes += 1;
        if removes {
            let nth = usize::try_from(numbers.below(list.0.len().max(1) as u64)).unwrap();
            let net = list
                .0
                .keys()
                .nth(nth)
                .copied()
                .filter(|_| !changes.is_multiple_of(7))
                .unwrap_or(drawn);
            assert_eq!(tables.remove(table(row), net), list.0.remove(&net), "{net}");
        } else {
            let code = code(u32::try_from(numbers.below(1 << 31)).unwrap());
            let had = tables.insert(table(row), drawn, code).unwrap();
            assert_eq!(had, list.0.insert(drawn, code), "{drawn}");
        }
        assert_eq!(tables.routes(table(row)), list.0.len());
        // The list takes its time, so of many changes to a long one not all are looked at.
        let is_seen = (changes as usize).is_multiple_of(most / 100 + 1);
        for address in probes(drawn).into_iter().filter(|_| is_seen) {
            let (got, want) = (look_up(&tables, row, address), list.get(address));
            assert_eq!(got, want, "{address} after {changes} changes, {spread:?}");
        }
        if list.0.len() >= most {
            growing = false;
            compare(&tables, row, &list);
        }
        if !growing && list.0.is_empty() {
            break;
        }
        if !growing && changes > 40 * u32::try_from(most).unwrap() {
            for net in std::mem::take(&mut list.0).into_keys() {
                assert!(tables.remove(table(row), net).is_some(), "{net}");
            }
            break;
        }
    }
    compare(&tables, row, &list);
    assert_eq!(tables.routes(table(row)), 0);
}

/// All answers at the ends of all prefixes, one by one, in batches and after a fresh build.
fn compare(tables: &Tables, row: usize, list: &List) {
    let step = list.0.len() / 300 + 1;
    let addresses: Vec<_> = list.0.keys().step_by(step).copied().flat_map(probes).collect();
    let want: Vec<_> = addresses.iter().map(|address| list.get(*address)).collect();
    let fresh = Tables::build([(table(row), list.0.clone())]).unwrap();
    for tables in [tables, &fresh] {
        for (address, want) in addresses.iter().zip(&want) {
            assert_eq!(look_up(tables, row, *address), *want, "{address}");
        }
        let rows = vec![table(row); addresses.len()];
        let mut got = vec![None; addresses.len()];
        let bits = |address: &std::net::IpAddr| match address {
            std::net::IpAddr::V4(address) => (address.to_bits(), 0),
            std::net::IpAddr::V6(address) => (0, address.to_bits()),
        };
        if addresses.first().is_some_and(std::net::IpAddr::is_ipv4) {
            let addresses: Vec<_> = addresses.iter().map(|a| bits(a).0).collect();
            tables.v4.get_each_in_steps(&rows, &addresses, &mut got);
            assert_eq!(got, want);
            tables.get_each(&rows, &addresses, &mut got);
        } else {
            let addresses: Vec<_> = addresses.iter().map(|a| bits(a).1).collect();
            tables.v6.get_each_in_steps(&rows, &addresses, &mut got);
            assert_eq!(got, want);
            tables.get_each_v6(&rows, &addresses, &mut got);
        }
        assert_eq!(got, want);
    }
}

#[test]
fn tables_of_every_size_answer_as_a_list_does() {
    for (seed, most) in [(1, 3), (2, 9), (3, 17), (4, 33), (5, 40), (6, 120), (7, 600)] {
        for spread in [Spread::Anywhere, Spread::Dense, Spread::Clustered] {
            for is_v6 in [false, true] {
                live(spread, is_v6, most, seed);
            }
        }
    }
}

/// Through several nodes on top of one another and their rebuilding.
#[test]
fn a_large_table_answers_as_a_list_does() {
    live(Spread::Anywhere, false, 4_000, 8);
    live(Spread::Clustered, true, 2_000, 9);
}

/// Past the size from which there are fewer slots than routes, and searches go in steps, and back.
#[test]
fn a_table_grows_beyond_the_caches_and_back() {
    let mut numbers = Numbers(10);
    let mut tables = Tables::default();
    let mut list = List::default();
    while list.0.len() < 40_000 {
        let spread = if numbers.below(4) == 0 { Spread::Clustered } else { Spread::Anywhere };
        let (net, code) =
            (draw(&mut numbers, spread, false), code(u32::try_from(list.0.len()).unwrap()));
        assert_eq!(tables.insert(table(0), net, code).unwrap(), list.0.insert(net, code), "{net}");
        if list.0.len().is_power_of_two() {
            compare_some(&tables, &list);
        }
    }
    assert!(!tables.v4.arena.is_small());
    compare_some(&tables, &list);
    let nets: Vec<IpNet> = list.0.keys().copied().collect();
    for (place, net) in nets.into_iter().enumerate().filter(|(place, _)| place % 40 != 0) {
        assert_eq!(tables.remove(table(0), net), list.0.remove(&net), "{net}");
        if place % 8_000 == 1 {
            compare_some(&tables, &list);
        }
    }
    compare(&tables, 0, &list);
}

/// The answers around some twenty prefixes, as a long list takes its time.
fn compare_some(tables: &Tables, list: &List) {
    for net in list.0.keys().step_by(list.0.len() / 20 + 1) {
        let addresses = probes(*net);
        let want: Vec<_> = addresses.iter().map(|address| list.get(*address)).collect();
        let one_by_one = addresses.iter().map(|address| look_up(tables, 0, *address));
        assert_eq!(one_by_one.collect::<Vec<_>>(), want, "{net}");
        let bits: Vec<u32> = addresses
            .iter()
            .map(|address| match address {
                std::net::IpAddr::V4(address) => address.to_bits(),
                std::net::IpAddr::V6(_) => 0,
            })
            .collect();
        let mut got = vec![None; bits.len()];
        tables.get_each(&vec![table(0); bits.len()], &bits, &mut got);
        assert_eq!(got, want, "{net}");
    }
}

/// Every address of a small block has its own route, and each of its blocks too.
#[test]
fn everything_nested_and_adjacent() {
    let mut tables = Tables::default();
    let nets: Vec<IpNet> = (20_u8..=32)
        .flat_map(|len| {
            (0..1_u32 << (len - 20)).map(move |at| {
                let address = 0x7fff_f000_u32.wrapping_add(at << (32 - len));
                ipnet::Ipv4Net::new(address.into(), len).unwrap().into()
            })
        })
        .collect();
    for (number, net) in (0..).zip(&nets) {
        tables.insert(table(0), *net, code(number)).unwrap();
    }
    let number = |len: u32, address: u32| (1 << (len - 20)) - 1 + ((address & 0xfff) >> (32 - len));
    for len in (20..=32).rev() {
        for address in 0x7fff_f000_u32..=0x7fff_ffff {
            assert_eq!(tables.get(table(0), address), Some(code(number(len, address))));
        }
        for net in nets.iter().filter(|net| u32::from(net.prefix_len()) == len) {
            assert!(tables.remove(table(0), *net).is_some());
        }
    }
    assert_eq!(tables.get(table(0), 0x7fff_f000), None);
}

/// Tables share an array, and nothing else.
#[test]
fn tables_do_not_meet() {
    let mut numbers = Numbers(3);
    let mut lists: Vec<List> = (0..60).map(|_| List::default()).collect();
    let mut tables = Tables::default();
    for _ in 0..12_000 {
        let row = usize::try_from(numbers.below(60)).unwrap();
        let net = draw(&mut numbers, Spread::Dense, false);
        if numbers.below(3) == 0 {
            assert_eq!(tables.remove(table(row), net), lists[row].0.remove(&net));
        } else {
            let code = code(u32::try_from(numbers.below(1 << 31)).unwrap());
            let had = tables.insert(table(row), net, code).unwrap();
            assert_eq!(had, lists[row].0.insert(net, code));
        }
    }
    for (row, list) in lists.iter().enumerate() {
        compare(&tables, row, list);
    }
    // All at once in one batch, one search for each table.
    let rows: Vec<_> = (0..60).map(table).collect();
    let addresses: Vec<_> = (0..60).map(|at| 0x7fff_f000 + at * 100).collect();
    let mut got = vec![None; 60];
    tables.get_each(&rows, &addresses, &mut got);
    for (row, list) in lists.iter().enumerate() {
        let address = std::net::Ipv4Addr::from_bits(addresses[row]);
        assert_eq!(got[row], list.get(address.into()), "table {row}");
    }
}

proptest! {
    /// Any routes in any order; a change undone leaves the answers as they were.
    #[test]
    fn built_and_grown_agree_with_the_list(
        prefixes in prop::collection::vec((0_u32..64, 0_u8..=32, any::<bool>()), 0..90),
        at in 0_usize..90,
    ) {
        // 64 starts around the middle of all addresses, which parts the halves.
        let net = |(start, len, is_near): &(u32, u8, bool)| -> IpNet {
            let step = if *is_near { 16 } else { 1 << 26 };
            let address = 0x8000_0000_u32.wrapping_sub(0x200).wrapping_add(start.wrapping_mul(step));
            ipnet::Ipv4Net::new(address.into(), *len).unwrap().trunc().into()
        };
        let mut list = List::default();
        let mut tables = Tables::default();
        for (number, prefix) in (0..).zip(&prefixes) {
            tables.insert(table(0), net(prefix), code(number)).unwrap();
            list.0.insert(net(prefix), code(number));
        }
        compare(&tables, 0, &list);
        if let Some(prefix) = prefixes.get(at) {
            let had = tables.remove(table(0), net(prefix)).unwrap();
            list.0.remove(&net(prefix));
            compare(&tables, 0, &list);
            tables.insert(table(0), net(prefix), had).unwrap();
            list.0.insert(net(prefix), had);
            compare(&tables, 0, &list);
        }
    }
}
