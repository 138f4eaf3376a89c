//! Feeds as people write them, row by row.

use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::words::{Candidate, CandidateTime, EventKind, EventTime, Number, RefusalReason};

mod settings_are_checked;

const BOSTON: &str = r#"
name = "boston_311"
from = { kafka = "boston-311" }
format = "csv"
columns = ["CASE_ENQUIRY_ID", "OPEN_DT", "REASON", "LATITUDE", "LONGITUDE", "Source"]
event = "report"
source = { const = "//boston/311" }
id = ["CASE_ENQUIRY_ID"]
time = { field = "OPEN_DT", format = "%Y-%m-%dT%H:%M:%S", zone = "America/New_York" }
lon = "LONGITUDE"
lat = "LATITUDE"
category = "REASON"
severity = { const = 2 }
channel = { field = "Source", map = { "Constituent Call" = "phone", "Citizens Connect App" = "app" }, default = "other" }
null_points = [[-71.0587, 42.3594]]
clock = "event"
valid_from = "2015-01-01T00:00:00Z"
valid_to = "2016-01-01T00:00:00Z"
"#;

const ABERDEEN: &str = r#"
name = "aberdeen_air"
from = { file = "readings.csv.gz" }
format = "csv"
event = "observation"
source = { const = "//luftdaten" }
id = ["sensor_id", "timestamp"]
time = { field = "timestamp", format = "%Y-%m-%dT%H:%M:%S", zone = "UTC" }
sensor = "sensor_id"
lookup = { file = "sensors.csv", key = "sensor_id", from = "first", to = "last", fields = { lon = "lon", lat = "lat" } }
values = [ { field = "PM10_P1", property = "pm10", unit = "ug/m3" }, { field = "PM25_P2", property = "pm2_5", unit = "ug/m3" } ]
clock = "event"
valid_from = "2017-01-01T00:00:00Z"
valid_to = "2020-01-01T00:00:00Z"
"#;

const PGE: &str = r#"
name = "pge_outages"
from = { kafka = "pge" }
format = "csv"
columns = ["event", "snapshot_time", "outageNumber", "estCustAffected", "hazardFlag", "latitude", "longitude"]
event = "report"
source = { const = "//pge/outages" }
id = { hash = "row" }
report = "outageNumber"
time = "snapshot_time"
op = { field = "event", map = { seen = "open", update = "update", back = "update", gone = "close" } }
category = { const = "power_outage" }
severity = { field = "hazardFlag", map = { "0" = 1, "1" = 4 } }
lon = "longitude"
lat = "latitude"
clock = "event"
valid_from = "2019-01-01T00:00:00Z"
valid_to = "2023-01-01T00:00:00Z"
"#;

const JSON_FLEET: &str = r#"
name = "fleet"
from = { kafka = "fleet" }
format = "json"
event = "position"
source = "/meta/source"
id = ["/meta/seq", "unit"]
time = { field = "at", format = "unix_ms" }
unit = "unit"
status = { field = "state", map = { "1" = "available" }, default = "unknown" }
skills = "skills"
lon = "/place/0"
lat = "/place/1"
"#;

fn settings(toml: &str) -> FeedSettings {
    use figment::providers::{Format, Toml};
    figment::Figment::from(Toml::string(toml)).extract().unwrap()
}

fn mapper(toml: &str) -> FeedMapper {
    FeedMapper::compile(&settings(toml), Path::new("."), None).unwrap()
}

fn one<'a>(mapper: &'a FeedMapper, row: &'a str) -> Candidate<'a> {
    let mut mapped = mapper.map(row.as_bytes());
    assert_eq!(mapped.len(), 1, "{row}");
    mapped.remove(0).unwrap()
}

fn reason(mapper: &FeedMapper, row: &[u8]) -> RefusalReason {
    let mapped = mapper.map(row);
    match mapped.as_slice() {
        [Err(refusal)] => refusal.reason,
        other => panic!("one refusal expected: {other:?}"),
    }
}

fn at(text: &str) -> CandidateTime<'static> {
    CandidateTime::Resolved(EventTime::parse_rfc3339(text).unwrap())
}

/// Folder with a look-up file, and the Aberdeen feed on it.
fn aberdeen() -> (tempfile::TempDir, FeedMapper) {
    let folder = tempfile::tempdir().unwrap();
    let sensors = "sensor_id,sensor_type,lat,lon,first,last,readings\n\
        5331,SDS011,57.128,-2.13,2017-10-07T12:29:51,2017-10-08T15:30:14,524\n\
        5331,SDS011,57.138,-2.077,2017-10-08T15:32:42,2019-05-07T23:58:06,324714\n";
    fs::write(folder.path().join("sensors.csv"), sensors).unwrap();
    let header = "timestamp,sensor_id,PM10_P1,PM25_P2\n";
    fs::write(folder.path().join("readings.csv.gz"), header).unwrap();
    let mapper = FeedMapper::compile(&settings(ABERDEEN), folder.path(), None).unwrap();
    (folder, mapper)
}

#[test]
fn a_boston_case_becomes_a_report() {
    let boston = mapper(BOSTON);
    let report = one(
        &boston,
        "101001240734,2015-07-01T00:20:09,\"Street \"\"Lights\"\"\",42.3574,-71.0648,Constituent Call\r\n",
    );
    assert_eq!(report.kind, EventKind::Report);
    assert_eq!(report.id.as_deref(), Some("101001240734"));
    assert_eq!(report.source.as_deref(), Some("//boston/311"));
    assert_eq!(report.time, at("2015-07-01T04:20:09Z"));
    assert_eq!(report.name.as_deref(), Some("Street \"Lights\""));
    assert_eq!(
        (report.lon, report.lat),
        (Number::Value(-71.0648), Number::Value(42.3574))
    );
    assert_eq!(report.severity, Number::Value(2.0));
    assert_eq!(report.channel.as_deref(), Some("phone"));
    assert_eq!(report.op, None);

    let other = one(&boston, "1,2015-03-08T02:30:00,,NaN,east,Self Service");
    assert_eq!(other.channel.as_deref(), Some("other"));
    assert_eq!(other.name, None);
    assert!(matches!(other.time, CandidateTime::Invalid(_)));
    assert!(matches!(other.lat, Number::Value(lat) if lat.is_nan()));
    assert_eq!(other.lon, Number::Text("east".into()));
    assert_eq!(one(&boston, "1,,,,,").channel.as_deref(), Some("other"));

    let rules = boston.rules();
    assert_eq!(rules.domain, "boston_311");
    assert_eq!(rules.null_points, [[-71.0587, 42.3594]]);
    let (from, to) = rules.valid.unwrap();
    assert_eq!(
        (from.to_string(), to.to_string()),
        ("2015-01-01T00:00:00Z".into(), "2016-01-01T00:00:00Z".into())
    );
}

#[test]
fn rows_that_are_no_record_are_malformed() {
    let boston = mapper(BOSTON);
    for row in [
        "",
        "\n",
        "1,2,3,4,5",
        "1,2,3,4,5,6,7",
        "1,2,3,4,5,6\n1,2,3,4,5,6",
        "\"1,2,3,4,5,6",
        "\"1\"x,2,3,4,5,6",
    ] {
        assert_eq!(
            reason(&boston, row.as_bytes()),
            RefusalReason::Malformed,
            "{row:?}"
        );
    }
    assert_eq!(reason(&boston, b"1,2,3,4,5,\xff"), RefusalReason::Malformed);
    assert_eq!(
        one(&boston, "\u{feff}7,2,3,4,5,\"a\nb\"").id.as_deref(),
        Some("7")
    );
}

#[test]
fn an_aberdeen_row_gives_an_event_for_each_reading_where_the_sensor_stood_then() {
    let (_folder, air) = aberdeen();
    let events: Vec<_> = air
        .map(b"2017-10-08T15:30:14,5331,7.97,2.4")
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let ids: Vec<_> = events.iter().map(|event| event.id.as_deref().unwrap()).collect();
    assert_eq!(
        ids,
        ["5331:2017-10-08T15:30:14:pm10", "5331:2017-10-08T15:30:14:pm2_5"]
    );
    assert_eq!(events[1].name.as_deref(), Some("pm2_5"));
    assert_eq!(events[1].value, Number::Value(2.4));
    assert_eq!(events[1].value_unit.as_deref(), Some("ug/m3"));
    assert_eq!(events[1].sensor.as_deref(), Some("5331"));
    assert!(events.iter().all(|event| event.lon == Number::Value(-2.13)));

    let moved = air.map(b"2017-10-08T15:32:42,5331,7.97,");
    assert_eq!(moved.len(), 1);
    assert_eq!(moved[0].as_ref().unwrap().lon, Number::Value(-2.077));
    assert!(air.map(b"2017-10-08T15:32:42,5331,,").is_empty());
    assert!(air.map(b"2017-10-08T15:32:42,9999, ,").is_empty());
}

#[test]
fn a_look_up_that_finds_nothing_is_told_for_each_event() {
    let (_folder, air) = aberdeen();
    for row in [
        "2017-10-08T15:31:00,5331,1,2",
        "2017-10-08T15:30:14,77,1,2",
        "2017-10-08T15:30:14,,1,2",
        "soon,77,1,2",
    ] {
        let mapped = air.map(row.as_bytes());
        assert_eq!(mapped.len(), 2, "{row}");
        assert!(
            mapped.iter().flatten().all(|event| event.lookup_missed.is_some()),
            "{row}"
        );
    }
    let no_time = air.map(b",5331,1,2");
    assert!(
        no_time
            .iter()
            .flatten()
            .all(|event| event.time == CandidateTime::Missing && event.lookup_missed.is_none())
    );
    let bad_time = air.map(b"soon,5331,1,2");
    assert!(
        bad_time
            .iter()
            .flatten()
            .all(|event| matches!(event.time, CandidateTime::Invalid(_))
                && event.lon == Number::Value(-2.13)
                && event.lookup_missed.is_none())
    );
}

#[test]
fn a_pge_list_opens_updates_and_closes() {
    let pge = mapper(PGE);
    let seen = one(&pge, "seen,2019-06-11T04:15:02Z,403350,2,0,38.216,-121.238");
    assert_eq!(seen.op.as_deref(), Some("open"));
    assert_eq!(seen.report.as_deref(), Some("403350"));
    assert_eq!(seen.severity, Number::Value(1.0));
    assert_eq!(seen.name.as_deref(), Some("power_outage"));
    assert_eq!(seen.id.as_deref().map(str::len), Some(32));
    let gone = one(&pge, "gone,2019-06-11T04:25:02Z,403350,,,,");
    assert_eq!(gone.op.as_deref(), Some("close"));
    assert_eq!((gone.lon, gone.severity), (Number::Missing, Number::Missing));
    assert_ne!(gone.id, seen.id);
    assert_eq!(
        one(&pge, "back,2019-06-11T04:25:02Z,403350,,,,").op.as_deref(),
        Some("update")
    );
    // A missing op would open the report: a word that the map does not know must not become one.
    assert_eq!(
        one(&pge, "merged,2019-06-11T04:25:02Z,403350,,,,").op.as_deref(),
        Some("merged")
    );
    let ended = one(&pge, "seen,2019-06-11T04:15:02Z,403350,2,0,38.216,-121.238\r\n")
        .id
        .map(std::borrow::Cow::into_owned);
    assert_eq!(ended.as_deref(), seen.id.as_deref());
}

#[test]
fn json_fields_are_found_by_pointer_and_by_name() {
    let fleet = mapper(JSON_FLEET);
    let unit = one(
        &fleet,
        r#"{"meta":{"source":"//fleet","seq":17},"unit":"engine-12","at":1574409600123,"state":1,"place":[113.93,22.53],"skills":["fire","hazmat"]}"#,
    );
    assert_eq!(unit.id.as_deref(), Some("17:engine-12"));
    assert_eq!(unit.unit.as_deref(), Some("engine-12"));
    assert_eq!(unit.status.as_deref(), Some("available"));
    assert_eq!(unit.time, at("2019-11-22T08:00:00.123Z"));
    assert_eq!(
        (unit.lon, unit.lat),
        (Number::Value(113.93), Number::Value(22.53))
    );
    assert_eq!(unit.skills, ["fire", "hazmat"]);

    let bare = one(&fleet, r#"{"meta":null,"unit":"engine-12"}"#);
    assert_eq!(
        (bare.id, bare.source, bare.time),
        (None, None, CandidateTime::Missing)
    );
    assert_eq!(bare.status.as_deref(), Some("unknown"));
    for row in [
        "[]",
        "{",
        "{}{}",
        r#"{"unit":{}}"#,
        r#"{"place":["here",1]}"#,
        r#"{"place":[NaN,1]}"#,
        "\u{0}",
    ] {
        assert_eq!(reason(&fleet, row.as_bytes()), RefusalReason::Malformed, "{row}");
    }
    assert_eq!(fleet.rules().domain, "live");
}

#[test]
fn one_reading_of_the_wrong_type_spoils_only_its_own_event() {
    let weather = mapper(
        r#"
        name = "weather"
        from = { kafka = "weather" }
        format = "json"
        event = "observation"
        source = { const = "//weather" }
        id = "id"
        time = "at"
        sensor = "id"
        lon = { const = 8.5 }
        lat = { const = 47 }
        values = [{ field = "t", property = "temperature" }, { field = "p", property = "pressure" }]
        "#,
    );
    let mapped = weather.map(br#"{"id":3,"at":"2026-01-01T00:00:00Z","t":[1],"p":"1013.2"}"#);
    assert_eq!(mapped.len(), 2);
    assert_eq!(mapped[0].as_ref().unwrap_err().reason, RefusalReason::Malformed);
    assert_eq!(mapped[1].as_ref().unwrap().id.as_deref(), Some("3:pressure"));
    assert!(weather.map(br#"{"id":3,"t":null}"#).is_empty());
}

#[test]
fn cloudevents_pass_as_they_are() {
    let feed = mapper(
        "name = \"ce\"\nfrom = { kafka = \"ce\" }\nformat = \"cloudevents\"\nbounds = [113, 22, 115, 23]",
    );
    let event = one(
        &feed,
        r#"{"specversion":"1.0","id":"1","source":"//s","type":"riskgrid.report.v1","time":"2026-11-22T08:00:00Z","data":{}}"#,
    );
    assert_eq!(event.id.as_deref(), Some("1"));
    assert_eq!(reason(&feed, b"x"), RefusalReason::Malformed);
    assert!(feed.rules().bounds.is_some());
}

proptest! {
    #[test]
    fn no_bytes_make_a_mapper_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "[\\[\\]{}\":,0-9a-z\\\\ué\n\r.-]{0,60}") {
        let (_folder, air) = aberdeen();
        for mapper in [mapper(BOSTON), mapper(PGE), mapper(JSON_FLEET), air] {
            mapper.map(&bytes);
            mapper.map(text.as_bytes());
        }
    }

    #[test]
    fn any_texts_in_a_row_of_the_right_form_give_one_event(parts in proptest::collection::vec("[^\"]{0,8}", 6)) {
        let row = format!("\"{}\"", parts.join("\",\""));
        let boston = mapper(BOSTON);
        let report = one(&boston, &row);
        prop_assert_eq!(report.id.as_deref().unwrap_or_default(), parts[0].as_str());
        prop_assert_eq!(report.name.as_deref().unwrap_or_default(), parts[2].as_str());
    }
}
