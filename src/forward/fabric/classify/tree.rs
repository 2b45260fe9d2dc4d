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

    /// How many of a line's sorted numbers lie below `x`. No branch.
    fn below<const W: usize>(line: &[Self; W], x: Self) -> usize;
}

impl Key for i32 {
    const TOP: i32 = i32::MAX;

    #[inline]
    fn below<const W: usize>(line: &[i32; W], x: i32) -> usize {
        count_below(line, x)
    }
}

impl Key for u64 {
    const TOP: u64 = u64::MAX;

    #[inline]
    fn below<const W: usize>(line: &[u64; W], x: u64) -> usize {
        halve_below(line, x)
    }
}

impl Key for u128 {
    const TOP: u128 = u128::MAX;

    #[inline]
    fn below<const W: usize>(line: &[u128; W], x: u128) -> usize {
        halve_below(line, x)
    }
}

/// Compares all numbers, some at a time. The sum counts in both halves of a word because a plain one
/// is compiled to a bit mask and the number of its ones, for which the baseline of x86-64 has no
/// instruction: this way 23 do (rustc 1.95).
#[inline]
pub(super) fn count_below<const W: usize>(line: &[i32; W], x: i32) -> usize {
    let twice: u32 = line.iter().map(|number| if *number < x { 0x1_0001 } else { 0 }).sum();
    (twice & 0xffff) as usize
}

/// Halves the line: for numbers that no vector compares. `W` is a power of two.
#[inline]
fn halve_below<K: Ord, const W: usize>(line: &[K; W], x: K) -> usize {
    const { assert!(W.is_power_of_two()) };
    let is_below = |at: usize| usize::from(line[at & (W - 1)] < x);
    let (mut below, mut half) = (0, W / 2);
    while half > 0 {
        below += half * is_below(below + half - 1);
        half /= 2;
    }
    below + is_below(W - 1)
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

/// Depths are below this, see the bits of a cell.
const DEPTH_LIMIT: u32 = 7;

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
        let depth = (0..DEPTH_LIMIT).find(|depth| (W + 1).pow(*depth) >= leaves)?;
        for level in 0..depth {
            self.push_level(boundaries, (W + 1).pow(depth - level - 1), (W + 1).pow(level));
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
        let (mut level, mut nodes, mut node) = (first, 1, 0);
        for _ in 0..depth {
            node = node * (W + 1) + self.below(level + node, x);
            level += nodes;
            nodes *= W + 1;
        }
        node * W + self.below(level + node, x)
    }

    /// Loads a line; the number is of no meaning.
    #[inline]
    pub(super) fn load(&self, line: usize) -> usize {
        self.lines.get(line).map_or(0, |line| usize::from(line.0[0] < K::TOP))
    }

    /// Loads the line below the first of a tree that `x` leads to, likewise.
    #[inline]
    pub(super) fn load_child(&self, first: usize, x: K) -> usize {
        self.load(first + 1 + self.below(first, x))
    }

    /// How many boundaries of one line lie below `x`.
    #[inline]
    fn below(&self, line: usize, x: K) -> usize {
        self.lines.get(line).map_or(0, |line| K::below(&line.0, x))
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
