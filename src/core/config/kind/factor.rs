use super::{Kind, Style};
use crate::config::error::Problem;

/// `snapshotSizeFactor`: how much of its log a leader reads for a learner before it rather sends the whole tree, as
/// part of the newest snapshot's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotSizeFactor {
    /// Nothing is read.
    Nothing,
    /// All is, whatever it takes.
    All,
    /// So many millionths.
    Millionths(u32),
}

impl SnapshotSizeFactor {
    /// As much as is read where the newest snapshot has this many bytes; `None` is nothing.
    pub fn of(self, snapshot_len: u64) -> Option<u64> {
        match self {
            SnapshotSizeFactor::Nothing => None,
            SnapshotSizeFactor::All => Some(u64::MAX),
            SnapshotSizeFactor::Millionths(part) => {
                Some((u128::from(snapshot_len) * u128::from(part) / u128::from(MILLION)) as u64)
            }
        }
    }
}

/// A decimal number up to 1; larger ones count as the default, as in Java.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Factor;

impl Kind for Factor {
    type Value = SnapshotSizeFactor;

    fn parse(&self, _key: &str, text: &str, _style: Style) -> Result<SnapshotSizeFactor, Problem> {
        match text.trim().parse::<f64>() {
            Ok(factor) if factor < 0.0 => Ok(SnapshotSizeFactor::Nothing),
            Ok(0.0) => Ok(SnapshotSizeFactor::All),
            Ok(factor) if factor <= 1.0 => {
                Ok(SnapshotSizeFactor::Millionths((factor * f64::from(MILLION)).round() as u32))
            }
            Ok(factor) if factor > 1.0 => Ok(self.unset()),
            _ => Err(Problem::NotANumber { text: text.to_owned() }),
        }
    }

    fn unset(&self) -> SnapshotSizeFactor {
        SnapshotSizeFactor::Millionths(330_000)
    }

    fn default_text(&self) -> Option<String> {
        Some("0.33".to_owned())
    }

    fn allowed(&self) -> String {
        "a number such as 0.33".to_owned()
    }
}

/// A decimal number from 0 to 1, in millionths. What is beyond either counts as that.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    default: &'static str,
}

impl Share {
    /// A share with a default, which is one.
    pub(crate) const fn or(default: &'static str) -> Share {
        Share { default }
    }
}

impl Kind for Share {
    type Value = u32;

    fn parse(&self, _key: &str, text: &str, _style: Style) -> Result<u32, Problem> {
        let not_a_number = || Problem::NotANumber { text: text.to_owned() };
        let share: f64 = text.trim().parse().map_err(|_| not_a_number())?;
        match share.is_nan() {
            true => Err(not_a_number()),
            false => Ok((share.clamp(0.0, 1.0) * f64::from(MILLION)).round() as u32),
        }
    }

    fn unset(&self) -> u32 {
        self.parse("", self.default, Style::Property).unwrap_or(0)
    }

    fn default_text(&self) -> Option<String> {
        Some(self.default.to_owned())
    }

    fn allowed(&self) -> String {
        "a number such as 0.02".to_owned()
    }
}

const MILLION: u32 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_decimal_number() {
        let parse = |text: &str| Share::or("0.02").parse("", text, Style::Property).ok();
        assert_eq!(["0", "0.002", "1", "7", "-1"].map(parse), [0, 2000, MILLION, MILLION, 0].map(Some));
        assert_eq!(["", "some", "NaN"].map(parse), [None; 3]);
        assert_eq!(Share::or("0.02").unset(), 20_000);
    }

    #[test]
    fn a_factor_is_a_part_all_or_nothing() {
        let of = |text: &str, len| Factor.parse("", text, Style::Property).map(|factor| factor.of(len)).ok();
        assert_eq!(of("0.33", 1000), Some(Some(330)));
        assert_eq!(of("1", 1 << 40), Some(Some(1 << 40)));
        assert_eq!(of("2.5", 1000), Some(Some(330)), "Java takes its default for it");
        assert_eq!(of("0", 1), Some(Some(u64::MAX)));
        assert_eq!(of("-1", 1000), Some(None));
        assert_eq!(of("some", 1), None);
        assert_eq!(of("NaN", 1), None);
    }
}
