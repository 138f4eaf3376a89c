use futures::TryStreamExt as _;
use proptest::prelude::*;
use riskgrid_analytics::QueryTables;
use riskgrid_analytics::permission::Permission;
use riskgrid_analytics::rules::{Rule, RuleBounds, SensorReading, SensorRules};
use riskgrid_analytics::sql::format::{AnswerFormat, encode};
use riskgrid_analytics::sql::{Asker, SqlEngine, SqlLimits, SqlRequest};
use riskgrid_analytics::tables::stored::Asked;
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use super::*;
use crate::alerts::store::{Bounds, Notify};

const SECOND: i64 = 1_000_000;

/// Many alerts of two rules, every second one ended.
async fn decisions(sensors: usize) -> (TempDir, Decisions) {
    let folder = tempfile::tempdir().unwrap();
    let decisions = Decisions::open(folder.path(), Bounds::default()).await.unwrap();
    let rule = |name: &str, above: f64| {
        let json = json!({"name": name, "kind": "threshold", "layer": "water_level", "per": "sensor", "above": above,
            "severity": "major"});
        Rule::from_json(name, &json, &RuleBounds::default()).unwrap()
    };
    let mut rules = SensorRules::new([rule("high", 3.0), rule("very high", 5.0)].into());
    for number in 0..sensors {
        let sensor = format!("s{number}");
        let at = 1_795_334_400 * SECOND + number as i64 * SECOND;
        let reading = |value: f64, at: i64| SensorReading {
            layer: "water_level",
            sensor: &sensor,
            cell: 0x0894_11d3_68b7_ffff,
            value,
            at: EventTime::from_micros(at),
            areas: &[],
        };
        rules.observe("p0", reading(4.0 + (number % 3) as f64, at));
        if number % 2 == 0 {
            rules.observe("p0", reading(1.0, at + SECOND / 2));
        }
    }
    let transitions = rules.take_transitions();
    decisions
        .record(&transitions, Notify::NotSentStale, 0, None)
        .await
        .unwrap();
    (folder, decisions)
}

/// The rows that a statement gives over the table alone.
async fn rows(table: &Arc<StoredTable<AlertLine>>, sql: &str) -> Json {
    let engine = SqlEngine::new(SqlLimits::default()).unwrap();
    let request = SqlRequest {
        sql: sql.to_owned(),
        params: Vec::new(),
        timeout: None,
        limit: None,
        query_id: None,
        now: chrono::DateTime::UNIX_EPOCH,
        asker: Asker::system(),
    };
    let tables = QueryTables::default().with(Arc::clone(table));
    let answer = engine.ask(request, tables).await.unwrap();
    let body = encode(answer, AnswerFormat::Json).await.unwrap().body;
    let bytes: Vec<_> = body.try_collect().await.unwrap();
    let mut answer: Json = serde_json::from_slice(&bytes.concat()).unwrap();
    answer["rows"].take()
}

#[tokio::test]
async fn all_rows_are_seen_over_many_pages_and_scans_of_one_query_share_a_reading() {
    let (_folder, decisions) = decisions(2_100).await;
    let table = Arc::new(alerts_table(decisions, everything()));
    let many: Vec<&str> = vec!["SELECT count(*) AS n FROM alerts"; 150];
    let sql = format!(
        "SELECT min(n), max(n), count(*) FROM ({})",
        many.join(" UNION ALL ")
    );
    assert_eq!(rows(&table, &sql).await, json!([[2800, 2800, 150]]));
    assert_eq!(table.readings(), [2800]);
}

#[tokio::test]
async fn nothing_is_read_before_a_query_runs_and_a_limit_reads_no_more() {
    let (_folder, decisions) = decisions(1_200).await;
    let table = Arc::new(alerts_table(decisions, everything()));
    let sql = "SELECT id FROM alerts LIMIT 3";
    rows(&table, &format!("EXPLAIN {sql}")).await;
    assert!(table.readings().is_empty());
    let found = rows(&table, sql).await;
    assert_eq!(found.as_array().unwrap().len(), 3);
    assert_eq!(table.readings(), [3]);
}

fn filter() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec!["firing", "resolved", "acknowledged", "FIRING"])
            .prop_map(|state| format!("state = '{state}'")),
        (0..40_i64)
            .prop_map(|second| format!("fired_at >= TIMESTAMP '2026-11-22T08:00:{:02}Z'", second % 60)),
        (0..40_i64).prop_map(|second| format!("TIMESTAMP '2026-11-22T08:00:{:02}Z' > at", second % 60)),
        (0..30_u8).prop_map(|number| format!("sensor IN ('s{number}', 's{}', NULL)", number + 1)),
        (0..30_u8).prop_map(|number| format!("sensor NOT IN ('s{number}')")),
        (0..30_u8).prop_map(|number| format!("sensor > 's{number}'")),
        Just("resolved_at IS NULL".to_owned()),
        Just("resolved_at IS NOT NULL".to_owned()),
        Just("resolved_at IS DISTINCT FROM NULL".to_owned()),
        Just("acknowledged_at = NULL".to_owned()),
        Just("rule = 'very high'".to_owned()),
        Just("rule LIKE '%high'".to_owned()),
        Just("cell = 617700169957507071".to_owned()),
        Just("value < 5".to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn filters_give_the_same_rows_by_the_database_and_by_the_query(
        filters in prop::collection::vec((filter(), any::<bool>()), 1..4), or in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (_folder, decisions) = decisions(40).await;
            let filtered = Arc::new(alerts_table(decisions.clone(), everything()));
            // Gives all rows, whatever is asked, so that the query alone filters them.
            let read_all = move |_: &Asked| pages(decisions.clone(), everything(), (Conditions::default(), None));
            let whole = Arc::new(StoredTable::new("alerts", columns(), read_all));
            let filters: Vec<String> = filters
                .iter()
                .map(|(filter, not)| if *not { format!("NOT ({filter})") } else { format!("({filter})") })
                .collect();
            let filter = filters.join(if or { " OR " } else { " AND " });
            let sql = format!("SELECT id, state, sensor FROM alerts WHERE {filter} ORDER BY id");
            assert_eq!(rows(&filtered, &sql).await, rows(&whole, &sql).await, "{filter}");
        });
    }
}

fn everything() -> Arc<Permission> {
    Arc::new(Permission::admin())
}
