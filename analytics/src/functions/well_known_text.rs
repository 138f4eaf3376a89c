//! Positions in WKT.

use std::fmt::Write as _;

/// Appends `lon lat`. Nine decimals are a tenth of a millimetre; what is beyond is rounding of radians, which may differ
/// between machines.
pub(super) fn push_position(text: &mut String, lon: f64, lat: f64) {
    push_degrees(text, lon);
    text.push(' ');
    push_degrees(text, lat);
}

fn push_degrees(text: &mut String, degrees: f64) {
    let start = text.len();
    let _ = write!(text, "{degrees:.9}");
    let kept = text.trim_end_matches('0').trim_end_matches('.').len();
    text.truncate(kept.max(start + 1));
    if text.get(start..) == Some("-0") {
        text.truncate(start);
        text.push('0');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn degrees_are_as_short_as_nine_decimals_allow() {
        for (degrees, expected) in [
            (0.0, "0"),
            (-0.0, "0"),
            (100.0, "100"),
            (-1.5, "-1.5"),
            (113.929_999_999_999_99, "113.93"),
            (1e-12, "0"),
        ] {
            let mut text = String::from("x ");
            push_degrees(&mut text, degrees);
            assert_eq!(text, format!("x {expected}"));
        }
    }
}
