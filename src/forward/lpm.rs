//! Longest-prefix match for the snapshot: disjoint ranges and a binary search.
//!
//! Holds one table for one address family. Prefixes are flattened when the table is built: each
//! stretch of addresses gets the value of the longest prefix that covers it, so a look-up is one
//! binary search, whatever the nesting. Refuses to be changed: a change builds a new table.

/// Sorted, disjoint stretches of the address space. `A` is an address as a number.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Ranges<A, V> {
    /// The first address of each stretch, ascending, the first of all being 0; and its value, `None`
    /// where no prefix covers it. Side by side, so that a small table is one line of the cache.
    stretches: Box<[(A, Option<V>)]>,
}

/// A block of addresses and what it maps to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block<A, V> {
    /// Its first address.
    pub(super) first: A,
    /// Its last address.
    pub(super) last: A,
    /// What it maps to.
    pub(super) value: V,
}

/// An address as an unsigned number.
pub(super) trait Number: Copy + Ord {
    /// The lowest address.
    const ZERO: Self;
    /// The next higher address, if there is one.
    fn next(self) -> Option<Self>;
}

impl Number for u32 {
    const ZERO: u32 = 0;
    fn next(self) -> Option<u32> {
        self.checked_add(1)
    }
}

impl Number for u128 {
    const ZERO: u128 = 0;
    fn next(self) -> Option<u128> {
        self.checked_add(1)
    }
}

impl<A: Number, V: Copy + PartialEq> Ranges<A, V> {
    /// The table of these blocks, of which any two are disjoint or nested, as prefixes are. Of two
    /// equal ones the later wins. Time n log n, space at most 2n + 1 stretches.
    pub(super) fn build(mut blocks: Vec<Block<A, V>>) -> Ranges<A, V> {
        // Outer blocks before the inner ones that start at the same address.
        blocks.sort_by(|a, b| a.first.cmp(&b.first).then(b.last.cmp(&a.last)));
        let mut stretches = Stretches(vec![(A::ZERO, None)]);
        let mut open: Vec<Block<A, V>> = Vec::new();
        for block in blocks {
            stretches.close_before(&mut open, Some(block.first));
            stretches.begin(block.first, Some(block.value));
            open.push(block);
        }
        stretches.close_before(&mut open, None);
        Ranges { stretches: stretches.0.into() }
    }

    /// The value of the longest prefix that covers the address. Logarithmic in the number of
    /// stretches.
    pub(super) fn get(&self, address: A) -> Option<V> {
        let after = self.stretches.partition_point(|(start, _)| *start <= address);
        self.stretches.get(after.wrapping_sub(1))?.1
    }
}

/// The stretches found so far while the sweep goes up the address space.
struct Stretches<A, V>(Vec<(A, Option<V>)>);

impl<A: Number, V: Copy + PartialEq> Stretches<A, V> {
    /// From `start` on the value is `value`.
    fn begin(&mut self, start: A, value: Option<V>) {
        self.0.pop_if(|(last, _)| *last == start);
        if self.0.last().is_none_or(|(_, last)| *last != value) {
            self.0.push((start, value));
        }
    }

    /// Ends every open block that lies wholly before `limit`, the innermost first: behind its end
    /// the block around it goes on.
    fn close_before(&mut self, open: &mut Vec<Block<A, V>>, limit: Option<A>) {
        while let Some(inner) = open.pop() {
            if limit.is_some_and(|limit| inner.last >= limit) {
                open.push(inner);
                break;
            }
            if let Some(behind) = inner.last.next() {
                self.begin(behind, open.last().map(|outer| outer.value));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ipnet::Ipv4Net;
    use proptest::prelude::*;

    use super::*;

    fn table(rows: &[(&str, u32)]) -> Ranges<u32, u32> {
        let block = |(net, value): &(&str, u32)| {
            let net: Ipv4Net = net.parse().unwrap();
            Block { first: net.network().into(), last: net.broadcast().into(), value: *value }
        };
        Ranges::build(rows.iter().map(block).collect())
    }

    #[test]
    fn longest_prefix_wins() {
        let rows = &[("10.0.0.0/16", 1), ("10.0.0.0/8", 2), ("0.0.0.0/0", 3), ("10.0.3.4/32", 4)];
        for (address, want, without_default) in [
            ("10.0.3.3", 1, Some(1)),
            ("10.0.3.4", 4, Some(1)),
            ("10.0.3.5", 1, Some(1)),
            ("10.9.0.1", 2, Some(2)),
            ("192.0.2.1", 3, None),
            ("255.255.255.255", 3, None),
            ("0.0.0.0", 3, None),
        ] {
            let number = u32::from(address.parse::<std::net::Ipv4Addr>().unwrap());
            assert_eq!(table(rows).get(number), Some(want), "{address}");
            assert_eq!(table(&rows[..2]).get(number), without_default, "{address}");
        }
    }

    #[test]
    fn the_ends_of_the_address_space_are_no_special_case() {
        let t = table(&[("255.255.255.255/32", 1), ("0.0.0.0/32", 2)]);
        assert_eq!((t.get(u32::MAX), t.get(0)), (Some(1), Some(2)));
        assert_eq!((t.get(u32::MAX - 1), t.get(1)), (None, None));
        assert_eq!(table(&[]).get(7), None);
    }

    proptest! {
        /// A list, searched in full, gives the same answers; in any order of insertion.
        #[test]
        fn agrees_with_a_search_of_the_whole_list(
            nets in prop::collection::btree_map((0_u32..64, 24_u8..=32), any::<u32>(), 0..40),
            probes in prop::collection::vec(0_u32..0x400, 64),
            reverse in any::<bool>(),
        ) {
            // 64 possible /24s' worth of addresses around 0, so that prefixes nest and probes hit.
            let nets: Vec<(Ipv4Net, u32)> = nets
                .into_iter()
                .map(|((at, len), value)| (Ipv4Net::new((at * 16).into(), len).unwrap().trunc(), value))
                .collect::<std::collections::BTreeMap<_, _>>()
                .into_iter()
                .collect();
            let mut blocks: Vec<_> = nets
                .iter()
                .map(|(n, v)| Block { first: n.network().into(), last: n.broadcast().into(), value: *v })
                .collect();
            if reverse {
                blocks.reverse();
            }
            let fast = Ranges::build(blocks);
            for probe in probes {
                let address = std::net::Ipv4Addr::from(probe);
                let slow = nets
                    .iter()
                    .filter(|(net, _)| net.contains(&address))
                    .max_by_key(|(net, _)| net.prefix_len())
                    .map(|(_, value)| *value);
                prop_assert_eq!(fast.get(probe), slow, "{} in {:?}", address, nets);
            }
        }
    }
}
