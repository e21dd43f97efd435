//! Kubernetes quantities: text to exact integers and back.
//!
//! Upstream: k8s.io/apimachinery `pkg/api/resource/quantity.go`; the CRD pattern of
//! karpenter v1.14.1 `pkg/apis/crds/karpenter.sh_nodepools.yaml`.

/// One unit in nano units.
pub const NANO: i128 = 1_000_000_000;

/// Parses a quantity into nano units, rounded away from zero to the next nano.
///
/// Suffixes: `n u m "" k M G T P E`, `Ki Mi Gi Ti Pi Ei`, exponents `e3`, `E3`. Returns `None` for anything else and
/// for values of `2^63` units and more (the API server caps them; no manifest means them).
pub fn parse_nano(text: &str) -> Option<i128> {
    let (negative, unsigned) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.contains('.') || (number.is_empty() && suffix.is_empty()) || number == "." {
        return None;
    }
    // A suffix without a number is 0, as upstream.
    let (numerator, denominator) = multiplier(suffix)?;
    let digits: String = [whole, fraction].concat();
    let digits = digits.trim_start_matches('0');
    if digits.len() > 30 || fraction.len() > 30 {
        return None;
    }
    let mantissa: i128 = if digits.is_empty() { 0 } else { digits.parse().ok()? };
    let scale = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let top = mantissa.checked_mul(numerator)?;
    let bottom = scale.checked_mul(denominator)?;
    let nano = top / bottom + i128::from(top % bottom != 0);
    Some(if negative { -nano } else { nano })
}

/// Nano units a suffix stands for, as a fraction.
fn multiplier(suffix: &str) -> Option<(i128, i128)> {
    Some(match suffix {
        "n" => (1, 1),
        "u" => (1_000, 1),
        "m" => (1_000_000, 1),
        "" => (NANO, 1),
        "k" => (NANO * 1_000, 1),
        "M" => (NANO * 1_000_000, 1),
        "G" => (NANO * 1_000_000_000, 1),
        "T" => (NANO * 10_i128.pow(12), 1),
        "P" => (NANO * 10_i128.pow(15), 1),
        "E" => (NANO * 10_i128.pow(18), 1),
        "Ki" => (NANO << 10, 1),
        "Mi" => (NANO << 20, 1),
        "Gi" => (NANO << 30, 1),
        "Ti" => (NANO << 40, 1),
        "Pi" => (NANO << 50, 1),
        "Ei" => (NANO << 60, 1),
        _ => {
            let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            let power = 10_i128.checked_pow(exponent.unsigned_abs())?;
            if exponent.abs() > 18 {
                return None;
            }
            if exponent < 0 { (NANO, power) } else { (NANO.checked_mul(power)?, 1) }
        }
    })
}

/// Whole milli units, rounded away from zero (CPU).
pub fn parse_milli(text: &str) -> Option<i64> {
    away_from_zero(parse_nano(text)?, 1_000_000)
}

/// Whole units, rounded away from zero (bytes, counts).
pub fn parse_units(text: &str) -> Option<i64> {
    away_from_zero(parse_nano(text)?, NANO)
}

fn away_from_zero(nano: i128, unit: i128) -> Option<i64> {
    i64::try_from(nano / unit + (nano % unit).signum()).ok()
}

/// Canonical text of a CPU amount: `150m`, `2`, `1930m`.
pub fn format_milli(milli: i64) -> String {
    if milli % 1_000 == 0 { (milli / 1_000).to_string() } else { format!("{milli}m") }
}

/// Canonical text of a byte amount: the largest binary suffix that divides it (`5Gi`, `6903Mi`), else plain digits.
pub fn format_bytes(bytes: i64) -> String {
    if bytes != 0 {
        for (shift, suffix) in
            [(60, "Ei"), (50, "Pi"), (40, "Ti"), (30, "Gi"), (20, "Mi"), (10, "Ki")]
        {
            if bytes % (1_i64 << shift) == 0 {
                return format!("{}{suffix}", bytes >> shift);
            }
        }
    }
    bytes.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_parse_exactly() {
        for (text, milli) in [
            ("500m", Some(500)),
            ("2", Some(2_000)),
            ("0.5", Some(500)),
            ("1e3", Some(1_000_000)),
            ("1E3", Some(1_000_000)),
            ("100n", Some(1)),
            ("1.5k", Some(1_500_000)),
            (".5", Some(500)),
            ("1.", Some(1_000)),
            ("-1", Some(-1_000)),
            ("", None),
            (".", None),
            ("1 ", None),
            ("1KiB", None),
            ("abc", None),
            ("1e99", None),
        ] {
            assert_eq!(parse_milli(text), milli, "{text:?}");
        }
        assert_eq!(parse_units("1Gi"), Some(1 << 30));
        assert_eq!(parse_units("6.5Gi"), Some(6_979_321_856));
        assert_eq!(parse_units("1000Gi"), Some(1_000 << 30));
        assert_eq!(parse_units("128974848000m"), Some(128_974_848));
        assert_eq!(parse_units("9E"), Some(9_000_000_000_000_000_000));
        assert_eq!(parse_units("10E"), None);
    }

    #[test]
    fn amounts_print_canonically() {
        assert_eq!(format_milli(150), "150m");
        assert_eq!(format_milli(4_000), "4");
        assert_eq!(format_bytes(5 << 30), "5Gi");
        assert_eq!(format_bytes(7_238_320_128), "6903Mi");
        assert_eq!(format_bytes(0), "0");
        assert_eq!(format_bytes(1_001), "1001");
    }
}
