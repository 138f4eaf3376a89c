//! Checkpoints that were damaged: an older whole one is used and the log read again from there to equal totals, or the
//! start is refused with what to do, and nothing is touched.

use super::super::manifest::MANIFEST;
use super::*;

/// A damage and how it is done.
type Damage = (&'static str, fn(&Place));

fn cut_in_half(place: &Place, name: &str) {
    let bytes = place.read(name);
    place.write(name, &bytes[..bytes.len() / 2]);
}

fn flip(place: &Place, name: &str, byte: usize) {
    let mut bytes = place.read(name);
    bytes[byte] ^= 1;
    place.write(name, &bytes);
}

/// The start must be refused, saying this, and leave every byte where it was.
fn is_refused(place: &Place, says: &[&str]) {
    let before = place.contents();
    let Err(error) = Run::start(place) else {
        panic!("started although {says:?}");
    };
    let error = error.to_string();
    for part in says {
        assert!(error.contains(part), "`{part}` is not in: {error}");
    }
    assert!(place.contents() == before, "touched: {error}");
}

#[test]
fn a_damaged_newest_checkpoint_gives_way_to_the_one_before_and_the_totals_are_equal() {
    let damages: [Damage; 8] = [
        ("state cut in half", |place| {
            cut_in_half(place, &place.newest(".state"));
        }),
        ("state missing", |place| place.remove(&place.newest(".state"))),
        ("state empty", |place| place.write(&place.newest(".state"), &[])),
        ("a bit of the state", |place| {
            flip(place, &place.newest(".state"), 300);
        }),
        ("manifest cut in half", |place| {
            cut_in_half(place, &place.newest(MANIFEST));
        }),
        ("manifest missing", |place| place.remove(&place.newest(MANIFEST))),
        ("manifest empty", |place| {
            place.write(&place.newest(MANIFEST), &[]);
        }),
        ("manifest of another number", |place| {
            let name = place.newest(MANIFEST);
            let other = String::from_utf8(place.read(&name)).unwrap();
            let other = other.replace("\"number\": 3", "\"number\": 7");
            place.write(&name, other.as_bytes());
        }),
    ];
    for (damage, spoil) in damages {
        for place in Place::all() {
            let totals = saved(&place);
            spoil(&place);
            let mut run = Run::start(&place).unwrap();
            assert_eq!(run.partition.next_offset(), SAVED[1], "{damage}");
            run.read_to(END);
            assert_eq!(run.totals(), totals, "{damage}");
            // What is written on top of it is the newest at the next start.
            run.save().unwrap();
            let mut run = Run::start(&place).unwrap();
            assert_eq!(
                (run.partition.next_offset(), run.totals()),
                (END, totals),
                "{damage}"
            );
        }
    }
}

#[test]
fn any_flipped_bit_leaves_a_sound_state_or_is_refused() {
    let place = Place::in_folder();
    let totals = saved(&place);
    for ending in [".state", MANIFEST] {
        let name = place.newest(ending);
        let whole = place.read(&name);
        let step = if ending == ".state" { whole.len() / 200 } else { 1 };
        for byte in (0..whole.len()).step_by(step.max(1)) {
            flip(&place, &name, byte);
            match Run::start(&place) {
                Ok(mut run) => {
                    assert!(run.partition.next_offset() >= SAVED[1], "{ending} {byte}");
                    run.read_to(END);
                    assert_eq!(run.totals(), totals, "{ending} {byte}");
                }
                Err(CheckpointError::Format { .. }) => {}
                Err(error) => panic!("{ending} {byte}: {error}"),
            }
            place.write(&name, &whole);
        }
    }
}

#[test]
fn a_newer_format_is_refused_and_nothing_is_touched() {
    for place in Place::all() {
        saved(&place);
        let name = place.newest(MANIFEST);
        place.write(&name, br#"{"format": 4, "all": "that follows is unknown"}"#);
        let path = place.files.place_of(&folder_name(&id()), &name);
        is_refused(&place, &[&path, "format 4", "start the version that wrote it"]);
    }
}

#[test]
fn where_no_checkpoint_is_whole_the_start_is_refused_and_nothing_is_touched() {
    let what_to_do = [
        "rivers%2fhongkong@3",
        "restore it from a backup, or remove the folder",
    ];
    for place in Place::all() {
        saved(&place);
        for manifest in place.names(MANIFEST) {
            cut_in_half(&place, &manifest);
        }
        is_refused(&place, &what_to_do);
    }
    for place in Place::all() {
        let totals = saved(&place);
        for name in place.names(".state") {
            place.remove(&name);
        }
        is_refused(&place, &what_to_do);

        for name in place.names("") {
            place.remove(&name);
        }
        let mut run = Run::start(&place).unwrap();
        run.read_to(END);
        assert_eq!(run.totals(), totals);
    }
}

#[test]
fn a_first_checkpoint_that_a_crash_left_unfinished_is_none() {
    for (whole, unfinished) in Place::all().zip(Place::all()) {
        let totals = saved(&whole);
        let state = whole.names(".state").remove(0);
        unfinished.write(&state, &whole.read(&state));
        // As a folder leaves it.
        unfinished.write("00000001-000000000001.manifest.json.new", b"{\"form");

        let mut run = Run::start(&unfinished).unwrap();
        assert_eq!(run.partition.next_offset(), 0);
        run.read_to(END);
        // The names of the first epoch are taken.
        run.save().unwrap();
        let mut run = Run::start(&unfinished).unwrap();
        assert_eq!((run.partition.next_offset(), run.totals()), (END, totals));
        assert_eq!(unfinished.names(".new"), Vec::<String>::new());
    }
}

#[test]
fn a_try_that_fails_leaves_nothing_behind_and_the_next_one_succeeds() {
    for place in Place::all() {
        let totals = saved(&place);
        let mut run = Run::start(&place).unwrap();
        assert_eq!(run.partition.next_offset(), END);
        run.claim().unwrap();
        let states = place.names(".state");
        // In the way of the next manifest, but not of its state.
        place.write("00000002-000000000004.manifest.json", b"what another left");
        let error = run.save().unwrap_err().to_string();
        assert!(error.contains("00000002-000000000004.manifest.json"), "{error}");
        assert_eq!(place.names(".state"), states);
        run.save().unwrap();
        let mut run = Run::start(&place).unwrap();
        assert_eq!((run.partition.next_offset(), run.totals()), (END, totals));
    }
}

#[test]
fn a_file_in_place_of_the_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let taken = folder.path().join("checkpoints");
    std::fs::write(&taken, "not a folder").unwrap();
    let error = Files::open_folder(&taken).unwrap_err().to_string();
    assert!(error.contains(&taken.display().to_string()), "{error}");
    assert_eq!(std::fs::read(&taken).unwrap(), b"not a folder");
}
