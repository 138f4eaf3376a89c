//! A text of JSON or TOML as one tree of values.

use serde_json::Value;

/// A text that is neither.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// It begins like JSON.
    #[error("not JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// It does not.
    #[error("not TOML: {0}")]
    Toml(#[from] toml::de::Error),
}

/// Reads a text: JSON where it begins with `{`, else TOML. Dates of TOML become texts.
///
/// # Errors
/// [`DocumentError`] with the line of what is wrong.
pub fn read_document(text: &str) -> Result<Value, DocumentError> {
    if text.trim_start().starts_with('{') {
        return Ok(serde_json::from_str(text)?);
    }
    let table: toml::Table = toml::from_str(text)?;
    Ok(json_of(toml::Value::Table(table)))
}

fn json_of(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => Value::from(number),
        toml::Value::Float(number) => Value::from(number),
        toml::Value::Boolean(flag) => Value::Bool(flag),
        toml::Value::Datetime(time) => Value::String(time.to_string()),
        toml::Value::Array(list) => Value::Array(list.into_iter().map(json_of).collect()),
        toml::Value::Table(table) => table
            .into_iter()
            .map(|(name, value)| (name, json_of(value)))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json_and_toml_give_the_same_tree() {
        let expected = json!({"name": "a", "days": {"2026-02-14": ["09:00-12:00"]}, "since": "2026-01-01"});
        let toml = "name = 'a'\nsince = 2026-01-01\n[days]\n2026-02-14 = ['09:00-12:00']\n";
        assert_eq!(read_document(toml).unwrap(), expected);
        assert_eq!(read_document(&expected.to_string()).unwrap(), expected);
        assert!(
            read_document("{\"a\": }")
                .unwrap_err()
                .to_string()
                .contains("line 1")
        );
        assert!(read_document("a = ").is_err());
    }
}
