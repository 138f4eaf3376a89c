use super::*;
use crate::decode::cloudevent::decode_structured;
use crate::words::LIVE_DOMAIN;

fn edge() -> Edge {
    Edge {
        resolution: Resolution::Nine,
        future_skew: 300_000_000,
        bounds: Some(Bounds([113.0, 22.0, 115.0, 23.0])),
        source_key: SourceKey([7; 16]),
    }
}

fn judge(payload: &str, clock: PartitionClock) -> Result<i64, RefusalReason> {
    let feed = FeedRules {
        domain: LIVE_DOMAIN.into(),
        ..FeedRules::default()
    };
    let received = EventTime::parse_rfc3339("2026-11-22T08:00:00Z").unwrap();
    let layers = LayerTable::new(&[], 10).unwrap();
    let candidate = decode_structured(payload.as_bytes()).map_err(|refusal| refusal.reason)?;
    edge()
        .judge(
            candidate,
            received,
            &feed,
            clock,
            &layers,
            &mut PlaceCache::none(Resolution::Nine),
        )
        .map(|judged| judged.event.value.unwrap_or(-1))
        .map_err(|refusal| refusal.reason)
}

fn observation(changes: &[(&str, serde_json::Value)]) -> String {
    let mut event = serde_json::json!({"specversion":"1.0","id":"1","source":"//s",
        "type":"riskgrid.observation.v1","time":"2026-11-22T08:00:00Z",
        "data":{"sensor":"river-7","property":"water_level","value":3.42,"unit":"m","lon":113.93,"lat":22.53}});
    for (key, value) in changes {
        let target = if event.get(key).is_some() {
            &mut event[key]
        } else {
            &mut event["data"][key]
        };
        *target = value.clone();
    }
    event.to_string()
}

#[test]
fn each_reason_by_one_change_and_the_first_that_applies() {
    use RefusalReason::*;
    let late = PartitionClock {
        oldest_admitted: EventTime::parse_rfc3339("2026-11-22T07:00:00Z"),
    };
    let null = serde_json::Value::Null;
    let cases: &[(&[(&str, serde_json::Value)], RefusalReason)] = &[
        (&[("id", null.clone())], MissingField),
        (&[("source", "".into())], MissingField),
        (&[("time", null.clone())], MissingField),
        (&[("sensor", null.clone())], MissingField),
        (&[("lat", null.clone()), ("time", "soon".into())], MissingField),
        (&[("time", "2026-11-22T08:00:00".into())], InvalidTime),
        (&[("time", "2026-11-22T08:05:01Z".into())], InFuture),
        (
            &[("time", "2100-01-01T00:00:00Z".into()), ("lon", 500.into())],
            InFuture,
        ),
        (&[("time", "2026-11-22T06:59:59Z".into())], TooLate),
        (&[("lon", 22.53.into()), ("lat", 113.93.into())], InvalidPosition),
        (&[("lon", 22.53.into()), ("lat", 22.53.into())], InvalidPosition),
        (&[("lon", 0.into()), ("lat", 0.into())], InvalidPosition),
        (
            &[("unit", "furlong".into()), ("value", 1e300.into())],
            UnknownUnit,
        ),
        (&[("value", 1e300.into())], InvalidValue),
    ];
    for (changes, expected) in cases {
        assert_eq!(judge(&observation(changes), late), Err(*expected), "{changes:?}");
    }
    assert_eq!(judge(&observation(&[]), late), Ok(3_420_000));
    assert_eq!(
        judge(&observation(&[("time", "2026-11-22T08:05:00Z".into())]), late),
        Ok(3_420_000)
    );
}

#[test]
fn a_close_needs_neither_place_nor_category_but_an_open_does() {
    let report = |data: &str| {
        format!(
            r#"{{"specversion":"1.0","id":"1","source":"//s","type":"riskgrid.report.v1","time":"2026-11-22T08:00:00Z","data":{data}}}"#
        )
    };
    let clock = PartitionClock::default();
    assert_eq!(judge(&report(r#"{"report":"7","op":"close"}"#), clock), Ok(-1));
    assert_eq!(
        judge(&report(r#"{"report":"7"}"#), clock),
        Err(RefusalReason::MissingField)
    );
    assert_eq!(
        judge(
            &report(r#"{"op":"burn","category":"noise","lon":114,"lat":22.5}"#),
            clock
        ),
        Err(RefusalReason::InvalidValue)
    );
    assert_eq!(
        judge(&report(r#"{"op":"close","lon":0,"lat":0}"#), clock),
        Err(RefusalReason::InvalidPosition)
    );
    assert_eq!(
        judge(
            &report(r#"{"category":"noise","severity":2.5,"lon":114,"lat":22.5}"#),
            clock
        ),
        Err(RefusalReason::InvalidValue)
    );
}
