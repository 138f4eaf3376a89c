//! The rooms of `api`.

use super::House;

pub const ROOMS: House = House {
    name: "api",
    rooms: &[
        "problem",
        "process_memory",
        "sources",
        "tiles",
        "http",
        "console",
        "intake",
        "webhooks",
        "decisions",
        "alerting",
        "alerts_table",
        "evaluate",
        "stream",
        "forwarded",
        "config",
        "guard",
        "app",
        "dead_letters",
        "sql_tables",
        "metrics",
        "routes",
        "data_dir",
        "server",
        "command_line",
    ],
    still_to_mend: &[
        ("webhooks", "decisions"),
        ("forwarded", "config"),
        ("app", "dead_letters"),
        ("app", "routes"),
        ("data_dir", "server"),
    ],
};
