use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use h3o::{CellIndex, Resolution};
use proptest::prelude::*;
use riskgrid_ingest::EventTime;

use super::*;

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
/// 2026-11-22T08:00:00Z.
const EIGHT: i64 = 1_795_334_400 * SECOND;

/// A chain: each is a neighbour of the next, and of no other.
const A: &str = "87411ca1bffffff";
const B: &str = "87411ca18ffffff";
const C: &str = "87411ca1cffffff";
const D: &str = "87411ca02ffffff";

fn cell(text: &str) -> CellIndex {
    text.parse().unwrap()
}

fn cover(text: &str) -> Cover {
    Cover::of_cells(&[cell(text)], Resolution::Seven).unwrap()
}

fn minute(minutes: i64) -> EventTime {
    EventTime::from_micros(EIGHT + minutes * MINUTE)
}

fn reach(gap: Duration) -> Reach {
    Reach { distance: 1, gap }
}

fn fire(group: &mut Group, alert: &str, at: EventTime, place: &str) {
    group.fire(alert, at, at, &cover(place));
}

/// `12:05 merge part 1 of [1, 2]`, with what is named by its first twelve characters.
fn told(changes: &Changes) -> Vec<String> {
    let line = |line: &Lineage| {
        let minutes = line.at.since(EventTime::from_micros(EIGHT)) / MINUTE;
        let about = line
            .about
            .as_deref()
            .map_or("-", |about| &about[..about.len().min(12)]);
        let incident = &line.incident[..12];
        format!(
            "{incident} +{minutes} {} {:?} {:?} {about}",
            line.kind.name(),
            line.part,
            line.of
        )
    };
    changes.lineage.iter().map(line).collect()
}

#[test]
fn a_chain_of_alerts_becomes_one_incident_falls_in_two_parts_and_closes() {
    let ids = ["1", "2", "3", "4"].map(|digit| digit.repeat(32));
    let mut group = Group::new("flood", reach(Duration::from_mins(30)));
    fire(&mut group, &ids[0], minute(0), A);
    fire(&mut group, &ids[1], minute(5), B);
    fire(&mut group, &ids[2], minute(6), D);
    fire(&mut group, &ids[3], minute(10), C);
    assert_eq!(
        group.incident_of(&ids[2]),
        Some("inc_363928398ea9bd3a421b3dd1c43db195")
    );
    for (alert, at) in [(1, 20), (3, 25), (0, 60), (2, 90)] {
        group.end(&ids[alert], minute(at));
    }
    group.advance(minute(600));
    assert!(group.is_empty());
    // As the reference prints them.
    let expected = [
        "inc_36392839 +0 open None [] 111111111111",
        "inc_36392839 +0 join None [] 111111111111",
        "inc_36392839 +5 join None [] 222222222222",
        "inc_62a96032 +6 open None [] 333333333333",
        "inc_62a96032 +6 join None [] 333333333333",
        "inc_36392839 +10 join None [] 444444444444",
        "inc_36392839 +10 absorb None [] inc_62a96032",
        "inc_36392839 +50 split Some(2) [1] -",
        "inc_36392839 +120 close None [] -",
    ];
    assert_eq!(told(&group.take_changes()), expected);
}

#[test]
fn the_id_of_an_incident_follows_from_its_group_and_its_first_alert() {
    assert_eq!(
        Opening {
            group: "flood",
            alert: &"1".repeat(32)
        }
        .incident_id(),
        "inc_363928398ea9bd3a421b3dd1c43db195"
    );
    assert_eq!(
        Opening {
            group: "flood",
            alert: &"3".repeat(32)
        }
        .incident_id(),
        "inc_62a9603273a5b9c7aaeaca777c03d23b"
    );
}

#[test]
fn a_finer_cell_counts_by_its_centre_and_a_coarser_one_by_its_children() {
    let fine = cell("89411ca1b67ffff");
    let expected = h3o::LatLng::from(fine).to_cell(Resolution::Seven);
    assert_eq!(
        Cover::of_cells(&[fine], Resolution::Seven).unwrap().spots(),
        [Spot::Cell(expected)]
    );
    let coarse = cell(A).parent(Resolution::Five).unwrap();
    let cover = Cover::of_cells(&[coarse, coarse], Resolution::Seven).unwrap();
    let mut children: Vec<Spot> = coarse.children(Resolution::Seven).map(Spot::Cell).collect();
    children.sort();
    assert_eq!(cover.spots(), children);
    assert_eq!(Cover::of_cells(&[], Resolution::Seven), None);
}

#[test]
fn a_cell_of_a_continent_is_covered_by_as_many_cells_as_can_be_kept() {
    let continent = cell(A).parent(Resolution::Zero).unwrap();
    let cover = Cover::of_cells(&[continent], Resolution::Seven).unwrap();
    assert!((10_000..=16_807).contains(&cover.spots().len()));
}

#[test]
fn alerts_without_a_place_are_near_those_of_their_rule_and_areas_those_of_the_same_area() {
    let mut group = Group::new("flood", reach(Duration::from_mins(30)));
    let covers = [
        Cover::of_rule("r1"),
        Cover::of_rule("r1"),
        Cover::of_rule("r2"),
        Cover::of_areas(["nanshan"]).unwrap(),
        Cover::of_areas(["futian", "nanshan"]).unwrap(),
    ];
    for (number, cover) in covers.iter().enumerate() {
        group.fire(&format!("a{number}"), minute(0), minute(0), cover);
    }
    let of = |alert: &str| group.incident_of(alert).unwrap();
    assert_eq!(of("a0"), of("a1"));
    assert_ne!(of("a0"), of("a2"));
    assert_eq!(of("a3"), of("a4"));
    assert_ne!(of("a0"), of("a3"));
}

#[test]
fn an_end_that_is_told_long_after_it_closes_the_incident_at_its_own_time() {
    let mut group = Group::new("g", reach(Duration::from_mins(30)));
    fire(&mut group, "a", minute(0), A);
    group.advance(minute(600));
    group.end("a", minute(10));
    let close = group.take_changes().lineage.pop().unwrap();
    assert_eq!((close.kind, close.at), (LineageKind::Close, minute(40)));
}

#[test]
fn an_alert_that_moves_away_takes_its_part_with_it_and_stays_in_its_incident() {
    let mut group = Group::new("g", reach(Duration::from_mins(30)));
    fire(&mut group, "a", minute(0), A);
    fire(&mut group, "b", minute(1), B);
    group.take_changes();
    group.move_to("b", minute(2), &cover(D));
    assert_eq!(group.incident_of("a"), group.incident_of("b"));
    let changes = group.take_changes();
    assert_eq!(changes.lineage.last().unwrap().kind, LineageKind::Split);
    assert_eq!(changes.parts["b"], Some(2));
    // And back.
    group.move_to("b", minute(3), &cover(A));
    let merge = group.take_changes().lineage.pop().unwrap();
    assert_eq!(
        (merge.kind, merge.part, merge.of),
        (LineageKind::Merge, Some(1), vec![1, 2])
    );
}

#[test]
fn what_is_stored_of_an_absorbed_incident_does_not_depend_on_when_changes_were_taken() {
    let next_parts = |is_looked_at_between: bool| {
        let mut group = Group::new("g", reach(Duration::from_mins(10)));
        let far = cell(D).grid_ring::<Vec<_>>(8)[0].to_string();
        fire(&mut group, "old", minute(0), &far);
        for (alert, place) in [("left", A), ("bridge", B), ("right", C)] {
            fire(&mut group, alert, minute(1), place);
        }
        let absorbed = Opening {
            group: "g",
            alert: "left",
        }
        .incident_id();
        group.end("bridge", minute(2));
        let mut stored = group.take_changes().next_parts;
        if is_looked_at_between {
            group.advance(minute(12));
            stored.extend(group.take_changes().next_parts);
        }
        // The bridge is gone, a second part begins, and the older incident comes near: all in one step.
        group.move_to("old", minute(13), &cover(A));
        stored.extend(group.take_changes().next_parts);
        assert_eq!(
            group.incident_of("left"),
            Some(
                &*Opening {
                    group: "g",
                    alert: "old"
                }
                .incident_id()
            )
        );
        stored.get(&*absorbed).copied()
    };
    assert_eq!(next_parts(true), Some(3));
    assert_eq!(next_parts(false), Some(3));
}

#[test]
fn clusters_go_on_split_merge_and_vanish_as_the_reference_says() {
    let origin = cell("89411ca1b67ffff");
    let mut ring: Vec<CellIndex> = origin.grid_ring(1);
    ring.sort();
    let mut far: Vec<CellIndex> = origin.grid_ring(8);
    far.sort();
    let set = |cells: &[CellIndex]| cells.iter().copied().collect::<BTreeSet<_>>();
    let old = [
        ("e1", set(&[origin, ring[0], ring[1]])),
        ("e2", set(&[ring[3], ring[4]])),
        ("e3", set(&[far[0]])),
    ];
    let episodes: Vec<ClusterEpisode<'_>> = old
        .iter()
        .zip(1..)
        .map(|((id, cells), fired_at)| ClusterEpisode {
            id,
            fired_at: EventTime::from_micros(fired_at),
            cells,
        })
        .collect();
    let new = [set(&[origin, ring[0], ring[3]]), set(&[ring[1], ring[2]])];
    let expected = [
        Following::Continues {
            cluster: 0,
            episode: 0,
        },
        Following::SplitFrom {
            cluster: 1,
            episode: 0,
        },
        Following::Merged {
            episode: 1,
            cluster: 0,
        },
        Following::Absent { episode: 2 },
    ];
    assert_eq!(follow(&episodes, &new, 1), expected);
    // Near, without a common cell on either side: the same cluster, moved.
    let moved = [
        set(&[origin.grid_ring::<Vec<_>>(9)[0]]),
        set(&[far[0].grid_ring::<Vec<_>>(1)[0]]),
    ];
    assert_eq!(
        follow(&episodes[2..], &moved, 1)[1],
        Following::Continues {
            cluster: 1,
            episode: 0
        }
    );
}

/// What happens to alerts; which one is chosen among those that are open.
#[derive(Clone, Debug)]
enum Deed {
    Fires(usize),
    Moves(usize, usize),
    Ends(usize),
}

fn deeds() -> impl Strategy<Value = Vec<(i64, Deed)>> {
    let deed = prop_oneof![
        5 => (0..61_usize).prop_map(Deed::Fires),
        2 => (any::<usize>(), 0..61_usize).prop_map(|(alert, place)| Deed::Moves(alert, place)),
        3 => any::<usize>().prop_map(Deed::Ends),
    ];
    let wait = prop_oneof![Just(1), Just(60), Just(300), Just(700)];
    proptest::collection::vec((wait, deed), 1..50)
}

/// The incident of an alert, where it is, when it fired and ended, and its part.
type Home = (String, Cover, EventTime, Option<EventTime>, Option<u32>);

/// A group, and what was stored of it, as a database would have it.
struct Run {
    group: Group,
    homes: BTreeMap<String, Home>,
    incidents: BTreeMap<String, (EventTime, u32, bool)>,
    lineage: Vec<Lineage>,
    open: Vec<String>,
    now: EventTime,
}

impl Run {
    fn new() -> Self {
        Self {
            group: Group::new("g", reach(Duration::from_mins(10))),
            homes: BTreeMap::new(),
            incidents: BTreeMap::new(),
            lineage: Vec::new(),
            open: Vec::new(),
            now: EventTime::from_micros(EIGHT),
        }
    }

    fn step(&mut self, number: usize, wait: i64, deed: &Deed, cells: &[CellIndex]) {
        self.now = self.now.plus(wait * SECOND);
        let cover = |place: usize| Cover::of_cells(&[cells[place % cells.len()]], Resolution::Seven).unwrap();
        let choose = |open: &[String], which: usize| open.get(which % open.len().max(1)).cloned();
        match deed {
            Deed::Fires(place) => {
                let alert = format!("a{number:02}");
                self.homes.insert(
                    alert.clone(),
                    (String::new(), cover(*place), self.now, None, None),
                );
                self.group.fire(&alert, self.now, self.now, &cover(*place));
                self.open.push(alert);
            }
            Deed::Moves(which, place) => {
                if let Some(alert) = choose(&self.open, *which) {
                    self.homes.get_mut(&alert).unwrap().1 = cover(*place);
                    self.group.move_to(&alert, self.now, &cover(*place));
                }
            }
            Deed::Ends(which) => {
                if let Some(alert) = choose(&self.open, *which) {
                    self.open.retain(|one| *one != alert);
                    self.homes.get_mut(&alert).unwrap().3 = Some(self.now);
                    self.group.end(&alert, self.now);
                }
            }
        }
        self.store();
    }

    fn store(&mut self) {
        let changes = self.group.take_changes();
        for line in &changes.lineage {
            let (incident, about) = (line.incident.to_string(), line.about.as_deref());
            match (line.kind, about) {
                (LineageKind::Open, _) => {
                    self.incidents.insert(incident, (line.at, 1, true));
                }
                (LineageKind::Join, Some(alert)) => self.homes.get_mut(alert).unwrap().0 = incident,
                (LineageKind::Absorb, Some(other)) => {
                    self.incidents.get_mut(other).unwrap().2 = false;
                    for home in self.homes.values_mut().filter(|home| home.0 == other) {
                        home.0.clone_from(&incident);
                    }
                }
                (LineageKind::Close, _) => self.incidents.get_mut(&incident).unwrap().2 = false,
                _ => {}
            }
        }
        for (incident, next) in &changes.next_parts {
            self.incidents.get_mut(&**incident).unwrap().1 = *next;
        }
        for (alert, part) in &changes.parts {
            self.homes.get_mut(&**alert).unwrap().4 = *part;
        }
        self.lineage.extend(changes.lineage);
    }

    fn restart(&mut self) {
        let clock = self.group.clock();
        let is_active =
            |ended: &Option<EventTime>| ended.is_none_or(|ended| ended.plus(600 * SECOND) > clock);
        let incidents = self.incidents.iter().filter(|(_, (.., is_open))| *is_open);
        let incidents = incidents.map(|(id, (opened_at, next_part, _))| StoredIncident {
            id: id.clone(),
            opened_at: *opened_at,
            next_part: *next_part,
        });
        let members = self.homes.iter().filter(|(_, home)| is_active(&home.3));
        let members = members.map(|(alert, home)| StoredMember {
            alert: alert.clone(),
            incident: home.0.clone(),
            fired_at: home.2,
            ended_at: home.3,
            cover: home.1.clone(),
            part: home.4,
        });
        self.group = Group::restore("g", reach(Duration::from_mins(10)), clock, incidents, members);
    }
}

fn ground() -> Vec<CellIndex> {
    let mut cells: Vec<CellIndex> = cell(A).grid_disk(4);
    cells.sort();
    cells
}

proptest! {
    #[test]
    fn each_alert_has_one_incident_and_active_ones_near_each_other_share_it(deeds in deeds()) {
        let (cells, mut run) = (ground(), Run::new());
        for (number, (wait, deed)) in deeds.iter().enumerate() {
            run.step(number, *wait, deed, &cells);
            prop_assert!(run.homes.values().all(|home| !home.0.is_empty()));
            let active: Vec<_> = run.homes.iter().filter(|(id, _)| run.group.incident_of(id).is_some()).collect();
            for (id, home) in &active {
                prop_assert_eq!(run.group.incident_of(id).unwrap(), home.0.as_str(), "what is stored is what is so");
                prop_assert!(run.incidents[&home.0].2, "an active alert is of an open incident");
                for (other, near) in &active {
                    if home.1.is_near(&near.1, 1) {
                        prop_assert_eq!(&home.0, &near.0, "{} and {}", id, other);
                        prop_assert_eq!(home.4, near.4, "{} and {} are of one part", id, other);
                    }
                }
            }
        }
    }

    #[test]
    fn restarts_and_clocks_that_are_looked_at_change_nothing(deeds in deeds(), cuts in proptest::collection::vec(0..3_u8, 50)) {
        let cells = ground();
        let (mut whole, mut cut) = (Run::new(), Run::new());
        for (number, (wait, deed)) in deeds.iter().enumerate() {
            whole.step(number, *wait, deed, &cells);
            if cuts[number] > 0 {
                cut.group.advance(cut.now.plus(wait * SECOND / 2));
                cut.store();
            }
            if cuts[number] > 1 {
                cut.restart();
            }
            cut.step(number, *wait, deed, &cells);
        }
        for run in [&mut whole, &mut cut] {
            run.group.advance(run.now.plus(3_600 * SECOND));
            run.store();
        }
        prop_assert_eq!(&whole.lineage, &cut.lineage);
        prop_assert_eq!(&whole.homes, &cut.homes);
        prop_assert_eq!(&whole.incidents, &cut.incidents);
    }
}
