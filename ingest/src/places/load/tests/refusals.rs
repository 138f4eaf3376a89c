//! What is wrong with reference layers is told with its place.

use serde_json::json;

use super::*;

#[test]
fn what_is_wrong_with_areas_is_told_with_file_and_feature() {
    let one = |properties: &Value, geometry: &Value| collection(&[feature(properties, geometry)]);
    let named = |geometry: &Value| one(&json!({"name": "A"}), geometry);
    let tie = json!({"type": "Polygon", "coordinates": [[[0, 0], [2, 2], [2, 0], [0, 2], [0, 0]]]});
    let open = json!({"type": "Polygon", "coordinates": [[[0, 0], [2, 0], [2, 2], [0, 2]]]});
    let twice = collection(&[
        feature(&json!({"name": "A b"}), &square(0.0, 0.0, 1.0)),
        feature(&json!({"name": "A-b"}), &square(1.0, 0.0, 1.0)),
    ]);
    let projected = json!({"type": "FeatureCollection", "features": [],
        "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::2249"}}});
    for (text, expected) in [
        (
            named(&tie),
            "areas: a.geojson, feature 1: `A`: ring 1 of polygon 1 crosses itself near lon 1, lat 1",
        ),
        (
            named(&open),
            "areas: a.geojson, feature 1: `A`: ring 1 of polygon 1 is not closed",
        ),
        (
            named(&square(100.0, 200.0, 1.0)),
            "areas: a.geojson, feature 1: `A`: ring 1 of polygon 1: lon 100, lat 200 is off the globe",
        ),
        (
            named(&json!(null)),
            "areas: a.geojson, feature 1: `A`: it has no geometry; an area is a Polygon or MultiPolygon",
        ),
        (
            named(&json!({"type": "Point", "coordinates": [0, 0]})),
            "feature 1: `A`: its geometry is a Point",
        ),
        (
            named(&json!({"type": "Point", "coordinates": [0]})),
            "feature 1: ",
        ),
        (
            named(&json!({"type": "LineString", "coordinates": [[0, 0], [1, 1]]})),
            "feature 1: its geometry is a LineString; areas are",
        ),
        (
            one(&json!({"title": "A"}), &square(0.0, 0.0, 1.0)),
            "areas: a.geojson, feature 1: field `name` is missing; `name` needs it",
        ),
        (
            one(&json!({"name": "Observed"}), &square(0.0, 0.0, 1.0)),
            "the id `observed` is a word of `domain`",
        ),
        (
            twice,
            "areas: a.geojson, feature 2: the id `a_b` is that of district `A b` and of district `A-b`",
        ),
        (collection(&[]), "areas: a.geojson: it holds no area"),
        (
            projected.to_string(),
            "areas: a.geojson: its reference system is urn:ogc:def:crs:EPSG::2249; longitude and latitude",
        ),
        (
            json!({"type": "Topology"}).to_string(),
            "areas: a.geojson: it is a `Topology`; a FeatureCollection is needed",
        ),
        ("{".to_owned(), "areas: a.geojson: it is not GeoJSON: EOF"),
    ] {
        let said = refusal(
            &[("a.geojson", &text)],
            &json!({"areas": [{"level": "district", "file": "a.geojson", "name": "name"}]}),
        );
        assert!(said.contains(expected), "{said}\n{expected}");
    }
}

#[test]
fn what_is_wrong_with_a_table_is_told_with_its_key() {
    let files = [
        ("city.geojson", city()),
        ("districts.json", districts()),
        ("a.csv", "name,shape\nA,CIRCLE(1 2)\n".to_owned()),
    ];
    let files = files.each_ref().map(|(name, text)| (*name, text.as_str()));
    let city = json!({"level": "city", "file": "city.geojson", "name": "name"});
    for (table, expected) in [
        (
            json!({"level": "City Hall", "file": "city.geojson", "name": "name"}),
            "areas: city.geojson: `level` is `City Hall`; it must be [a-z0-9_]{1,64}, for example `city_hall`",
        ),
        (
            json!({"level": "district", "file": "districts.json", "name": "name", "within": "town"}),
            "`within` is `town`; it must be a level of an [[areas]] table before this one, and those are: `city`",
        ),
        (
            json!({"level": "district", "file": "districts.json", "name": "name", "within": "city", "parent": "code"}),
            "`within` and `parent` both say",
        ),
        (
            json!({"level": "district", "file": "districts.json", "name": "name", "id": {"hash": "row"}}),
            "feature 1: `id` must name fields",
        ),
        (
            json!({"level": "district", "file": "absent.json", "name": "name"}),
            "areas: absent.json: No such file",
        ),
        (
            json!({"level": "district", "file": "districts.shp", "name": "name"}),
            "its name must end in .geojson, .json or .csv",
        ),
        (
            json!({"level": "district", "file": "a.csv", "name": "title", "wkt": "shape"}),
            "areas: a.csv: it has no column `title`, but `name`, `shape`",
        ),
        (
            json!({"level": "district", "file": "a.csv", "name": "name", "wkt": "shape"}),
            "areas: a.csv, line 2: `CIRCLE(1 2)` is not well-known text",
        ),
        (
            json!({"level": "district", "file": "districts.json", "name": "name", "wkt": "shape"}),
            "`wkt` is for CSV",
        ),
        (
            json!({"level": "district", "file": "city.geojson", "name": "name", "population": "name"}),
            "field `name` is `Harbour City`; `population` must be a number",
        ),
        (
            json!({"level": "district", "file": "city.geojson", "name": "name", "population": {"const": -1}}),
            "the constant `-1` is -1; `population` is a number of people",
        ),
    ] {
        let said = refusal(&files, &json!({"areas": [city, table]}));
        assert!(said.contains(expected), "{said}\n{expected}");
    }
}

#[test]
fn what_is_wrong_with_facilities_and_people_is_told_with_the_line() {
    let files = [
        ("f.csv", "id,name,x,y,kind\na,A,1,2,school\na,B,3,4,school\n"),
        (
            "swapped.csv",
            "name,x,y,kind\nA,22.5,113.9,Big School\nB,22.5,113.9,school\n",
        ),
        ("gap.csv", "name,x,y,kind\nA,1,,school\n"),
        ("empty.csv", "name,x,y,kind\n"),
        ("people.csv", "area,people\nnowhere,5\n"),
    ];
    let table = |file: &str, kind: &Value| json!({"facilities": [{"kind": kind, "file": file, "name": "name", "lon": "x", "lat": "y"}]});
    let school = json!({"const": "school"});
    let mut with_ids = table("f.csv", &school);
    with_ids["facilities"][0]["id"] = json!("id");
    let mut half = table("f.csv", &school);
    half["facilities"][0].as_object_mut().unwrap().remove("lat");
    for (tables, expected) in [
        (
            with_ids,
            "facilities: f.csv, line 3: the id `a` is that of `A` and of `B`; ids are unique over all kinds",
        ),
        (
            half,
            "facilities: f.csv, line 2: `A`: `lon` and `lat` go together; give both",
        ),
        (
            table("swapped.csv", &json!("kind")),
            "line 2: `A`: its `kind` is `Big School`; it must be [a-z0-9_]{1,64}: map it",
        ),
        (
            table("swapped.csv", &school),
            "line 2: `A`: lon 22.5, lat 113.9 is off the globe: lon goes from -180 to 180, lat from -90 to 90; are they swapped",
        ),
        (
            table("gap.csv", &school),
            "line 2: `A`: field `y` is missing; `lat` needs it",
        ),
        (
            table("empty.csv", &school),
            "facilities: empty.csv: it holds no facility",
        ),
        (
            json!({"population": [{"file": "people.csv", "area": "area", "value": "people"}]}),
            "population: people.csv: none of its rows is of an area that was loaded",
        ),
        (
            json!({"population": [{"file": "people.csv", "value": "people"}]}),
            "population: people.csv, line 2: it has no place; give `lon` and `lat`",
        ),
    ] {
        let said = refusal(&files, &tables);
        assert!(said.contains(expected), "{said}\n{expected}");
    }
}
