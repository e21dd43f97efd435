//! Means and differences as text: fixed decimals, thousands separators, signs.

/// `1,234.5`
pub fn plain(value: f64, places: usize) -> String {
    let text = format!("{:.places$}", value.abs());
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut grouped = String::new();
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let is_zero = text.chars().all(|c| matches!(c, '0' | '.'));
    let sign = if value < 0.0 && !is_zero { "-" } else { "" };
    format!("{sign}{grouped}{rest}")
}

/// `+1,234.5`; zero has no sign.
pub fn signed(value: f64, places: usize) -> String {
    let text = plain(value, places);
    let is_zero = text.chars().all(|c| matches!(c, '0' | '.' | ','));
    if is_zero || value < 0.0 { text } else { format!("+{text}") }
}

/// `-$1,234.50`
pub fn signed_money(value: f64) -> String {
    let text = signed(value, 2);
    match text.strip_prefix(['+', '-']) {
        Some(rest) => format!("{}${rest}", &text[..1]),
        None => format!("${text}"),
    }
}

/// Six digits after the point, without a negative zero.
pub fn six(value: f64) -> String {
    format!("{:.6}", rounded(value))
}

/// The nearest multiple of a millionth, for files.
pub fn rounded(value: f64) -> f64 {
    libm::round(value * 1e6) / 1e6 + 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_signs_and_groups() {
        assert_eq!(plain(1_234_567.25, 1), "1,234,567.2");
        assert_eq!(plain(-0.04, 1), "0.0");
        assert_eq!(
            (signed(12.0, 0), signed(-999.5, 1), signed(0.0, 2)),
            ("+12".into(), "-999.5".into(), "0.00".into())
        );
        assert_eq!(
            (signed_money(-1_000.0), signed_money(0.0)),
            ("-$1,000.00".into(), "$0.00".into())
        );
        assert_eq!(six(-0.000_000_1), "0.000000");
    }
}
