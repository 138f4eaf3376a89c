//! The rooms of `ingest`: from the words to the sources. What reads reference layers from files lies above what reads feeds, as
//! both name fields in one way.

use super::House;

pub(crate) const ROOMS: House = House {
    name: "ingest",
    rooms: &[
        "words",
        "threads",
        "cells",
        "globe",
        "disk",
        "files",
        "places",
        "edge",
        "decode/cloudevent",
        "decode/feed",
        "decode",
        "places/load",
        "dead_letter",
        "log/kafka",
        "log",
        "grid",
        "observer",
        "checkpoint",
        "identity",
        "seal",
        "layer_store",
        "purge",
        "pipeline",
        "source/progress",
        "source/kafka",
        "source",
    ],
    still_to_mend: &[],
};
