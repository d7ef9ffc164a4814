//! What a value may be, and how its text is read.

mod choice;
mod factor;
mod number;

use std::fmt::Debug;

pub(crate) use choice::{Choice, Digest, ElectionAlg, Flag, MetricsProvider, PeerType, Word};
pub use factor::SnapshotSizeFactor;
pub(crate) use factor::{Factor, Share};
pub(crate) use number::{Int, Interval, OptionalInt, Port};

use super::error::Problem;

/// How strictly text is read (config §1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// A key of ZooKeeper's parser: numbers are decimal, flags are `true` or `false`.
    Parser,
    /// A Java system property: numbers may be hexadecimal or octal, a flag is false unless it says true.
    Property,
}

/// A kind of value: how to read it, and what holds when it is not given.
pub(crate) trait Kind: Sync {
    /// What the text means.
    type Value: PartialEq + Debug;

    /// Reads the text given for `key`.
    fn parse(&self, key: &str, text: &str, style: Style) -> Result<Self::Value, Problem>;

    /// The value of a key that is not set.
    fn unset(&self) -> Self::Value;

    /// What [`Kind::unset`] is, for a reader; `None` if there is no value at all.
    fn default_text(&self) -> Option<String>;

    /// What is accepted, as the end of a sentence with "must be".
    fn allowed(&self) -> String;
}

/// Any text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text {
    default: Option<&'static str>,
}

impl Text {
    /// A text without a default.
    pub(crate) const fn optional() -> Text {
        Text { default: None }
    }

    /// A text with a default.
    pub(crate) const fn or(default: &'static str) -> Text {
        Text { default: Some(default) }
    }
}

impl Kind for Text {
    type Value = Option<String>;

    fn parse(&self, _key: &str, text: &str, _style: Style) -> Result<Option<String>, Problem> {
        Ok(Some(text.to_owned()))
    }

    fn unset(&self) -> Option<String> {
        self.default.map(str::to_owned)
    }

    fn default_text(&self) -> Option<String> {
        self.unset()
    }

    fn allowed(&self) -> String {
        "a text".to_owned()
    }
}

/// CPU numbers as `0,2-5`, each at most once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CpuList;

impl Kind for CpuList {
    type Value = Vec<usize>;

    fn parse(&self, _key: &str, text: &str, _style: Style) -> Result<Vec<usize>, Problem> {
        let wrong = |why: String| Problem::CpuList { text: text.to_owned(), why };
        let mut cpus = Vec::new();
        for item in text.split(',') {
            let (first, last) = item.split_once('-').unwrap_or((item, item));
            let number = |text: &str| match text.trim().parse::<usize>() {
                Ok(cpu) if cpu < CPUS_MAX => Ok(cpu),
                Ok(_) => Err(wrong(format!("CPU numbers are below {CPUS_MAX}"))),
                Err(_) => Err(wrong(format!("\"{}\" is no number of a CPU", text.trim()))),
            };
            let (first, last) = (number(first)?, number(last)?);
            if first > last {
                return Err(wrong(format!("{first}-{last} goes backwards")));
            }
            for cpu in first..=last {
                if cpus.contains(&cpu) {
                    return Err(wrong(format!("CPU {cpu} is named twice")));
                }
                cpus.push(cpu);
            }
        }
        Ok(cpus)
    }

    fn unset(&self) -> Vec<usize> {
        Vec::new()
    }

    fn default_text(&self) -> Option<String> {
        None
    }

    fn allowed(&self) -> String {
        "a list of CPUs such as 0,2-5".to_owned()
    }
}

/// More than any machine that Linux runs on has.
const CPUS_MAX: usize = 8192;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_lists_are_numbers_and_ranges() {
        let parse = |text| CpuList.parse("ringkeeper.cpus", text, Style::Parser).map_err(|e| e.to_string());
        assert_eq!(parse("0"), Ok(vec![0]));
        assert_eq!(parse("4,0-2, 7"), Ok(vec![4, 0, 1, 2, 7]));
        for (text, why) in [
            ("", "\"\" is no number"),
            ("0,", "\"\" is no number"),
            ("a", "\"a\" is no number"),
            ("3-1", "3-1 goes backwards"),
            ("0-2,1", "CPU 1 is named twice"),
            ("0-99999999999", "CPU numbers are below"),
            ("-1", "\"\" is no number"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(why), "{text:?}: {error}");
        }
    }
}
