//! What is wrong in the settings is told by its key.

use super::*;

fn refused(toml: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let error = FeedMapper::compile(&settings(toml), folder.path(), None).unwrap_err();
    error.to_string()
}

fn not_read(toml: &str) -> String {
    use figment::providers::{Format, Toml};
    figment::Figment::from(Toml::string(toml))
        .extract::<FeedSettings>()
        .unwrap_err()
        .to_string()
}

#[test]
fn settings_say_the_same_after_being_written() {
    for toml in [BOSTON, ABERDEEN, PGE, JSON_FLEET] {
        let settings = settings(toml);
        let written = serde_json::to_string(&settings).unwrap();
        assert_eq!(serde_json::from_str::<FeedSettings>(&written).unwrap(), settings);
    }
}

#[test]
fn forms_that_are_no_settings() {
    for (from, to, expected) in [
        ("category = ", "categry = ", "categry"),
        ("{ const = 2 }", "{ const = 2, default = 1 }", "{ const = … }"),
        ("{ const = 2 }", "{ value = 2 }", "value"),
        ("{ const = 2 }", "[2]", "the name of a field"),
        ("{ const = 2 }", "{ const = [2] }", "a text, a number"),
        ("[\"CASE_ENQUIRY_ID\"]", "{ hash = \"all\" }", "row"),
        (
            "{ kafka = \"boston-311\" }",
            "{ kafka = \"a\", file = \"b\" }",
            "{ kafka = \"topic\" }",
        ),
        ("zone = ", "timezone = ", "timezone"),
    ] {
        let text = not_read(&BOSTON.replace(from, to));
        assert!(text.contains(expected), "{to}: {text}");
    }
}

#[test]
fn values_that_are_not_allowed() {
    for (base, from, to, expected) in [
        (
            BOSTON,
            "name = \"boston_311\"",
            "name = \"live\"",
            "`name` is `live`",
        ),
        (
            BOSTON,
            "\"REASON\"\n",
            "\"REASONS\"\n",
            "`category` is `REASONS`, but the columns are `CASE_ENQUIRY_ID`",
        ),
        (BOSTON, "\"Source\"]", "\"Source\", \"REASON\"]", "two columns"),
        (BOSTON, "America/New_York", "Boston", "`time.zone` is `Boston`"),
        (
            BOSTON,
            ", zone = \"America/New_York\"",
            "",
            "`time.zone` is missing",
        ),
        (
            BOSTON,
            "valid_to = \"2016-01-01T00:00:00Z\"",
            "",
            "`valid_to` is missing",
        ),
        (
            BOSTON,
            "2016-01-01T00:00:00Z",
            "2014-01-01T00:00:00Z",
            "not be before `valid_from`",
        ),
        (BOSTON, "2016-01-01T00:00:00Z", "2016", "RFC 3339"),
        (
            BOSTON,
            "clock = \"event\"",
            "",
            "only a feed with `clock = \"event\"`",
        ),
        (
            BOSTON,
            "{ const = 2 }",
            "{ const = \"high\" }",
            "`severity.const` is `high`, but a number",
        ),
        (BOSTON, "category = \"REASON\"", "", "`category` is missing"),
        (BOSTON, "event = \"report\"", "", "`event` is missing"),
        (
            BOSTON,
            "event = \"report\"",
            "event = \"observation\"",
            "an observation has no such field",
        ),
        (
            BOSTON,
            "columns = ",
            "delimiter = \"\\\"\"\ncolumns = ",
            "`delimiter`",
        ),
        (BOSTON, "clock = ", "bounds = [0, 5, 1, 4]\nclock = ", "`bounds`"),
        (JSON_FLEET, "/place/1", "/place~/1", "`lat` is `/place~/1`"),
        (JSON_FLEET, "lon = \"/place/0\"", "", "`lon` is missing"),
        (PGE, "\"csv\"", "\"cloudevents\"", "leave it out"),
        (ABERDEEN, "\"readings.csv.gz\"", "\"none.csv\"", "cannot read"),
        (
            ABERDEEN,
            "\"readings.csv.gz\"",
            "\"a\", speed = 0",
            "`from.speed` is `0`",
        ),
    ] {
        let text = refused(&base.replace(from, to));
        assert!(text.contains(expected), "{to}: {text}");
    }
}

#[test]
fn what_is_wrong_with_a_look_up_is_told_by_line_or_key() {
    let (folder, _) = aberdeen();
    let compile = |toml: &str| {
        FeedMapper::compile(&settings(toml), folder.path(), None)
            .unwrap_err()
            .to_string()
    };
    for (from, to, expected) in [
        ("lon = \"lon\"", "lon = \"longitude\"", "no column `longitude`"),
        (
            "lon = \"lon\"",
            "lon = \"lon\", category = \"lon\"",
            "`lookup.fields.category`",
        ),
        (
            "lon = \"lon\"",
            "lon = \"lon\", sensor = \"sensor_id\"",
            "the feed itself gives",
        ),
        (
            "lon = \"lon\"",
            "lon = \"sensor_type\"",
            "line 2: `sensor_type` is `SDS011`",
        ),
        ("from = \"first\"", "from = \"lat\"", "line 2: time `57.128`"),
        ("\"sensors.csv\"", "\"places.csv\"", "places.csv"),
        (
            "key = \"sensor_id\"",
            "key = \"sensor\"",
            "`lookup.key` is `sensor`",
        ),
        (
            "unit = \"ug/m3\" }, ",
            "unit = \"furlong\" }, ",
            "`values.unit` is `furlong`",
        ),
        ("\"pm2_5\"", "\"pm10\"", "a property of its own"),
    ] {
        let changed = if from.starts_with("key") || from.starts_with("from") {
            ABERDEEN.replacen(from, to, 1)
        } else {
            ABERDEEN.replace(from, to)
        };
        let text = compile(&changed);
        assert!(text.contains(expected), "{to}: {text}");
    }
}
