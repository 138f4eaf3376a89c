//! Rows of mapped feeds, one a line; the first byte says of which feed.

use std::path::Path;
use std::sync::LazyLock;

use riskgrid_ingest::decode::feed::FeedMapper;
use serde_json::{Value, json};

use super::Grid;

static MAPPERS: LazyLock<Vec<FeedMapper>> = LazyLock::new(|| feeds().into_iter().map(compile).collect());

/// Like the three public data sets and a fleet.
fn feeds() -> [Value; 4] {
    [
        json!({
            "name": "calls", "from": {"kafka": "calls"}, "format": "csv", "event": "report",
            "columns": ["id", "opened", "reason", "lat", "lon", "via"],
            "source": {"const": "//calls"}, "id": ["id"],
            "time": {"field": "opened", "format": "%Y-%m-%dT%H:%M:%S", "zone": "America/New_York"},
            "lon": "lon", "lat": "lat", "category": "reason", "severity": {"const": 2},
            "channel": {"field": "via", "map": {"Constituent Call": "phone"}, "default": "other"},
            "null_points": [[-71.0587, 42.3594]],
            "clock": "event", "valid_from": "2015-01-01T00:00:00Z", "valid_to": "2027-01-01T00:00:00Z"
        }),
        json!({
            "name": "air", "from": {"kafka": "air"}, "format": "csv", "event": "observation",
            "columns": ["sensor", "at", "p10", "p25", "lon", "lat"],
            "source": {"const": "//air"}, "id": ["sensor", "at"], "sensor": "sensor",
            "time": {"field": "at", "format": "%Y-%m-%dT%H:%M:%S", "zone": "UTC"}, "lon": "lon", "lat": "lat",
            "values": [{"field": "p10", "property": "water_level", "unit": "cm"},
                {"field": "p25", "property": "flow", "unit": "m/s"}]
        }),
        json!({
            "name": "outages", "from": {"kafka": "outages"}, "format": "csv", "event": "report",
            "columns": ["event", "seen", "number", "hazard", "lat", "lon"],
            "source": {"const": "//outages"}, "id": {"hash": "row"}, "report": "number", "time": "seen",
            "op": {"field": "event", "map": {"seen": "open", "update": "update", "gone": "close"}},
            "category": {"const": "flooding"}, "severity": {"field": "hazard", "map": {"0": 1, "1": 4}},
            "lon": "lon", "lat": "lat"
        }),
        json!({
            "name": "fleet", "from": {"kafka": "fleet"}, "format": "json", "event": "position",
            "source": "/meta/source", "id": ["/meta/seq", "unit"], "time": {"field": "at", "format": "unix_ms"},
            "unit": "unit", "status": {"field": "state", "map": {"1": "available"}, "default": "unknown"},
            "skills": "skills", "lon": "/place/0", "lat": "/place/1"
        }),
    ]
}

fn compile(settings: Value) -> FeedMapper {
    let settings = serde_json::from_value(settings).expect("settings");
    FeedMapper::compile(&settings, Path::new("."), None).expect("a mapping")
}

/// Maps, judges and counts them.
pub fn run(bytes: &[u8]) {
    let Some((first, rows)) = bytes.split_first() else {
        return;
    };
    let mapper = &MAPPERS[usize::from(*first) % MAPPERS.len()];
    let mut grid = Grid::new(Some(mapper.rules()));
    for row in rows.split(|byte| *byte == b'\n') {
        for candidate in mapper.map(row) {
            grid.take(candidate);
        }
    }
    grid.balances();
}
