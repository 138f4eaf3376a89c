use std::time::Duration;

use proptest::prelude::*;
use riskgrid_analytics::rules::{Transition, TransitionKind};
use riskgrid_ingest::EventTime;

use super::super::tests::{SECOND, START, decided, opened, rule};
use super::super::*;
use super::*;

const MINUTE: i64 = 60 * SECOND;
/// A chain: each is a neighbour of the next, and of no other.
const CHAIN: [u64; 4] = [
    0x0874_11ca_1bff_ffff,
    0x0874_11ca_18ff_ffff,
    0x0874_11ca_1cff_ffff,
    0x0874_11ca_02ff_ffff,
];

/// The beginning and the end of an alert of its own rule in a cell, minutes after the start.
fn alert(name: &str, cell: u64, begins: i64, ends: i64) -> [Transition; 2] {
    let both = decided(&rule(name, &[]), name, &[(0, 4.0), (60, 3.0)]);
    let [mut begin, mut end]: [Transition; 2] = both.try_into().unwrap();
    let at = |minutes: i64| EventTime::from_micros(START + minutes * MINUTE);
    for transition in [&mut begin, &mut end] {
        transition.cell = Some(cell);
        transition.fired_at = at(begins);
        transition.episode = format!("{name:0>32}");
    }
    (begin.at, end.at) = (at(begins), at(ends));
    [begin, end]
}

/// The example of the contract, in its order.
fn chain() -> Vec<Transition> {
    let alerts = [
        ("1", 0, 0, 60),
        ("2", 1, 5, 20),
        ("3", 3, 6, 90),
        ("4", 2, 10, 25),
    ];
    let mut all: Vec<Transition> = alerts
        .iter()
        .flat_map(|(name, cell, begins, ends)| alert(name, CHAIN[*cell], *begins, *ends))
        .collect();
    all.sort_by(|a, b| (a.at, &a.episode).cmp(&(b.at, &b.episode)));
    all
}

async fn record(decisions: &Decisions, transitions: &[Transition]) {
    let now = transitions
        .last()
        .map_or(START, |transition| transition.at.micros());
    decisions
        .record(transitions, Notify::NotSentStale, now, None)
        .await
        .unwrap();
}

fn everybody() -> IncidentReader<'static> {
    IncidentReader {
        sees: &|_, _| true,
        sees_all: true,
        now: START,
    }
}

async fn told(decisions: &Decisions) -> (Vec<Incident>, Vec<LineageRow>) {
    let query = IncidentQuery {
        limit: 1_000,
        ..IncidentQuery::default()
    };
    let (incidents, _) = decisions.incidents(&query, everybody()).await.unwrap();
    let mut lines = Vec::new();
    for incident in &incidents {
        lines.extend(decisions.lineage(&incident.id, everybody()).await.unwrap());
    }
    (incidents, lines)
}

async fn close(decisions: &Decisions, minutes: i64) {
    let now = EventTime::from_micros(START + minutes * MINUTE);
    decisions.close_incidents(|_| Some(now)).await.unwrap();
}

/// What happens to alerts in the fields of a small ground: which one, where, and how long after the one before.
fn histories() -> impl Strategy<Value = Vec<(usize, usize, i64)>> {
    proptest::collection::vec((0..6_usize, 0..4_usize, 0..25_i64), 1..30)
}

/// Begins what is not open and ends what is.
fn transitions(history: &[(usize, usize, i64)]) -> Vec<Transition> {
    let (mut open, mut minute, mut made) = (vec![None; 6], 0, Vec::new());
    for (number, (which, place, wait)) in history.iter().enumerate() {
        minute += wait;
        let at = EventTime::from_micros(START + minute * MINUTE);
        match open[*which].take() {
            None => {
                let mut begin = alert(&format!("r{which}"), CHAIN[*place], 0, 0)[0].clone();
                (begin.at, begin.fired_at) = (at, at);
                begin.episode = format!("{number:0>32}");
                open[*which] = Some(begin.clone());
                made.push(begin);
            }
            Some(begin) => made.push(Transition {
                kind: TransitionKind::Resolved,
                at,
                ..begin
            }),
        }
    }
    made
}

#[tokio::test]
async fn the_chain_of_the_contract_is_stored_as_it_says() {
    let (_folder, decisions) = opened().await;
    record(&decisions, &chain()).await;
    close(&decisions, 600).await;
    let (incidents, _) = told(&decisions).await;
    let [merged, first] = incidents.as_slice() else {
        panic!("{incidents:?}")
    };
    assert_eq!(
        (first.state, first.alerts, first.open),
        (IncidentState::Closed, 4, 0)
    );
    assert_eq!(first.closed_at, Some(START + 120 * MINUTE));
    assert_eq!(first.ended_at, Some(START + 90 * MINUTE));
    let mut cells = CHAIN.to_vec();
    cells.sort_unstable();
    assert_eq!(first.cells, cells);
    assert_eq!(
        (merged.state, merged.merged_into.as_deref()),
        (IncidentState::Merged, Some(first.id.as_str()))
    );
    let lines = decisions.lineage(&first.id, everybody()).await.unwrap();
    let kinds: Vec<(&str, i64, Option<i64>)> = lines
        .iter()
        .map(|line| (line.kind.as_str(), (line.at - START) / MINUTE, line.part))
        .collect();
    let expected = [
        ("open", 0, None),
        ("join", 0, None),
        ("join", 5, None),
        ("join", 10, None),
        ("absorb", 10, None),
        ("split", 50, Some(2)),
        ("close", 120, None),
    ];
    assert_eq!(kinds, expected);
    assert_eq!(lines[4].alert.as_deref(), Some(merged.id.as_str()));
}

#[tokio::test]
async fn what_a_reader_does_not_see_does_not_show_through_its_incident() {
    let (_folder, decisions) = opened().await;
    let all = chain();
    record(&decisions, &all).await;
    let only_the_last = IncidentReader {
        sees: &|_, cell| cell == Some(CHAIN[3]),
        sees_all: false,
        now: START + 100 * MINUTE,
    };
    let query = IncidentQuery {
        limit: 10,
        ..IncidentQuery::default()
    };
    let (incidents, _) = decisions.incidents(&query, only_the_last).await.unwrap();
    let of_all = incidents
        .iter()
        .find(|incident| incident.state != IncidentState::Merged)
        .unwrap();
    assert_eq!((of_all.alerts, of_all.open), (1, 0));
    assert_eq!(of_all.cells, [CHAIN[3]]);
    assert_eq!(
        of_all.opened_at,
        START + 6 * MINUTE,
        "not when the hidden one began"
    );
    assert_eq!(of_all.ended_at, Some(START + 90 * MINUTE));
    let lines = decisions.lineage(&of_all.id, only_the_last).await.unwrap();
    assert_eq!(lines, [], "it joined the one that was absorbed");
    let nobody = IncidentReader {
        sees: &|_, _| false,
        sees_all: false,
        now: START,
    };
    assert_eq!(decisions.incidents(&query, nobody).await.unwrap().0, []);
    assert_eq!(decisions.incident(&of_all.id, nobody).await.unwrap(), None);
}

#[tokio::test]
async fn to_who_sees_a_part_an_incident_is_over_when_that_part_is() {
    let (_folder, decisions) = opened().await;
    let (seen, hidden) = (alert("a", CHAIN[0], 0, 10), alert("b", CHAIN[1], 1, 500));
    record(&decisions, &[seen[0].clone(), hidden[0].clone(), seen[1].clone()]).await;
    let reader = |now: i64| IncidentReader {
        sees: &|_, cell| cell == Some(CHAIN[0]),
        sees_all: false,
        now: START + now * MINUTE,
    };
    let state = async |now: i64| {
        let query = IncidentQuery {
            state: Some(IncidentState::Open),
            limit: 10,
            ..IncidentQuery::default()
        };
        decisions.incidents(&query, reader(now)).await.unwrap().0.len()
    };
    assert_eq!((state(39).await, state(40).await), (1, 0));
}

#[tokio::test]
async fn open_alerts_that_an_older_riskgrid_began_are_gathered_at_the_start() {
    let (folder, decisions) = opened().await;
    record(&decisions, &alert("a", CHAIN[0], 0, 10)[..1]).await;
    for sql in [
        "UPDATE alerts SET incident = NULL",
        "DELETE FROM incidents",
        "DELETE FROM incident_lineage",
        "DELETE FROM incident_groups",
    ] {
        let mut transaction = decisions.begin().await.unwrap();
        sqlx::query(sql).execute(&mut *transaction).await.unwrap();
        transaction.commit().await.unwrap();
    }
    decisions.close().await;
    drop(decisions);
    let decisions = Decisions::open(folder.path(), Bounds::default()).await.unwrap();
    decisions.gather_open().await.unwrap();
    let (incidents, lines) = told(&decisions).await;
    assert_eq!((incidents.len(), incidents[0].open, lines.len()), (1, 1, 2));
}

#[tokio::test]
async fn an_incident_is_forgotten_with_its_last_alert() {
    let (_folder, decisions) = opened().await;
    record(&decisions, &chain()).await;
    close(&decisions, 600).await;
    let keep = Keep {
        ended_alerts: Duration::ZERO,
        ..Keep::default()
    };
    let later = START + 1_000 * MINUTE;
    for _ in 0..2 {
        decisions.forget_old(&keep, later).await.unwrap();
        decisions.forget_old(&keep, later + SECOND).await.unwrap();
    }
    let left: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM incidents")
        .fetch_one(decisions.readers())
        .await
        .unwrap();
    assert_eq!((told(&decisions).await, left), ((vec![], vec![]), 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn incidents_are_the_same_however_events_are_cut_and_whenever_it_starts_anew(
        history in histories(),
        cuts in proptest::collection::vec(0..3_u8, 30),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let all = transitions(&history);
            let (_whole_folder, whole) = opened().await;
            record(&whole, &all).await;
            let (folder, mut cut) = opened().await;
            for (number, transition) in all.iter().enumerate() {
                // Looked at in between, and opened anew.
                if cuts[number] > 0 {
                    cut.close_incidents(|_| Some(transition.at)).await.unwrap();
                }
                if cuts[number] > 1 {
                    cut.close().await;
                    drop(cut);
                    cut = Decisions::open(folder.path(), Bounds::default()).await.unwrap();
                }
                record(&cut, std::slice::from_ref(transition)).await;
            }
            for decisions in [&whole, &cut] {
                decisions.gather_open().await.unwrap();
                close(decisions, 100_000).await;
            }
            prop_assert_eq!(told(&whole).await, told(&cut).await);
            let alone: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM alerts WHERE incident IS NULL")
                .fetch_one(whole.readers()).await.unwrap();
            prop_assert_eq!(alone, 0);
            Ok(())
        })?;
    }
}
