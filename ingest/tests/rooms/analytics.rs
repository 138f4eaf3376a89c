//! The rooms of `analytics`.

use super::House;

pub(crate) const ROOMS: House = House {
    name: "analytics",
    rooms: &[
        "geometry",
        "named_area",
        "rules",
        "statistics",
        "sql",
        "tables",
        "functions",
        "table_functions",
    ],
    still_to_mend: &[("sql", "functions"), ("sql", "tables")],
};
