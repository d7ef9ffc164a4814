//! The znodes of a load by number: where each one is, in a path whose length is the same for all of them.

/// Numbered znodes below one parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Paths {
    template: String,
    /// Where the number of a znode's group stands; `None` where all are children of the one parent.
    group_at: Option<usize>,
}

impl Paths {
    /// All of them children of `parent`, a path without a trailing slash.
    pub(crate) fn flat(parent: &str) -> Paths {
        Paths { template: format!("{parent}/{}", "0".repeat(NAME_LEN)), group_at: None }
    }

    /// In groups of [`GROUP_SIZE`], each of them a child of `parent`.
    pub(crate) fn grouped(parent: &str) -> Paths {
        let template = format!("{parent}/{}/{}", "0".repeat(GROUP_LEN), "0".repeat(NAME_LEN));
        Paths { template, group_at: Some(parent.len() + 1) }
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
        path.truncate(path.len() - NAME_LEN - 1);
        path
    }

    /// Makes `path`, the path of any child, that of number `child`.
    pub(crate) fn put(&self, child: u32, path: &mut [u8]) {
        let name_at = path.len() - NAME_LEN;
        put_hex(child, &mut path[name_at..]);
        if let Some(at) = self.group_at {
            put_hex(child / GROUP_SIZE, &mut path[at..at + GROUP_LEN]);
        }
    }

    /// How long each path is.
    pub(crate) fn path_len(&self) -> usize {
        self.template.len()
    }
}

/// Znodes in a group.
pub(crate) const GROUP_SIZE: u32 = 1024;

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
}
