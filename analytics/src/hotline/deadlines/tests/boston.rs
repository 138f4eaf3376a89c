//! What Boston published of 2015: when its requests were due, and whether they were done in time.

use std::fs::File;
use std::path::{Path, PathBuf};

use chrono::NaiveDateTime;
use flate2::read::MultiGzDecoder;
use riskgrid_ingest::MINUTE;

use super::*;

/// Seven types and their terms, in working dates to the time of day.
const TERMS: [(&str, &str); 7] = [
    ("Street Light Outages", "10wd@"),
    ("General Comments For a Program or Policy", "10wd@"),
    ("Empty Litter Basket", "1wd@"),
    ("CE Collection", "1wd@"),
    ("Sticker Request", "1wd@"),
    ("Sign Repair", "10wd@"),
    ("Abandoned Vehicles", "12wd@"),
];

struct Published {
    kind: String,
    opened: NaiveDateTime,
    target: Option<NaiveDateTime>,
    closed: Option<NaiveDateTime>,
    status: String,
}

fn file() -> Option<PathBuf> {
    let folder = match std::env::var_os("RISKGRID_TEST_DATA") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
    };
    let file = folder.join("boston_311/reports_2015-01_2015-09.csv.gz");
    if file.is_file() {
        return Some(file);
    }
    skipped::say("RISKGRID_TEST_DATA names no data sets");
    None
}

fn published(file: &Path) -> Vec<Published> {
    let mut rows = csv::Reader::from_reader(MultiGzDecoder::new(File::open(file).unwrap()));
    let headers = rows.headers().unwrap().clone();
    let column = |name: &str| headers.iter().position(|header| header == name).unwrap();
    let [kind, opened, target, closed, status] =
        ["TYPE", "OPEN_DT", "TARGET_DT", "CLOSED_DT", "OnTime_Status"].map(column);
    let time = |text: &str| (!text.is_empty()).then(|| text.parse::<NaiveDateTime>().unwrap());
    rows.records()
        .map(|row| {
            let row = row.unwrap();
            Published {
                kind: row[kind].to_owned(),
                opened: time(&row[opened]).unwrap(),
                target: time(&row[target]),
                closed: time(&row[closed]),
                status: row[status].to_owned(),
            }
        })
        .collect()
}

#[test]
fn the_published_targets_are_working_dates_to_the_time_of_day() {
    let Some(file) = file() else { return };
    let calendar = calendar("boston");
    let (mut all, mut near) = (0, 0);
    for row in published(&file) {
        let Some((_, term)) = TERMS.iter().find(|(kind, _)| *kind == row.kind) else {
            continue;
        };
        let Some(target) = row.target else { continue };
        let due = due_of(&calendar, &rule(term), Course::from(calendar.wall(row.opened)));
        let apart = calendar.local(due).signed_duration_since(target);
        all += 1;
        near += usize::from(apart.num_microseconds().unwrap().abs() <= 2 * MINUTE);
    }
    assert_eq!((near, all), (21_648, 23_089));
}

#[test]
fn in_time_is_before_due_as_published() {
    let Some(file) = file() else { return };
    let calendar = calendar("boston");
    let (mut all, mut agree, mut in_time, mut with_target, mut in_time_with_target) =
        (0u32, 0, 0u32, 0u32, 0u32);
    for row in published(&file) {
        let Some(closed) = row.closed.filter(|_| !row.status.is_empty()) else {
            continue;
        };
        let due = row.target.map(|target| calendar.wall(target));
        let is_in_time = due.is_none_or(|due| calendar.wall(closed) < due);
        all += 1;
        agree += usize::from(is_in_time == (row.status == "ONTIME"));
        in_time += u32::from(is_in_time);
        with_target += u32::from(due.is_some());
        in_time_with_target += u32::from(is_in_time && due.is_some());
    }
    assert_eq!((agree, all), (79_626, 79_626));
    assert_eq!(
        format!("{:.2}", 100.0 * f64::from(in_time) / f64::from(all)),
        "79.96"
    );
    assert_eq!(with_target, 61_988);
    assert_eq!(
        format!(
            "{:.2}",
            100.0 * f64::from(in_time_with_target) / f64::from(with_target)
        ),
        "74.26"
    );
}
