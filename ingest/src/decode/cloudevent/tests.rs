use std::borrow::Cow;

use base64::Engine;
use proptest::prelude::*;

use super::*;
use crate::words::Number;

const OBSERVATION: &str = r#"{"specversion":"1.0","id":"1","source":"//s","type":"riskgrid.observation.v1",
    "time":"2026-11-22T08:00:00Z","data":{"sensor":"river-7","property":"water_level","value":3.42,"unit":"m","lon":113.93,"lat":22.53}}"#;

fn reason(payload: &str) -> RefusalReason {
    decode_structured(payload.as_bytes()).unwrap_err().reason
}

#[test]
fn an_observation_is_read_without_copying() {
    let candidate = decode_structured(OBSERVATION.as_bytes()).unwrap();
    assert_eq!(candidate.value, Number::Value(3.42));
    assert!(matches!(candidate.sensor, Some(Cow::Borrowed("river-7"))));
    assert_eq!(candidate.name.as_deref(), Some("water_level"));
}

#[test]
fn reasons_are_told_apart() {
    assert_eq!(reason("not json"), RefusalReason::Malformed);
    assert_eq!(
        reason(&OBSERVATION.replace("3.42", "NaN")),
        RefusalReason::Malformed
    );
    assert_eq!(
        reason(&OBSERVATION.replace("3.42", "\"3.42\"")),
        RefusalReason::Malformed
    );
    assert_eq!(
        reason(&OBSERVATION.replace("\"id\":\"1\"", "\"id\":1")),
        RefusalReason::Malformed
    );
    assert_eq!(
        reason(&OBSERVATION.replace("observation.v1", "observation.v9")),
        RefusalReason::UnknownType
    );
    assert_eq!(
        reason(r#"{"specversion":"1.0","id":"1","source":"s","type":"x","data":"text"}"#),
        RefusalReason::UnknownType
    );
    assert_eq!(
        reason(r#"{"specversion":"1.0","id":"1","source":"s"}"#),
        RefusalReason::MissingField
    );
    assert_eq!(
        reason(&OBSERVATION.replace("\"1.0\"", "\"0.3\"")),
        RefusalReason::Malformed
    );
    assert_eq!(reason("[]"), RefusalReason::Malformed);
}

#[test]
fn null_is_missing_and_foreign_fields_do_not_matter() {
    let candidate_of = |text: String| {
        decode_structured(text.as_bytes())
            .map(Candidate::into_static)
            .unwrap()
    };
    assert_eq!(
        candidate_of(OBSERVATION.replace("3.42", "null")).value,
        Number::Missing
    );
    let stray = OBSERVATION.replace("\"sensor\"", "\"status\":5,\"extra\":{\"a\":[1]},\"sensor\"");
    assert_eq!(candidate_of(stray).value, Number::Value(3.42));
}

#[test]
fn base64_data_and_binary_mode_equal_structured_mode() {
    let data =
        r#"{"sensor":"river-7","property":"water_level","value":3.42,"unit":"m","lon":113.93,"lat":22.53}"#;
    let encoded = base64::engine::general_purpose::STANDARD.encode(data);
    let text = format!(
        r#"{{"specversion":"1.0","id":"1","source":"//s","type":"riskgrid.observation.v1","time":"2026-11-22T08:00:00Z","data_base64":"{encoded}"}}"#
    );
    let plain = decode_structured(OBSERVATION.as_bytes()).unwrap();
    assert_eq!(decode_structured(text.as_bytes()).unwrap(), plain);
    let mut attributes = BinaryAttributes::default();
    for (name, value) in [
        ("specversion", "1.0"),
        ("id", "1"),
        ("source", "//s"),
        ("type", "riskgrid.observation.v1"),
        ("time", "2026-11-22T08:00:00Z"),
        ("traceparent", "x"),
    ] {
        attributes.set(name, value.into());
    }
    assert_eq!(decode_binary(attributes, data.as_bytes()).unwrap(), plain);
}

#[test]
fn what_producers_write_is_read_in_one_pass() {
    let report = r#"{ "specversion" : "1.0" , "id":"311-1", "source":"//city/311","type":"riskgrid.report.v1","subject":"x","dataschema":null,
        "time":"2026-11-22T08:00:00.5+08:00","data":{"report":"1","op":"open","category":"\u79ef\u6c34","severity":2,"lon":114.06123456789012,"lat":-22.5e0,
        "channel":"phone","reporter":null,"text":"a \"b\"","extra":{"a":[1,true]}}} "#;
    let position = r#"{"specversion":"1.0","id":"1","source":"//fleet","type":"riskgrid.position.v1","time":"2026-11-22T08:00:00Z",
        "data":{"unit":"engine-12","lon":1,"lat":-0.5,"status":"available","skills":["fire","\u00e9"]}}"#;
    for text in [OBSERVATION, report, position] {
        let (attributes, fields) = plain::scan(text.as_bytes()).expect(text);
        let kind = check_attributes(&attributes).unwrap();
        assert_eq!(
            candidate(kind, attributes, fields),
            decode_thoroughly(text.as_bytes()).unwrap()
        );
    }
}

/// JSON values, some of them wrong, as texts.
fn value() -> impl Strategy<Value = String> {
    let scalars = prop::sample::select(vec![
        "null",
        "true",
        "nul",
        "\"\"",
        "\"x\"",
        "\"é\\n\"",
        "\"\\ud800\"",
        "\"\\\"",
        "\"1.0\"",
        "[\"fire\",\"a\\tb\"]",
        "[1]",
        "{}",
        "{\"a\":{\"lon\":1}}",
        "{\"a\":}",
        "0",
        "-0",
        "01",
        "1.",
        "-",
        "+1",
        "NaN",
        "1e5",
        "1E+400",
        "123456789012345678",
        "0.000000000000000000000001",
        "\u{1}",
        "\"\u{1}\"",
    ]);
    let number = (any::<f64>(), 0..18_usize).prop_map(|(value, digits)| format!("{value:.digits$}"));
    let short = (-180_000_000..180_000_000_i64).prop_map(|value| format!("{}", value as f64 / 1e6));
    prop_oneof![
        3 => scalars.prop_map(str::to_owned),
        1 => number,
        1 => short,
        1 => "[ -~é]{0,12}".prop_map(|text| serde_json::to_string(&text).unwrap()),
    ]
}

fn object(keys: &'static [&'static str]) -> impl Strategy<Value = String> {
    let space = || prop::sample::select(vec!["", "", "", " ", "\n\t"]);
    let field = (prop::sample::select(keys), value(), space(), space());
    prop::collection::vec(field, 0..10).prop_map(|fields| {
        let fields: Vec<String> = fields
            .into_iter()
            .map(|(key, value, before, after)| format!("{before}\"{key}\"{after}:{before}{value}{after}"))
            .collect();
        format!("{{{}}}", fields.join(","))
    })
}

const ENVELOPE: &[&str] = &[
    "specversion",
    "id",
    "source",
    "time",
    "subject",
    "data_base64",
    "data",
    "i\\u0064",
    "id\\u0000",
];
const DATA: &[&str] = &[
    "sensor", "property", "value", "unit", "lon", "lat", "report", "op", "category", "severity", "channel",
    "reporter", "outcome", "status", "skills", "text",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]
    #[test]
    fn the_one_pass_reads_what_the_thorough_way_reads(
        envelope in object(ENVELOPE), data in object(DATA), kind in 0..4_usize, cut in 0..400_usize, byte in any::<u8>(), spoil in 0..4_u8,
    ) {
        let kind = ["riskgrid.observation.v1", "riskgrid.report.v1", "riskgrid.position.v1", "x"][kind];
        let mut text = format!(r#"{{"type":"{kind}","data":{data},{}"#, &envelope[1..]).into_bytes();
        if spoil == 0 && cut < text.len() {
            text[cut] = byte;
        } else if spoil == 1 {
            text.truncate(cut);
        }
        if let Some((attributes, fields)) = plain::scan(&text) {
            let thorough = decode_thoroughly(&text);
            match check_attributes(&attributes) {
                Ok(kind) => prop_assert_eq!(Ok(candidate(kind, attributes, fields)), thorough),
                Err(refusal) => prop_assert_eq!(Err(refusal), thorough),
            }
        }
        // In binary mode the same data is the payload.
        if let Some(fields) = plain::scan_data(data.as_bytes()) {
            for kind in [EventKind::Observation, EventKind::Report, EventKind::Position] {
                let attributes = BinaryAttributes::default();
                let thorough = decode_data(kind, data.as_bytes()).map(|fields| candidate(kind, attributes.clone(), fields));
                prop_assert_eq!(Ok(candidate(kind, attributes.clone(), fields.clone())), thorough);
            }
        }
    }
}
