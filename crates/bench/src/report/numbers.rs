//! Numbers as people read them.

/// Three digits that count, and thin spaces between thousands.
pub(crate) fn number(value: f64) -> String {
    let decimals = match value.abs() {
        0.0 => 0,
        abs if abs >= 99.95 => 0,
        abs if abs >= 9.995 => 1,
        abs if abs >= 0.9995 => 2,
        _ => 3,
    };
    let text = format!("{value:.decimals$}");
    if decimals > 0 {
        return text;
    }
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("−", digits),
        None => ("", text.as_str()),
    };
    let mut grouped = sign.to_owned();
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    grouped
}

/// A ratio, as a factor.
pub(super) fn ratio(value: f64) -> String {
    match value < 9.995 {
        true => format!("{value:.2}"),
        false => format!("{value:.1}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rounded_to_three_digits() {
        for (value, text) in [
            (0.0, "0"),
            (0.1234, "0.123"),
            (1.234, "1.23"),
            (12.34, "12.3"),
            (99.96, "100"),
            (123.4, "123"),
            (130_456.7, "130\u{202f}457"),
            (1_000_000.0, "1\u{202f}000\u{202f}000"),
            (-500.0, "−500"),
        ] {
            assert_eq!(number(value), text);
        }
        assert_eq!(ratio(0.987), "0.99");
        assert_eq!(ratio(12.34), "12.3");
    }
}
