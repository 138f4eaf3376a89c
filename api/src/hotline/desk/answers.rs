//! What people answer to what a layer asks.

use serde_json::{Map, Value, json};

use super::body::LONGEST_TEXT;
use super::layers::CaseLayer;

/// Answers to what a layer asks, and, apart, those in free text.
///
/// # Errors
/// What is missing, not asked, or no answer.
#[allow(
    clippy::needless_pass_by_value,
    clippy::type_complexity,
    reason = "what was given becomes two lists of answers"
)]
pub fn answers_of(
    layer: &CaseLayer,
    given: Map<String, Value>,
) -> Result<(Map<String, Value>, Vec<(String, String)>), String> {
    use riskgrid_ingest::AttributeType::{Datetime, MultiValueList, Number, SingleValueList, String, Text};
    if let Some(unknown) = given
        .keys()
        .find(|code| !layer.attributes.iter().any(|asked| asked.code == **code))
    {
        let shown: std::string::String = unknown.chars().take(64).collect();
        return Err(format!("the layer `{}` asks no attribute `{shown}`", layer.id));
    }
    let (mut kept, mut texts) = (Map::new(), Vec::new());
    for asked in layer.attributes.iter().filter(|asked| asked.variable) {
        let code = &asked.code;
        let answers: Vec<&str> = match given.get(code) {
            Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
            Some(Value::String(text)) if !text.is_empty() => vec![text],
            None | Some(Value::Number(_) | Value::Null | Value::String(_)) => Vec::new(),
            Some(_) => return Err(format!("the attribute `{code}` is a text, or a list of texts")),
        };
        let number = given.get(code).and_then(Value::as_f64);
        if answers.is_empty() && number.is_none() {
            if asked.required {
                return Err(format!(
                    "the attribute `{code}` must be answered: {}",
                    asked.description
                ));
            }
            continue;
        }
        let is_known = |answer: &&str| asked.values.iter().any(|value| value.key == **answer);
        match (asked.datatype, answers.as_slice()) {
            (MultiValueList, answers) if !answers.is_empty() && answers.iter().all(is_known) => {
                kept.insert(code.clone(), json!(answers));
            }
            (SingleValueList, [answer]) if is_known(answer) => {
                kept.insert(code.clone(), json!(answer));
            }
            (Number, []) if number.is_some() => {
                kept.insert(code.clone(), json!(number));
            }
            (Number, [answer]) if answer.parse::<f64>().is_ok_and(f64::is_finite) => {
                kept.insert(code.clone(), json!(answer));
            }
            (Datetime, [answer]) if riskgrid_ingest::EventTime::parse_rfc3339(answer).is_some() => {
                kept.insert(code.clone(), json!(answer));
            }
            (String, [answer]) if answer.chars().count() <= 256 && !answer.contains('\0') => {
                kept.insert(code.clone(), json!(answer));
            }
            (Text, [answer]) if answer.chars().count() <= LONGEST_TEXT && !answer.contains('\0') => {
                texts.push((code.clone(), (*answer).to_owned()));
            }
            _ => {
                return Err(format!(
                    "the attribute `{code}` is no {}",
                    asked.datatype.as_str()
                ));
            }
        }
    }
    Ok((kept, texts))
}
