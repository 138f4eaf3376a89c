//! Spans of time as keys have them: a whole number and `s`, `m`, `h` or `d`.

use std::time::Duration;

/// Reads `90s`, `30m`, `24h`, `365d`.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let unit = text.chars().next_back()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    let digits = text.strip_suffix(unit)?;
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = is_number.then(|| digits.parse().ok()).flatten()?;
    Some(Duration::from_secs(number.checked_mul(seconds)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_a_number_and_a_unit() {
        for (text, seconds) in [
            ("90s", 90),
            ("30m", 1_800),
            ("24h", 86_400),
            ("365d", 31_536_000),
            ("0s", 0),
        ] {
            assert_eq!(parse(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for text in [
            "",
            "s",
            "1",
            "1y",
            "1.5h",
            "-1d",
            "+1d",
            " 1d",
            "1 d",
            "1dd",
            "99999999999999999999d",
            "9999999999999999999d",
            "1é",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
