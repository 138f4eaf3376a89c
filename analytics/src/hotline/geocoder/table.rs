//! The table of places as people write it: CSV, or a list of JSON.

use std::collections::HashSet;

use serde::Deserialize;

use super::gazetteer::{LONGEST_QUERY, Place, PlaceKind};

/// Longest id of a place, in bytes.
const LONGEST_ID: usize = 128;
/// Between several names in one field of CSV.
const BETWEEN: [char; 2] = ['|', ';'];

/// What of a table cannot be.
#[derive(Debug, thiserror::Error)]
#[error("place {number}: {why}")]
pub struct InvalidPlace {
    /// Which of them, from 1.
    pub number: usize,
    /// What, and what is allowed.
    pub why: String,
}

/// A line of CSV, whose lists are texts.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    id: String,
    kind: PlaceKind,
    names: String,
    #[serde(default)]
    chain: String,
    #[serde(default)]
    postcode: Option<String>,
    lon: f64,
    lat: f64,
}

/// Reads the places of a text: a JSON list of objects where it begins with `[`, else CSV whose first line names its columns:
/// `id`, `kind`, `names`, `lon`, `lat` and, if there are such, `chain` and `postcode`. Several names in one field are a JSON list,
/// or stand between `|` or `;`.
///
/// # Errors
/// The first place that cannot be, and why.
pub fn read_places(text: &str) -> Result<Vec<Place>, InvalidPlace> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let places = if text.trim_start().starts_with('[') {
        of_json(text)?
    } else {
        of_csv(text)?
    };
    let mut known = HashSet::with_capacity(places.len());
    for (number, place) in (1..).zip(&places) {
        check(place).map_err(|why| InvalidPlace { number, why })?;
        if !known.insert(place.id.as_str()) {
            let why = format!("`id` is \"{}\", which another place has too", place.id);
            return Err(InvalidPlace { number, why });
        }
    }
    Ok(places)
}

fn of_json(text: &str) -> Result<Vec<Place>, InvalidPlace> {
    let rows: Vec<serde_json::Value> = serde_json::from_str(text).map_err(|error| InvalidPlace {
        number: 1,
        why: format!("the table is no list of JSON: {error}"),
    })?;
    let read = (1..).zip(rows).map(|(number, row)| {
        serde_json::from_value(row).map_err(|error| InvalidPlace {
            number,
            why: error.to_string(),
        })
    });
    read.collect()
}

fn of_csv(text: &str) -> Result<Vec<Place>, InvalidPlace> {
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let read = (1..).zip(reader.deserialize::<Line>()).map(|(number, line)| {
        let wrong = |why: String| InvalidPlace { number, why };
        let line = line.map_err(|error| wrong(error.to_string()))?;
        Ok(Place {
            id: line.id,
            kind: line.kind,
            names: list(&line.names).map_err(|why| wrong(format!("`names`: {why}")))?,
            chain: list(&line.chain).map_err(|why| wrong(format!("`chain`: {why}")))?,
            postcode: line.postcode.filter(|postcode| !postcode.is_empty()),
            lon: line.lon,
            lat: line.lat,
        })
    });
    read.collect()
}

fn list(field: &str) -> Result<Vec<String>, String> {
    if field.starts_with('[') {
        return serde_json::from_str(field).map_err(|error| error.to_string());
    }
    let parts = field
        .split(BETWEEN)
        .map(str::trim)
        .filter(|part| !part.is_empty());
    Ok(parts.map(str::to_owned).collect())
}

fn check(place: &Place) -> Result<(), String> {
    if place.id.is_empty() || place.id.len() > LONGEST_ID || place.id.contains('\0') {
        return Err(format!("`id` must have 1 to {LONGEST_ID} bytes"));
    }
    if place.names.is_empty() {
        return Err("`names` has none".to_owned());
    }
    for name in place.names.iter().chain(&place.chain) {
        let letters = name.chars().count();
        if letters == 0 || letters > LONGEST_QUERY {
            return Err(format!(
                "a name has {letters} characters; allowed: 1 to {LONGEST_QUERY}"
            ));
        }
    }
    let is_on_earth = (-180.0..=180.0).contains(&place.lon) && (-90.0..=90.0).contains(&place.lat);
    if !is_on_earth || (place.lon == 0.0 && place.lat == 0.0) {
        return Err("`lon` and `lat` are degrees, -180 to 180 and -90 to 90, and not both 0".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_csv_or_a_list_of_json() {
        let csv = "id,kind,names,chain,postcode,lon,lat\n\
                   p1,address,科技园路8号|科技园八号,深圳市;南山区,518000,113.9501,22.5401\n\
                   p2,street,\"[\"\"A | B Street\"\"]\",,,113.9,22.5\n";
        let json = r#"[{"id":"p1","kind":"address","names":["科技园路8号","科技园八号"],"chain":["深圳市","南山区"],
                       "postcode":"518000","lon":113.9501,"lat":22.5401},
                       {"id":"p2","kind":"street","names":["A | B Street"],"lon":113.9,"lat":22.5}]"#;
        let places = read_places(csv).unwrap();
        assert_eq!(places, read_places(json).unwrap());
        assert_eq!(places, read_places(&format!("\u{feff}{csv}")).unwrap());
        assert_eq!(places[1].names, ["A | B Street"]);
        assert!(read_places("id,kind,names,lon,lat\n").unwrap().is_empty());
        assert!(read_places("[]").unwrap().is_empty());
    }

    #[test]
    fn a_place_that_cannot_be_is_named() {
        let second = |line: &str| format!("id,kind,names,lon,lat\na,poi,A,1,2\n{line}\n");
        for (text, said) in [
            (second("a,poi,B,1,2"), "place 2: `id` is \"a\""),
            (second("b,castle,B,1,2"), "place 2: "),
            (second("b,poi,,1,2"), "place 2: `names` has none"),
            (second("b,poi,B,181,2"), "place 2: `lon` and `lat`"),
            (second("b,poi,B,0,0"), "place 2: `lon` and `lat`"),
            (second("b,poi,B,NaN,2"), "place 2: `lon` and `lat`"),
            (second("b,poi,B,x,2"), "place 2: "),
            (second("b,poi,B,1"), "place 2: "),
            (second(",poi,B,1,2"), "place 2: `id`"),
            (second("b,poi,[x,1,2"), "place 2: `names`"),
            ("id,name\n1,2\n".to_owned(), "place 1: "),
            ("[{\"id\":\"a\",\"colour\":1}]".to_owned(), "place 1: "),
            ("[1".to_owned(), "the table is no list of JSON"),
        ] {
            let told = read_places(&text).unwrap_err().to_string();
            assert!(told.contains(said), "{text}: {told}");
        }
    }
}
