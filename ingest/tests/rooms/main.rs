//! The rooms of the house: which part of a crate may use which. Each crate's rooms stand in one order, from the ground up, and a
//! room uses only rooms before it. So there is no circle between folders, and what lies below can be read, tested and changed
//! without what lies above.
#![allow(clippy::expect_used, clippy::panic, reason = "tests")]

mod analytics;
mod api;
mod arrows;
mod ingest;
mod twins;

use std::collections::BTreeSet;
use std::path::Path;

use arrows::{Arrow, Module, Sources};

/// A crate's rooms from the ground up. A room is a module with all that is in it but the rooms that are named themselves.
struct House {
    name: &'static str,
    rooms: &'static [&'static str],
    /// Arrows upwards that are still there: `(from, to)`. This list can only get shorter.
    still_to_mend: &'static [(&'static str, &'static str)],
}

const HOUSES: [House; 3] = [ingest::ROOMS, analytics::ROOMS, api::ROOMS];

#[test]
fn a_room_uses_only_rooms_below_it() {
    let mut wrong = Vec::new();
    for house in &HOUSES {
        let sources = sources_of(house);
        let mut seen = BTreeSet::new();
        for arrow in &sources.arrows {
            let (Some(from), Some(to)) = (house.room_of(&arrow.from), house.room_of(&arrow.to)) else {
                continue;
            };
            if to <= from {
                continue;
            }
            let between = (house.rooms[from], house.rooms[to]);
            seen.insert(between);
            if !house.still_to_mend.contains(&between) {
                wrong.push(format!(
                    "{}: {} is below {}, and uses it: {}",
                    house.name,
                    between.0,
                    between.1,
                    told(arrow)
                ));
            }
        }
        for between in house
            .still_to_mend
            .iter()
            .filter(|between| !seen.contains(*between))
        {
            wrong.push(format!(
                "{}: {} → {} is mended; take it off the list",
                house.name, between.0, between.1
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_module_lies_in_a_room_and_every_room_is_there() {
    let mut wrong = Vec::new();
    for house in &HOUSES {
        let sources = sources_of(house);
        assert!(sources.modules.len() > 50, "{}: the sources are read", house.name);
        for module in sources.modules.iter().filter(|module| !module.is_empty()) {
            if house.room_of(module).is_none() {
                wrong.push(format!("{}: {} lies in no room", house.name, module.join("/")));
            }
        }
        for room in house.rooms {
            let module: Module = room.split('/').map(str::to_owned).collect();
            if !sources.modules.contains(&module) {
                wrong.push(format!("{}: there is no {room}", house.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

impl House {
    /// The place in the order of the room that a module lies in: the innermost that is named.
    fn room_of(&self, module: &Module) -> Option<usize> {
        (1..=module.len()).rev().find_map(|length| {
            let path = module[..length].join("/");
            self.rooms.iter().position(|room| *room == path)
        })
    }
}

fn sources_of(house: &House) -> Sources {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    arrows::read(&root.join(house.name).join("src"))
}

fn told(arrow: &Arrow) -> String {
    format!("{} says {}", arrow.from.join("/"), arrow.path)
}
