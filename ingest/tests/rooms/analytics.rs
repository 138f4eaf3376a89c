//! The rooms of `analytics`: what needs no SQL, the engine, what it is asked about, and on top what knows both.

use super::House;

pub(crate) const ROOMS: House = House {
    name: "analytics",
    rooms: &[
        "geometry",
        "named_area",
        "scan_at_once",
        "derived_id",
        "permission",
        "incidents",
        "statistics",
        "series",
        "risk",
        "publication",
        "rules",
        "hotline",
        "sql",
        "sql/bounds",
        "sql/cell_type",
        "sql/guards",
        "sql/functions_allowed",
        "sql/catalogue",
        "sql/spatial_join",
        "sql/engine",
        "sql/format",
        "functions",
        "tables",
        "tables/stored",
        "table_functions",
        "query_tables",
        "registration",
    ],
    still_to_mend: &[],
};
