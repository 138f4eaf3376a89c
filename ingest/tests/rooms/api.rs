//! The rooms of `api`.

use super::House;

pub(crate) const ROOMS: House = House {
    name: "api",
    rooms: &[
        "problem",
        "durations",
        "process_memory",
        "data_dir",
        "durations",
        "publication",
        "tiles",
        "http",
        "alerts",
        "audit",
        "access",
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
    still_to_mend: &[
        ("http", "config"),
        ("alerts", "audit"),
        ("alerts", "access"),
        ("audit", "access"),
        ("access", "app"),
    ],
};
