//! Static search trees: which stretch between sorted boundaries a number lies in.
//!
//! Holds the lines of many trees of one kind of number, a node being one line of the cache. Refuses
//! to know what a stretch means, and to change a tree.

/// A line of the cache.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(align(64))]
struct Line<K, const W: usize>([K; W]);

/// A number in a tree: compared as it is, the highest of all standing for "no boundary".
pub(super) trait Key: Copy + Ord {
    const TOP: Self;
}

impl Key for i32 {
    const TOP: i32 = i32::MAX;
}

impl Key for u64 {
    const TOP: u64 = u64::MAX;
}

impl Key for u128 {
    const TOP: u128 = u128::MAX;
}

/// The trees. A node has `W` boundaries and `W + 1` children.
///
/// A boundary stands as the last number *before* the stretch that it begins, so that the highest
/// number, which lies before none, fills the rest of a line.
#[derive(Clone, Debug)]
pub(super) struct Trees<K, const W: usize> {
    lines: Vec<Line<K, W>>,
}

impl<K: Key, const W: usize> Default for Trees<K, W> {
    fn default() -> Self {
        const { assert!(size_of::<Line<K, W>>() == 64) };
        Trees { lines: Vec::new() }
    }
}

/// Depths are below this, see the bits of a cell; the highest is [`TWO_LINES`].
const DEPTH_LIMIT: u32 = 7;
/// The depth that stands for two lines and no root: cheaper than three.
const TWO_LINES: u32 = 7;

impl<K: Key, const W: usize> Trees<K, W> {
    /// How many lines all trees have.
    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.lines.capacity() * size_of::<Line<K, W>>()
    }

    /// Adds a tree over sorted boundaries and says its depth; `None` if it would be too deep.
    pub(super) fn push(&mut self, boundaries: &[K]) -> Option<u32> {
        let leaves = boundaries.len().div_ceil(W).max(1);
        let depth = match leaves {
            1 => 0,
            2 => TWO_LINES,
            _ => {
                let holds = |depth: &u32| (W + 1).pow(*depth) >= leaves;
                (1..DEPTH_LIMIT).find(holds)?
            }
        };
        if depth != TWO_LINES {
            for level in 0..depth {
                self.push_level(boundaries, (W + 1).pow(depth - level - 1), (W + 1).pow(level));
            }
        }
        for leaf in 0..leaves {
            self.push_line(|at| boundaries.get(leaf * W + at));
        }
        Some(depth)
    }

    /// Adds a level of `nodes`, whose children stand on `below` leaves each.
    fn push_level(&mut self, boundaries: &[K], below: usize, nodes: usize) {
        for node in 0..nodes {
            let first_child = node * (W + 1);
            self.push_line(|at| boundaries.get((first_child + at + 1) * below * W));
        }
    }

    fn push_line<'b>(&mut self, boundary: impl Fn(usize) -> Option<&'b K>)
    where
        K: 'b,
    {
        let at = std::array::from_fn(|at| boundary(at).copied().unwrap_or(K::TOP));
        self.lines.push(Line(at));
    }

    /// How many boundaries of the tree at `first` lie below `x`: the number of its stretch.
    #[inline]
    pub(super) fn stretch(&self, first: usize, depth: u32, x: K) -> usize {
        let below = |line: usize| self.lines.get(line).map_or(0, |line| line.below(x));
        if depth == 0 {
            return below(first);
        }
        if depth == TWO_LINES {
            return below(first) + below(first + 1);
        }
        let (mut level, mut nodes, mut node) = (first, 1, 0);
        for _ in 0..depth {
            node = node * (W + 1) + below(level + node);
            level += nodes;
            nodes *= W + 1;
        }
        node * W + below(level + node)
    }
}

impl<K: Key, const W: usize> Line<K, W> {
    /// A sum over the whole line: no branch, and the compiler makes it a few vector comparisons.
    #[inline]
    fn below(&self, x: K) -> usize {
        let count: u32 = self.0.iter().map(|boundary| u32::from(*boundary < x)).sum();
        count as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Trees of all shapes, beside a search of the list.
    #[test]
    fn agree_with_a_search_of_the_list() {
        fn check<K: Key, const W: usize>(number: impl Fn(u64) -> K) {
            let mut trees = Trees::<K, W>::default();
            for count in (0..80).chain([W * W, W * (W + 1), W * (W + 1) + 1, 1_000, 5_000]) {
                let boundaries: Vec<K> = (0..count as u64).map(|n| number(n * 3 + 5)).collect();
                let first = trees.len();
                let depth = trees.push(&boundaries).unwrap();
                for x in (0..count as u64 * 3 + 9).step_by(1 + count / 300) {
                    let want = boundaries.partition_point(|b| *b < number(x));
                    assert_eq!(trees.stretch(first, depth, number(x)), want, "{count} {x}");
                }
                assert_eq!(trees.stretch(first, depth, K::TOP), count);
            }
        }
        check::<i32, 16>(|n| i32::try_from(n).unwrap() - 900);
        check::<u64, 8>(|n| n);
        check::<u128, 4>(u128::from);
    }

    #[test]
    fn refuses_what_is_too_deep() {
        let mut trees = Trees::<u128, 4>::default();
        let most: Vec<u128> = (0..4 * 5_u128.pow(6)).collect();
        assert_eq!(trees.push(&most), Some(6));
        let more: Vec<u128> = (0..=4 * 5_u128.pow(6)).collect();
        assert_eq!(trees.push(&more), None);
    }
}
