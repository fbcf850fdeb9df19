//! Amounts as people read them (pure).

/// A number with its thousands separated: `48,210`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `$1,234.50`; what is less than a cent, but more than nothing, is `<$0.01`.
pub fn dollars(amount: f64) -> String {
    if amount > 0.0 && amount < 0.005 {
        return "<$0.01".to_owned();
    }
    let cents = (amount * 100.0).round();
    // Nobody pays less than nothing, or so much: a file is damaged.
    if !(0.0..1e15).contains(&cents) {
        return format!("${amount:.2e}");
    }
    let cents = cents as u64;
    format!("${}.{:02}", grouped(cents / 100), cents % 100)
}

/// `5 s`, `0.5 s`.
pub fn seconds(milliseconds: u64) -> String {
    format!("{} s", milliseconds as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        let texts = [0, 999, 1000, 48210, 1234567].map(grouped);
        assert_eq!(texts, ["0", "999", "1,000", "48,210", "1,234,567"]);
    }

    #[test]
    fn seconds_have_what_they_need() {
        assert_eq!([100, 1500, 5000, 3_600_000].map(seconds), ["0.1 s", "1.5 s", "5 s", "3600 s"]);
    }

    #[test]
    fn dollars_have_cents() {
        for (amount, text) in [
            (0.0, "$0.00"),
            (0.0049, "<$0.01"),
            (0.000_001, "<$0.01"),
            (0.005, "$0.01"),
            (0.4242, "$0.42"),
            (1_234.5, "$1,234.50"),
            (-1.0, "$-1.00e0"),
            (f64::MAX, "$1.80e308"),
        ] {
            assert_eq!(dollars(amount), text);
        }
    }
}
