//! `TileJSON` 3.0: how a map finds a layer's tiles and what is in them.

use h3o::Resolution;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::extent::Extent;
use super::resolution::resolutions;
use super::tile_id::MAX_ZOOM;

/// The map's edge in degrees of latitude.
const EDGE: f64 = 85.051_129;

/// What a layer's `TileJSON` is made from.
#[derive(Clone, Debug)]
pub struct TileJson<'a> {
    /// The layer's id, which is also the name of the layer in each tile.
    pub layer: &'a str,
    /// The layer's label, for people.
    pub label: &'a str,
    /// The metric that the tiles show.
    pub metric: &'a str,
    /// The unit of the metric, a UCUM code; empty for counts.
    pub unit: &'a str,
    /// The URL of the tiles, with `{z}`, `{x}` and `{y}` in it, and the query that the document was asked with.
    pub tiles: &'a str,
    /// The resolution that the grid stores.
    pub base: Resolution,
    /// What the tiles can show for as long as it may be kept; `None` is the whole map.
    pub bounds: Option<Extent>,
    /// What they show of the newest day, for a first view.
    pub newest: Option<Extent>,
    /// Fixed colours, of metrics that have some.
    pub legend: Option<Value>,
}

#[derive(Serialize)]
struct Document<'a> {
    tilejson: &'static str,
    name: &'a str,
    scheme: &'static str,
    tiles: [&'a str; 1],
    vector_layers: [Value; 1],
    minzoom: u8,
    maxzoom: u8,
    bounds: [f64; 4],
    #[serde(skip_serializing_if = "Option::is_none")]
    center: Option<(f64, f64, u8)>,
    /// Where the newest day's hexagons are.
    #[serde(rename = "riskgrid:newest", skip_serializing_if = "Option::is_none")]
    newest: Option<[f64; 4]>,
    /// Fixed colours.
    #[serde(rename = "riskgrid:legend", skip_serializing_if = "Option::is_none")]
    legend: Option<&'a Value>,
    /// H3 resolution of each zoom, from `minzoom` to `maxzoom`.
    #[serde(rename = "riskgrid:resolutions")]
    resolutions: Vec<u8>,
}

/// The document. Its fields do not depend on time or data, except the bounds.
pub fn tilejson(about: &TileJson<'_>) -> Value {
    let whole = [-180.0, -EDGE, 180.0, EDGE];
    let on_map = |extent: Extent| {
        let [west, south, east, north] = extent.degrees();
        [west, south.max(-EDGE), east, north.min(EDGE)]
    };
    let document = Document {
        tilejson: "3.0.0",
        name: about.label,
        scheme: "xyz",
        tiles: [about.tiles],
        vector_layers: [json!({
            "id": about.layer,
            "description": about.label,
            "minzoom": 0,
            "maxzoom": MAX_ZOOM,
            "fields": fields(about),
        })],
        minzoom: 0,
        maxzoom: MAX_ZOOM,
        bounds: about.bounds.map_or(whole, on_map),
        center: about.newest.map(|newest| newest.view(MAX_ZOOM)),
        newest: about.newest.map(on_map),
        legend: about.legend.as_ref(),
        resolutions: resolutions(about.base).map(u8::from).collect(),
    };
    json!(document)
}

fn fields(about: &TileJson<'_>) -> Map<String, Value> {
    let metric = match about.unit {
        "" if about.metric == "class" => "String: class".to_owned(),
        "" => format!("Number: {}", about.metric),
        unit => format!("Number: {} in {unit}", about.metric),
    };
    let mut fields = Map::new();
    fields.insert(about.metric.to_owned(), metric.into());
    fields.insert("cell".to_owned(), "String: H3 cell".into());
    let count = if about.legend.is_some() {
        "Number: cells of the surface in the hexagon"
    } else {
        "Number: events in the window"
    };
    fields.insert("count".to_owned(), count.into());
    fields
}

#[cfg(test)]
mod tests {
    use h3o::CellIndex;
    use riskgrid_ingest::edge::Bounds;

    use super::*;

    const ABOUT: TileJson<'static> = TileJson {
        layer: "water_level",
        label: "Water level",
        metric: "max",
        unit: "m",
        tiles: "http://127.0.0.1:8080/v1/tiles/water_level/{z}/{x}/{y}.mvt?metric=max",
        base: Resolution::Eight,
        bounds: None,
        newest: None,
        legend: None,
    };

    #[test]
    fn the_document_has_all_that_the_standard_requires() {
        let document = tilejson(&ABOUT);
        assert_eq!(document["tilejson"], "3.0.0");
        assert_eq!(document["tiles"], json!([ABOUT.tiles]));
        assert_eq!(document["minzoom"], 0);
        assert_eq!(document["maxzoom"], 14);
        assert_eq!(
            document["bounds"],
            json!([-180.0, -85.051_129, 180.0, 85.051_129])
        );
        let layer = &document["vector_layers"][0];
        assert_eq!(layer["id"], "water_level");
        let fields: Vec<&String> = layer["fields"].as_object().expect("an object").keys().collect();
        assert_eq!(fields, ["cell", "count", "max"]);
    }

    #[test]
    fn it_tells_the_resolution_of_each_zoom() {
        let document = tilejson(&ABOUT);
        assert_eq!(
            document["riskgrid:resolutions"],
            json!([1, 2, 2, 3, 4, 4, 5, 6, 7, 7, 8, 8, 8, 8, 8])
        );
    }

    #[test]
    fn bounds_stay_on_the_map_and_count_is_told_once() {
        let polar = TileJson {
            bounds: Some(Extent::around(
                &Bounds([-10.0, -90.0, 10.0, 20.0]),
                Resolution::Eight,
            )),
            newest: Extent::of(CellIndex::try_from(0x0892_8308_283b_ffff)),
            metric: "count",
            unit: "",
            ..ABOUT
        };
        let document = tilejson(&polar);
        let bounds = document["bounds"].as_array().expect("a list");
        assert_eq!(bounds[0], -180.0);
        assert!(
            bounds[1]
                .as_f64()
                .is_some_and(|south| (-85.051_129..-85.051_128).contains(&south))
        );
        assert_eq!(document["center"][2], 14);
        assert!(
            document["riskgrid:newest"][0]
                .as_f64()
                .is_some_and(|west| (-123.0..-122.0).contains(&west))
        );
        assert_eq!(
            document["vector_layers"][0]["fields"].as_object().map(Map::len),
            Some(2)
        );
    }
}
