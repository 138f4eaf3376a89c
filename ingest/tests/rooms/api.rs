//! The rooms of `api`.

use super::House;

pub(crate) const ROOMS: House = House {
    name: "api",
    rooms: &[
        "problem",
        "durations",
        "process_memory",
        "data_dir",
        "digest",
        "publication",
        "tiles",
        "http",
        "database",
        "audit",
        "access",
        "alerts",
        "config",
        "console",
        "guard",
        "intake",
        "stream",
        "risk",
        "dead_letters",
        "app",
        "sql_tables",
        "metrics",
        "routes",
        "server",
        "command_line",
    ],
    still_to_mend: &[],
};
