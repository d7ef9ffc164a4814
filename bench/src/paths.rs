//! The znodes of a load by number: where each one is, in a path whose length is the same for all of them.

/// Numbered znodes below one parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Paths {
    template: String,
    /// The groups that a znode is in, the widest first; none where all are children of the one parent.
    groups: Vec<Group>,
}

/// A part of the path that several znodes share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Group {
    /// Where its number stands.
    at: usize,
    digits: usize,
    /// Numbers of znodes that differ only in so many bits are in the same one.
    bits: u32,
}

impl Paths {
    /// All of them children of `parent`, a path without a trailing slash.
    pub(crate) fn flat(parent: &str) -> Paths {
        Paths::deep(parent, 1, 0)
    }

    /// In groups of [`GROUP_SIZE`], each of them a child of `parent`.
    pub(crate) fn grouped(parent: &str) -> Paths {
        let template = format!("{parent}/{}/{}", "0".repeat(GROUP_LEN), "0".repeat(NAME_LEN));
        let group = Group { at: parent.len() + 1, digits: GROUP_LEN, bits: GROUP_BITS };
        Paths { template, groups: vec![group] }
    }

    /// So many levels below `parent`, at least 1, with no more than [`GROUP_SIZE`] znodes below each group.
    /// Names are filled with zeros so that paths have `path_len` bytes, if they are shorter.
    pub(crate) fn deep(parent: &str, depth: u32, path_len: usize) -> Paths {
        let mut template = parent.to_owned();
        let mut groups = Vec::new();
        for level in (1..depth).rev() {
            template.push('/');
            groups.push(Group { at: template.len(), digits: NAME_LEN, bits: level * GROUP_BITS });
            template.push_str(&"0".repeat(NAME_LEN));
        }
        template.push('/');
        let name_len = NAME_LEN.max(path_len.saturating_sub(template.len()));
        template.push_str(&"0".repeat(name_len));
        Paths { template, groups }
    }

    /// The path of number `child`.
    pub(crate) fn path(&self, child: u32) -> String {
        let mut path = self.template.clone().into_bytes();
        self.put(child, &mut path);
        String::from_utf8(path).expect("digits replace digits")
    }

    /// The path of the group that holds number `child`: its parent.
    pub(crate) fn group(&self, child: u32) -> String {
        let mut path = self.path(child);
        path.truncate(path.rfind('/').unwrap_or(0));
        path
    }

    /// The groups of the first `znodes` znodes, parents before their children.
    pub(crate) fn groups(&self, znodes: u32) -> Vec<String> {
        let mut paths = Vec::new();
        for group in &self.groups {
            let last = znodes.saturating_sub(1).checked_shr(group.bits).unwrap_or(0);
            for number in 0..=last {
                let mut path = self.path(number.checked_shl(group.bits).unwrap_or(0));
                path.truncate(group.at + group.digits);
                paths.push(path);
            }
        }
        paths
    }

    /// Makes `path`, the path of any child, that of number `child`.
    pub(crate) fn put(&self, child: u32, path: &mut [u8]) {
        let name_at = path.len() - NAME_LEN;
        put_hex(child, &mut path[name_at..]);
        for Group { at, digits, bits } in &self.groups {
            put_hex(child.checked_shr(*bits).unwrap_or(0), &mut path[*at..at + digits]);
        }
    }

    /// How long each path is.
    pub(crate) fn path_len(&self) -> usize {
        self.template.len()
    }
}

/// Znodes in a group.
pub(crate) const GROUP_SIZE: u32 = 1 << GROUP_BITS;
const GROUP_BITS: u32 = 10;

fn put_hex(number: u32, digits: &mut [u8]) {
    for (place, digit) in digits.iter_mut().rev().enumerate() {
        *digit = HEX_DIGITS[(number >> (4 * place)) as usize & 0xf];
    }
}

/// Names are a child's number in hexadecimal, so that every request of a load has the same length.
const NAME_LEN: usize = 8;
/// Enough for the group of any 30-bit number.
const GROUP_LEN: usize = 5;
const HEX_DIGITS: &[u8; 16] = b"0123456789abcdef";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_a_name_of_fixed_length_below_its_group() {
        assert_eq!(Paths::flat("/p").path(0xfe_dcba), "/p/00fedcba");
        let grouped = Paths::grouped("/p");
        assert_eq!(grouped.path(0), "/p/00000/00000000");
        assert_eq!(grouped.path(5 * GROUP_SIZE - 1), "/p/00004/000013ff");
        assert_eq!(grouped.group(5 * GROUP_SIZE), "/p/00005");
        assert_eq!(grouped.path(77).len(), grouped.path_len());
    }

    #[test]
    fn deep_paths_have_a_group_on_each_level_and_a_length_of_ones_choice() {
        let deep = Paths::deep("/p", 3, 0);
        assert_eq!(deep.path(0x0030_0401), "/p/00000003/00000c01/00300401");
        let groups = ["/p/00000000", "/p/00000000/00000000", "/p/00000000/00000001"];
        assert_eq!(deep.groups(1025), groups);
        assert_eq!(deep.groups(1024), groups[..2]);
        assert_eq!(Paths::deep("/p", 6, 0).groups(1).len(), 5);
        let long = Paths::deep("/p", 1, 256).path(7);
        assert!(long.len() == 256 && long.ends_with("00000007") && !long[1..2].contains('0'));
        assert_eq!(Paths::flat("/p").groups(10), [""; 0]);
    }
}
