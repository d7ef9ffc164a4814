//! Numbers as Java's parsers read them.

/// As `Integer.parseInt`: decimal with an optional sign.
pub(super) fn parse_int(text: &str) -> Option<i32> {
    text.parse().ok()
}

/// As `Long.decode`: decimal, `0x`, `0X` or `#` hexadecimal, `0` octal, with an optional sign.
pub(super) fn decode_long(text: &str) -> Option<i64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (digits, radix) = match digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
        Some(hex) => (hex, 16),
        None => match digits.strip_prefix('#') {
            Some(hex) => (hex, 16),
            None if digits.len() > 1 && digits.starts_with('0') => (&digits[1..], 8),
            None => (digits, 10),
        },
    };
    if !digits.starts_with(|digit: char| digit.is_digit(radix)) {
        return None;
    }
    let magnitude = i128::from_str_radix(digits, radix).ok()?;
    i64::try_from(if negative { -magnitude } else { magnitude }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_decode_as_in_java() {
        let cases = [
            ("10", Some(10)),
            ("-1", Some(-1)),
            ("+7", Some(7)),
            ("0x10", Some(16)),
            ("#ff", Some(255)),
            ("010", Some(8)),
            ("0", Some(0)),
            ("", None),
            ("-", None),
            ("--1", None),
            ("1k", None),
            ("08", None),
            ("9223372036854775808", None),
        ];
        for (text, expected) in cases {
            assert_eq!(decode_long(text), expected, "{text:?}");
        }
    }
}
