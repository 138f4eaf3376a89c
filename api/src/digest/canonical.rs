//! JSON in the one form that is hashed: RFC 8785 (JCS), for values without fractions.

use serde_json::Value;

/// The value in that form. Names of members are sorted as RFC 8785 sorts them, by UTF-16; numbers are whole ones, which is
/// what records hold: their shortest form is their digits.
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
        // serde_json escapes as JCS does: the two letters where there are, else \u00xx in lower case, and nothing else.
        scalar => text.push_str(&scalar.to_string()),
    }
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
