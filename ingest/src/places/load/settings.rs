//! The tables `[[areas]]`, `[[facilities]]` and `[[population]]`, as they are written in the configuration file.
//!
//! As with feeds, a bare text names a field: a property of a GeoJSON feature (or, when it starts with `/`, a JSON pointer
//! into its properties), a column of CSV or Parquet; `{ const = … }` is a constant, and `{ field, map, default }` maps.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::decode::feed::{FieldSpec, IdSettings};

/// One file of areas of one level.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AreaSettings {
    /// Name of the level, `[a-z0-9_]{1,64}`. Several tables may give areas of one level.
    pub level: String,
    /// `.geojson`, `.json` or `.csv`, plain or with `.gz`, or `.parquet`; a relative path starts at the configuration
    /// file's folder.
    pub file: PathBuf,
    /// `"field"` or `["field", …]`, joined by `:`. Unique over all levels. Default: the name as a slug.
    pub id: Option<IdSettings>,
    /// Name for people.
    pub name: FieldSpec,
    /// The level above, of a table before this one: the parent is its area that holds a point inside this one, if any
    /// does. Default: no parent.
    pub within: Option<String>,
    /// The id of the parent, where the file says it; then without `within`.
    pub parent: Option<FieldSpec>,
    /// How many people live there. Default: not known, or what `[[population]]` says.
    pub population: Option<FieldSpec>,
    /// The column of a CSV file that holds polygons as well-known text.
    pub wkt: Option<String>,
    /// One ASCII character between the fields of CSV. Default `,`.
    #[serde(default = "default_delimiter")]
    pub delimiter: char,
}

/// One file of facilities.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FacilitySettings {
    /// What they are: `{ const = "hospital" }`, or a field.
    pub kind: FieldSpec,
    /// As of areas.
    pub file: PathBuf,
    /// `"field"` or `["field", …]`, joined by `:`. Unique over all kinds. Default: the name as a slug.
    pub id: Option<IdSettings>,
    /// Name for people.
    pub name: FieldSpec,
    /// Degrees east. Default: the file's geometry; of a polygon a point inside.
    pub lon: Option<FieldSpec>,
    /// Degrees north.
    pub lat: Option<FieldSpec>,
    /// The column of a CSV file that holds the place as well-known text.
    pub wkt: Option<String>,
    /// Fields that are kept as texts, as they are. Default: none.
    #[serde(default)]
    pub properties: Vec<String>,
    /// One ASCII character between the fields of CSV. Default `,`.
    #[serde(default = "default_delimiter")]
    pub delimiter: char,
}

/// One file of people: by area, or at points.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PopulationSettings {
    /// As of areas.
    pub file: PathBuf,
    /// How many people.
    pub value: FieldSpec,
    /// The id of the area in which they live. Rows of areas that were not loaded are passed over.
    pub area: Option<IdSettings>,
    /// Degrees east, where rows are points. Default: the file's geometry.
    pub lon: Option<FieldSpec>,
    /// Degrees north.
    pub lat: Option<FieldSpec>,
    /// The column of a CSV file that holds the place as well-known text.
    pub wkt: Option<String>,
    /// One ASCII character between the fields of CSV. Default `,`.
    #[serde(default = "default_delimiter")]
    pub delimiter: char,
}

/// One file of an indicator: a number for each area.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IndicatorSettings {
    /// As of areas.
    pub file: PathBuf,
    /// The id of the area. Rows of areas that were not loaded are passed over.
    pub area: IdSettings,
    /// Its number.
    pub value: FieldSpec,
    /// One ASCII character between the fields of CSV. Default `,`.
    #[serde(default = "default_delimiter")]
    pub delimiter: char,
}

const fn default_delimiter() -> char {
    ','
}
