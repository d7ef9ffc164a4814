use std::fmt::Debug;

use super::{Int, Kind, Style};
use crate::acl::DigestAlgorithm;
use crate::config::error::Problem;

/// `true` or `false`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flag {
    default: bool,
}

impl Flag {
    /// A flag that is `default` unless set.
    pub(crate) const fn or(default: bool) -> Flag {
        Flag { default }
    }
}

impl Kind for Flag {
    type Value = bool;

    fn parse(&self, key: &str, text: &str, style: Style) -> Result<bool, Problem> {
        match (text.eq_ignore_ascii_case("true"), style) {
            (true, _) => Ok(true),
            (false, Style::Property) => Ok(false),
            (false, Style::Parser) if text.eq_ignore_ascii_case("false") => Ok(false),
            (false, Style::Parser) => Err(Problem::NotABool { key: key.to_owned(), text: text.to_owned() }),
        }
    }

    fn unset(&self) -> bool {
        self.default
    }

    fn default_text(&self) -> Option<String> {
        Some(self.default.to_string())
    }

    fn allowed(&self) -> String {
        "true or false".to_owned()
    }
}

/// A flag that one exact word turns away from its default, as in `skipACL=yes` and `forceSync=no`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Word {
    word: &'static str,
    means: bool,
}

impl Word {
    /// Off, unless `word` turns it on.
    pub(crate) const fn turns_on(word: &'static str) -> Word {
        Word { word, means: true }
    }

    /// On, unless `word` turns it off.
    pub(crate) const fn turns_off(word: &'static str) -> Word {
        Word { word, means: false }
    }
}

impl Kind for Word {
    type Value = bool;

    fn parse(&self, _key: &str, text: &str, _style: Style) -> Result<bool, Problem> {
        Ok((text == self.word) == self.means)
    }

    fn unset(&self) -> bool {
        !self.means
    }

    fn default_text(&self) -> Option<String> {
        Some(if self.means { "no" } else { "yes" }.to_owned())
    }

    fn allowed(&self) -> String {
        format!("{} to turn it {}", self.word, if self.means { "on" } else { "off" })
    }
}

/// One of several names; case does not matter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choice<V: 'static> {
    default: V,
    names: &'static [(&'static str, V)],
}

impl<V: Copy + PartialEq> Choice<V> {
    /// One of `names`; the first name of a value is the one that is shown.
    pub(crate) const fn of(default: V, names: &'static [(&'static str, V)]) -> Choice<V> {
        Choice { default, names }
    }
}

impl<V: Copy + PartialEq + Debug + Sync> Kind for Choice<V> {
    type Value = V;

    fn parse(&self, _key: &str, text: &str, _style: Style) -> Result<V, Problem> {
        let found = self.names.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
        found
            .map(|(_, value)| *value)
            .ok_or_else(|| Problem::NotAChoice { text: text.to_owned(), allowed: self.allowed() })
    }

    fn unset(&self) -> V {
        self.default
    }

    fn default_text(&self) -> Option<String> {
        let found = self.names.iter().find(|(_, value)| *value == self.default);
        found.map(|(name, _)| (*name).to_owned())
    }

    fn allowed(&self) -> String {
        let mut shown: Vec<(&str, V)> = Vec::new();
        for (name, value) in self.names {
            if !shown.iter().any(|(_, seen)| seen == value) {
                shown.push((name, *value));
            }
        }
        let names: Vec<_> = shown.into_iter().map(|(name, _)| name).collect();
        format!("one of {}", names.join(", "))
    }
}

/// Whether this server votes: `true` for an observer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PeerType;

impl Kind for PeerType {
    type Value = bool;

    fn parse(&self, _key: &str, text: &str, _style: Style) -> Result<bool, Problem> {
        match text.to_ascii_lowercase().as_str() {
            "observer" => Ok(true),
            "participant" => Ok(false),
            _ => Err(Problem::PeerType { text: text.to_owned() }),
        }
    }

    fn unset(&self) -> bool {
        false
    }

    fn default_text(&self) -> Option<String> {
        Some("participant".to_owned())
    }

    fn allowed(&self) -> String {
        "participant or observer".to_owned()
    }
}

/// The way to elect a leader, of which one is left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ElectionAlg;

impl Kind for ElectionAlg {
    type Value = i32;

    fn parse(&self, key: &str, text: &str, style: Style) -> Result<i32, Problem> {
        match Int::<i32>::any(3).parse(key, text, style)? {
            3 => Ok(3),
            _ => Err(Problem::ElectionAlg),
        }
    }

    fn unset(&self) -> i32 {
        3
    }

    fn default_text(&self) -> Option<String> {
        Some("3".to_owned())
    }

    fn allowed(&self) -> String {
        "3".to_owned()
    }
}

/// A hash of the scheme `digest`, by the name that Java gives it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Digest;

impl Kind for Digest {
    type Value = DigestAlgorithm;

    fn parse(&self, _key: &str, text: &str, _style: Style) -> Result<DigestAlgorithm, Problem> {
        DigestAlgorithm::from_name(text).ok_or_else(|| Problem::DigestAlgorithm { text: text.to_owned() })
    }

    fn unset(&self) -> DigestAlgorithm {
        DigestAlgorithm::Sha1
    }

    fn default_text(&self) -> Option<String> {
        Some("SHA1".to_owned())
    }

    fn allowed(&self) -> String {
        "SHA1, SHA-224 to SHA-512 or SHA3-224 to SHA3-512".to_owned()
    }
}

/// The class that publishes metrics; of Java's, three are in use. `true` for the Prometheus one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MetricsProvider;

impl Kind for MetricsProvider {
    type Value = bool;

    fn parse(&self, _key: &str, text: &str, _style: Style) -> Result<bool, Problem> {
        match text.strip_prefix("org.apache.zookeeper.metrics.") {
            Some("prometheus.PrometheusMetricsProvider") => Ok(true),
            Some("impl.DefaultMetricsProvider" | "impl.NullMetricsProvider") => Ok(false),
            _ => Err(Problem::MetricsProvider { text: text.to_owned() }),
        }
    }

    fn unset(&self) -> bool {
        false
    }

    fn default_text(&self) -> Option<String> {
        Some("org.apache.zookeeper.metrics.impl.DefaultMetricsProvider".to_owned())
    }

    fn allowed(&self) -> String {
        "the class name of a metrics provider of ZooKeeper".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_of_the_parser_is_strict_and_one_of_a_property_is_not() {
        let flag = Flag::or(true);
        for (text, parser, property) in [
            ("true", Some(true), true),
            ("TRUE", Some(true), true),
            ("False", Some(false), false),
            ("yes", None, false),
            ("", None, false),
            ("true ", None, false),
        ] {
            assert_eq!(flag.parse("k", text, Style::Parser).ok(), parser, "{text:?}");
            assert_eq!(flag.parse("k", text, Style::Property), Ok(property), "{text:?}");
        }
        let error = flag.parse("standaloneEnabled", "yes", Style::Parser).unwrap_err();
        assert_eq!(error.to_string(), "Invalid option yes for standaloneEnabled. Choose 'true' or 'false.'");
    }

    #[test]
    fn only_the_exact_word_turns_a_word_flag() {
        let (skip, sync) = (Word::turns_on("yes"), Word::turns_off("no"));
        for (text, skips, syncs) in
            [("yes", true, true), ("no", false, false), ("YES", false, true), ("true", false, true)]
        {
            assert_eq!(skip.parse("skipACL", text, Style::Property), Ok(skips), "{text}");
            assert_eq!(sync.parse("forceSync", text, Style::Property), Ok(syncs), "{text}");
        }
        assert_eq!((skip.unset(), sync.unset()), (false, true));
    }

    #[test]
    fn a_choice_that_does_not_exist_is_answered_with_those_that_do() {
        let choice = Choice::of(1, &[("one", 1), ("uno", 1), ("two", 2)]);
        assert_eq!(choice.parse("k", "UNO", Style::Parser), Ok(1));
        assert_eq!(
            choice.parse("k", "three", Style::Parser).unwrap_err().to_string(),
            "\"three\" is not allowed, it must be one of one, two"
        );
    }
}
