use crate::id::Zxid;

/// Reads the zxid in a file's name as Java does: hexadecimal, of either case, padded or not.
pub(super) fn parse_zxid(hex: &str) -> Option<Zxid> {
    i64::from_str_radix(hex, 16).ok().filter(|zxid| *zxid >= 0 && !hex.starts_with(['+', '-'])).map(Zxid)
}
