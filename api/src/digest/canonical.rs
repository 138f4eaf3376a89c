//! JSON in the one form that is hashed: RFC 8785 (JCS).

use serde_json::Value;

/// The value in that form. Names of members are sorted as RFC 8785 sorts them, by UTF-16. Whole numbers are their digits, also
/// those that are too large to be exact in JavaScript; fractions are written as ECMAScript writes them.
pub fn canonical(value: &Value) -> String {
    let mut text = String::new();
    write(value, &mut text);
    text
}

fn write(value: &Value, text: &mut String) {
    match value {
        Value::Array(items) => {
            text.push('[');
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    text.push(',');
                }
                write(item, text);
            }
            text.push(']');
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by(|(one, _), (other, _)| one.encode_utf16().cmp(other.encode_utf16()));
            text.push('{');
            for (place, (name, member)) in members.into_iter().enumerate() {
                if place > 0 {
                    text.push(',');
                }
                write(&Value::String(name.clone()), text);
                text.push(':');
                write(member, text);
            }
            text.push('}');
        }
        Value::Number(number) if number.is_f64() => {
            text.push_str(&fraction(number.as_f64().unwrap_or_default()));
        }
        // serde_json escapes as JCS does: the two letters where there are, else \u00xx in lower case, and nothing else.
        scalar => text.push_str(&scalar.to_string()),
    }
}

/// `Number::toString` of ECMAScript: the shortest digits that give the number again, with an exponent only where it is far
/// from 1.
fn fraction(number: f64) -> String {
    if number == 0.0 {
        return "0".to_owned();
    }
    let shortest = format!("{:e}", number.abs());
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let point: i32 = exponent.parse().unwrap_or(0) + 1;
    let count = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    let sign = if number < 0.0 { "-" } else { "" };
    let zeros = |zeros: i32| "0".repeat(usize::try_from(zeros).unwrap_or(0));
    let body = if (count..=21).contains(&point) {
        digits + &zeros(point - count)
    } else if (1..=21).contains(&point) {
        let (whole, rest) = digits.split_at(usize::try_from(point).unwrap_or(0));
        format!("{whole}.{rest}")
    } else if (-5..=0).contains(&point) {
        format!("0.{}{digits}", zeros(-point))
    } else {
        let (first, rest) = digits.split_at(1);
        let dot = if rest.is_empty() { "" } else { "." };
        format!("{first}{dot}{rest}e{:+}", point - 1)
    };
    format!("{sign}{body}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn members_are_sorted_and_texts_escaped_as_rfc_8785_has_it() {
        let value = json!({"\u{20ac}": "Euro", "\r": "CR", "\u{fb33}": "Dalet", "1": [null, true, -7], "\u{1f600}": "smile",
            "\u{80}": "control", "\u{f6}": "o", "text": "\u{20ac}$\u{f}\n\u{1b}A'B\"\\/\u{7f}"});
        assert_eq!(
            canonical(&value),
            "{\"\\r\":\"CR\",\"1\":[null,true,-7],\"text\":\"\u{20ac}$\\u000f\\n\\u001bA'B\\\"\\\\/\u{7f}\",\"\u{80}\":\
             \"control\",\"\u{f6}\":\"o\",\"\u{20ac}\":\"Euro\",\"\u{1f600}\":\"smile\",\"\u{fb33}\":\"Dalet\"}"
        );
    }

    #[test]
    fn fractions_are_written_as_rfc_8785_has_them() {
        for (number, written) in [
            (113.95, "113.95"),
            (-0.5, "-0.5"),
            (0.0, "0"),
            (-0.0, "0"),
            (4.5, "4.5"),
            (2e-3, "0.002"),
            (1e-6, "0.000001"),
            (1e-7, "1e-7"),
            (1.5e-7, "1.5e-7"),
            (1e21, "1e+21"),
            (1e20, "100000000000000000000"),
            (1e30, "1e+30"),
            (333_333_333.333_333_3, "333333333.3333333"),
            (9.007_199_254_740_994e15, "9007199254740994"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
        ] {
            assert_eq!(canonical(&json!(number)), written);
        }
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "\\PC{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("\\PC{0,4}", inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_form_holds_the_value_and_nothing_else(value in values()) {
            let form = canonical(&value);
            prop_assert_eq!(&serde_json::from_str::<Value>(&form).unwrap(), &value);
            prop_assert_eq!(canonical(&serde_json::from_str(&form).unwrap()), form);
        }
    }
}
