use std::fmt::{Debug, Display};

use super::{Kind, Style};
use crate::config::error::Problem;

/// A number that Java holds as `int` or `long`.
pub(crate) trait Number:
    Copy + Ord + Display + Debug + Sync + Into<i64> + TryFrom<i64> + 'static
{
    /// The smallest.
    const MIN: Self;
    /// The largest.
    const MAX: Self;
}

impl Number for i32 {
    const MIN: i32 = i32::MIN;
    const MAX: i32 = i32::MAX;
}

impl Number for i64 {
    const MIN: i64 = i64::MIN;
    const MAX: i64 = i64::MAX;
}

/// A whole number within bounds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Int<N> {
    default: N,
    min: N,
    max: N,
    below_min: BelowMin,
}

/// What becomes of a number that is too small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BelowMin {
    Refused,
    Raised,
}

impl<N: Number> Int<N> {
    /// Any number that the type holds.
    pub(crate) const fn any(default: N) -> Int<N> {
        Int { default, min: N::MIN, max: N::MAX, below_min: BelowMin::Refused }
    }

    /// Refuses less than `min`.
    pub(crate) const fn at_least(self, min: N) -> Int<N> {
        Int { min, ..self }
    }

    /// Refuses more than `max`.
    pub(crate) const fn at_most(self, max: N) -> Int<N> {
        Int { max, ..self }
    }

    /// Takes less than `min` as `min`.
    pub(crate) const fn raised_to(self, min: N) -> Int<N> {
        Int { min, below_min: BelowMin::Raised, ..self }
    }
}

impl<N: Number> Kind for Int<N> {
    type Value = N;

    fn parse(&self, _key: &str, text: &str, style: Style) -> Result<N, Problem> {
        let wide = number(text, style).and_then(|wide| N::try_from(wide).ok());
        let value = wide.ok_or_else(|| Problem::NotANumber { text: text.to_owned() })?;
        if value < self.min && self.below_min == BelowMin::Raised {
            return Ok(self.min);
        }
        if value < self.min || value > self.max {
            return Err(Problem::OutOfBounds { value: value.into(), allowed: self.allowed() });
        }
        Ok(value)
    }

    fn unset(&self) -> N {
        self.default
    }

    fn default_text(&self) -> Option<String> {
        Some(self.default.to_string())
    }

    fn allowed(&self) -> String {
        match (self.min > N::MIN && self.below_min == BelowMin::Refused, self.max < N::MAX) {
            (false, false) => "a number".to_owned(),
            (true, false) => format!("at least {}", self.min),
            (false, true) => format!("at most {}", self.max),
            (true, true) => format!("from {} to {}", self.min, self.max),
        }
    }
}

/// A TCP port, or none; 0 lets the kernel choose one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Port;

impl Kind for Port {
    type Value = Option<u16>;

    fn parse(&self, key: &str, text: &str, style: Style) -> Result<Option<u16>, Problem> {
        let value = Int::<i32>::any(0).parse(key, text, style)?;
        u16::try_from(value).map(Some).map_err(|_| Problem::PortOutOfRange { value })
    }

    fn unset(&self) -> Option<u16> {
        None
    }

    fn default_text(&self) -> Option<String> {
        None
    }

    fn allowed(&self) -> String {
        format!("from 0 to {}", u16::MAX)
    }
}

/// A number that may be absent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OptionalInt<N> {
    given: Int<N>,
}

impl<N: Number> OptionalInt<N> {
    /// Refuses less than `min` and more than `max`.
    pub(crate) const fn within(min: N, max: N) -> OptionalInt<N> {
        OptionalInt { given: Int::any(min).at_least(min).at_most(max) }
    }

    /// Takes less than `min` as `min`.
    pub(crate) const fn raised_to(min: N) -> OptionalInt<N> {
        OptionalInt { given: Int::any(min).raised_to(min) }
    }
}

impl<N: Number> Kind for OptionalInt<N> {
    type Value = Option<N>;

    fn parse(&self, key: &str, text: &str, style: Style) -> Result<Option<N>, Problem> {
        self.given.parse(key, text, style).map(Some)
    }

    fn unset(&self) -> Option<N> {
        None
    }

    fn default_text(&self) -> Option<String> {
        None
    }

    fn allowed(&self) -> String {
        self.given.allowed()
    }
}

/// A span of time in hours, or with one of the suffixes ms, s, m, h, d; in milliseconds when read. May be
/// absent. Not above zero means "never".
#[derive(Clone, Copy, Debug)]
pub(crate) struct Interval;

impl Kind for Interval {
    type Value = Option<i64>;

    fn parse(&self, _key: &str, text: &str, style: Style) -> Result<Option<i64>, Problem> {
        let number_len = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
        let (digits, suffix) = text.split_at(number_len);
        let unit_ms = match suffix {
            "ms" | "MS" => 1,
            "s" | "S" => 1_000,
            "m" | "M" => 60_000,
            "" | "h" | "H" => 3_600_000,
            "d" | "D" => 86_400_000,
            _ => return Err(Problem::IntervalSuffix { text: text.to_owned() }),
        };
        let count = number(digits, style).filter(|count| i32::try_from(*count).is_ok());
        let count = count.ok_or_else(|| Problem::NotANumber { text: digits.to_owned() })?;
        Ok(Some(count.saturating_mul(unit_ms)))
    }

    fn unset(&self) -> Option<i64> {
        None
    }

    fn default_text(&self) -> Option<String> {
        None
    }

    fn allowed(&self) -> String {
        "a number of hours, or a number with one of the suffixes ms, s, m, h, d".to_owned()
    }
}

/// A number as Java reads it: decimal with an optional sign; in a property also `0x…`, `0X…` and `#…`
/// hexadecimal and `0…` octal.
fn number(text: &str, style: Style) -> Option<i64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (radix, digits) = match style {
        Style::Parser => (10, digits),
        Style::Property => radix(digits),
    };
    if !digits.starts_with(|c: char| c.is_digit(radix)) {
        return None; // A second sign is no digit, though from_str_radix takes one.
    }
    let magnitude = i128::from_str_radix(digits, radix).ok()?;
    i64::try_from(if negative { -magnitude } else { magnitude }).ok()
}

fn radix(digits: &str) -> (u32, &str) {
    if let Some(hex) = digits.strip_prefix("0x").or(digits.strip_prefix("0X")).or(digits.strip_prefix('#')) {
        return (16, hex);
    }
    match digits.strip_prefix('0') {
        Some(octal) if !octal.is_empty() => (8, octal),
        _ => (10, digits),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_java_reads_them() {
        // text, as Integer.parseInt, as Integer.getInteger
        let table: &[(&str, Option<i64>, Option<i64>)] = &[
            ("2000", Some(2000), Some(2000)),
            ("+7", Some(7), Some(7)),
            ("-7", Some(-7), Some(-7)),
            ("-0", Some(0), Some(0)),
            ("010", Some(10), Some(8)),
            ("08", Some(8), None),
            ("0x1F", None, Some(31)),
            ("-0X10", None, Some(-16)),
            ("#1f", None, Some(31)),
            ("0x", None, None),
            ("0x-1", None, None),
            ("+-1", None, None),
            ("", None, None),
            ("+", None, None),
            (" 1", None, None),
            ("1_000", None, None),
            ("2000 # x", None, None),
            ("2147483648", None, None),
            ("-2147483648", Some(-2147483648), Some(-2147483648)),
        ];
        let int = Int::<i32>::any(0);
        for (text, parser, property) in table {
            let parse = |style| int.parse("k", text, style).ok().map(i64::from);
            assert_eq!((parse(Style::Parser), parse(Style::Property)), (*parser, *property), "{text:?}");
        }
        assert_eq!(Int::<i64>::any(0).parse("k", "0xffffffff", Style::Property), Ok(0xffff_ffff));
    }

    #[test]
    fn bounds_refuse_or_raise() {
        let refusing = Int::<i32>::any(5).at_least(1).at_most(9);
        assert_eq!(refusing.parse("k", "9", Style::Parser), Ok(9));
        assert_eq!(
            refusing.parse("k", "10", Style::Parser).unwrap_err().to_string(),
            "10 is not allowed, it must be from 1 to 9"
        );
        let raising = Int::<i32>::any(100_000).raised_to(2);
        assert_eq!(raising.parse("k", "-4", Style::Parser), Ok(2));
    }

    #[test]
    fn intervals_have_a_unit_and_hours_without_one() {
        let parse = |text| Interval.parse("k", text, Style::Parser);
        for (text, ms) in [
            ("24", 86_400_000),
            ("0", 0),
            ("-1", -3_600_000),
            ("5ms", 5),
            ("5MS", 5),
            ("5S", 5_000),
            ("5m", 300_000),
            ("5H", 18_000_000),
            ("5d", 432_000_000),
        ] {
            assert_eq!(parse(text), Ok(Some(ms)), "{text}");
        }
        for text in ["5Ms", "5w", "5 hours"] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.to_string(), format!("Illegal time interval suffix: {text}"));
        }
        assert_eq!(parse("h").unwrap_err().to_string(), "For input string: \"\"");
    }
}
