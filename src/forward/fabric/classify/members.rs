//! Who is in which group: what rules that name a group look up.
//!
//! Holds the members of the groups that rules name, apart from the rules: an instance that joins a
//! group changes one entry here and no classifier. Refuses to know why an address is a member.

use rustc_hash::FxHashSet;

/// The row of a group that rules name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct GroupRow(pub(super) u32);

/// IPv4 members that a line has room for.
const IN_LINE: usize = 15;
/// What `held` is once there were more; they stay in the set then.
const IN_SET: u32 = u32::MAX;

/// The IPv4 members of a group, if they are few: most groups cost one line of the cache.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Line {
    /// Those behind the last member repeat the first, so that all can be compared at once.
    members: [u32; IN_LINE],
    held: u32,
}

const _: () = assert!(size_of::<Line>() == 64);

/// The members of all groups that rules name.
#[derive(Clone, Debug, Default)]
pub(super) struct Members {
    lines: Vec<Line>,
    /// Members of large groups: the group in the upper half, the address in the lower.
    many: FxHashSet<u64>,
    v6: FxHashSet<(u32, u128)>,
}

const fn entry(group: GroupRow, address: u32) -> u64 {
    (group.0 as u64) << 32 | address as u64
}

impl Members {
    /// A row for a further group, with no member.
    pub(super) fn add_group(&mut self) -> GroupRow {
        self.lines.push(Line { members: [0; IN_LINE], held: 0 });
        // A group for each line of 64 bytes: memory ends first.
        GroupRow(u32::try_from(self.lines.len() - 1).unwrap_or(u32::MAX))
    }

    pub(super) fn bytes(&self) -> usize {
        self.lines.capacity() * size_of::<Line>()
            + self.many.capacity() * (size_of::<u64>() + 1)
            + self.v6.capacity() * (size_of::<(u32, u128)>() + 1)
    }

    pub(super) fn join_v4(&mut self, group: GroupRow, address: u32) {
        if self.holds_v4(group, address) {
            return;
        }
        let Some(line) = self.lines.get_mut(group.0 as usize) else { return };
        if line.held == IN_SET {
            self.many.insert(entry(group, address));
            return;
        }
        match line.held as usize {
            0 => line.members = [address; IN_LINE],
            held if held < IN_LINE => line.members[held] = address,
            _ => {
                let all = line.members.into_iter().chain([address]);
                self.many.extend(all.map(|member| entry(group, member)));
                line.held = IN_SET;
                return;
            }
        }
        line.held += 1;
    }

    pub(super) fn leave_v4(&mut self, group: GroupRow, address: u32) {
        let Some(line) = self.lines.get_mut(group.0 as usize) else { return };
        if line.held == IN_SET {
            self.many.remove(&entry(group, address));
            return;
        }
        let held = line.held as usize;
        let Some(at) = line.members[..held].iter().position(|member| *member == address) else {
            return;
        };
        line.members[at] = line.members[held - 1];
        let first = line.members[0];
        line.members[held - 1..].fill(first);
        line.held -= 1;
    }

    pub(super) fn join_v6(&mut self, group: GroupRow, address: u128) {
        self.v6.insert((group.0, address));
    }

    pub(super) fn leave_v6(&mut self, group: GroupRow, address: u128) {
        self.v6.remove(&(group.0, address));
    }

    /// Loads the line of a group; the number is of no meaning.
    #[inline]
    pub(super) fn load(&self, group: GroupRow) -> usize {
        self.lines.get(group.0 as usize).map_or(0, |line| line.held as usize)
    }

    #[inline]
    pub(super) fn holds_v4(&self, group: GroupRow, address: u32) -> bool {
        let Some(line) = self.lines.get(group.0 as usize) else { return false };
        if line.held == IN_SET {
            return self.many.contains(&entry(group, address));
        }
        let found = line.members.iter().fold(false, |found, member| found | (*member == address));
        found & (line.held > 0)
    }

    #[inline]
    pub(super) fn holds_v6(&self, group: GroupRow, address: u128) -> bool {
        self.v6.contains(&(group.0, address))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Two groups whose members come and go, small ones and large ones, 0.0.0.0 included.
        #[test]
        fn agrees_with_sets(
            steps in prop::collection::vec((any::<bool>(), 0..2_usize, 0..24_u32), 0..200),
        ) {
            let mut members = Members::default();
            let groups = [members.add_group(), members.add_group()];
            let mut model = [BTreeSet::new(), BTreeSet::new()];
            for (joins, at, address) in steps {
                let group = groups[at];
                if joins {
                    members.join_v4(group, address);
                    members.join_v6(group, address.into());
                    model[at].insert(address);
                } else {
                    members.leave_v4(group, address);
                    members.leave_v6(group, address.into());
                    model[at].remove(&address);
                }
                for (group, model) in groups.into_iter().zip(&model) {
                    for address in 0..24 {
                        let want = model.contains(&address);
                        prop_assert_eq!(members.holds_v4(group, address), want);
                        prop_assert_eq!(members.holds_v6(group, address.into()), want);
                    }
                }
            }
        }
    }

    #[test]
    fn a_row_that_is_not_there_has_no_members() {
        let mut members = Members::default();
        members.join_v4(GroupRow(7), 1);
        assert!(!members.holds_v4(GroupRow(7), 1));
    }
}
