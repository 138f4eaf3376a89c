//! What a role may take: whose turn it is, how large an answer, how costly a plan.

use std::sync::Arc;
use std::time::Duration;

use riskgrid_analytics::permission::{Permission, Role};
use riskgrid_analytics::sql::format::AnswerFormat;
use riskgrid_analytics::sql::{Asker, QueryPhase, RoleOverrides, SqlEngine, SqlError, SqlLimits, SqlRequest};

use crate::tables::{ask, csv, limits, request, start};

fn asker(who: &str, role: Role) -> Asker {
    Asker {
        who: who.into(),
        via: "http",
        turn: who.into(),
        permission: Arc::new(Permission::everywhere(role)),
        offices: Arc::new([]),
        limits: RoleOverrides::default(),
    }
}

fn by(who: &str, role: Role, sql: &str) -> SqlRequest {
    SqlRequest {
        asker: asker(who, role),
        ..request(sql)
    }
}

/// An engine whose analysts have these limits.
fn engine_of_analysts(analyst: RoleOverrides) -> SqlEngine {
    let [public, known, operator, admin] = RoleOverrides::OF_ROLES;
    SqlEngine::new(SqlLimits {
        roles: [public, analyst.or(known), operator, admin],
        ..limits()
    })
    .expect("an engine")
}

#[tokio::test]
async fn an_answer_has_the_rows_and_bytes_of_its_role() {
    let engine = engine_of_analysts(RoleOverrides {
        rows: Some(2),
        answer_bytes: Some(40_000),
        ..RoleOverrides::default()
    });
    let few = ask(
        &engine,
        by("a", Role::Analyst, "SELECT value FROM range(5)"),
        AnswerFormat::Json,
    )
    .await;
    let few = String::from_utf8(few.expect("an answer")).expect("UTF-8");
    assert!(
        few.contains("\"rows\":[[0],[1]]") && few.contains("\"truncated\":true"),
        "{few}"
    );
    let wide = "SELECT repeat('x', 30000) AS x FROM range(2)";
    let error = ask(&engine, by("a", Role::Analyst, wide), AnswerFormat::Csv).await;
    assert_eq!(error, Err(SqlError::AnswerTooLarge { limit: 40_000 }));
    let whole = ask(
        &engine,
        by("b", Role::Admin, "SELECT value FROM range(5)"),
        AnswerFormat::Csv,
    )
    .await;
    assert_eq!(whole.expect("an answer"), b"value\n0\n1\n2\n3\n4\n");
    let public = start(&engine, by("c", Role::Public, "SELECT value FROM range(5)")).await;
    assert_eq!(public.expect("it runs").limit, Some(10_000));
}

#[tokio::test]
async fn a_plan_that_would_compare_too_much_is_refused_before_it_runs() {
    let engine = engine_of_analysts(RoleOverrides {
        estimated_rows: Some(5),
        estimated_pairs: Some(8),
        ..RoleOverrides::default()
    });
    let joined = "SELECT count(*) FROM cells a JOIN points b ON a.count > b.n";
    let refused = ask(&engine, by("a", Role::Analyst, joined), AnswerFormat::Csv).await;
    let rows = SqlError::TooExpensive {
        what: "rows",
        estimate: 6,
        limit: 5,
    };
    assert_eq!(refused, Err(rows));
    assert!(
        ask(
            &engine,
            by("a", Role::Analyst, "SELECT * FROM cells"),
            AnswerFormat::Csv
        )
        .await
        .is_ok()
    );
    assert!(
        ask(&engine, by("b", Role::Operator, joined), AnswerFormat::Csv)
            .await
            .is_ok()
    );
    // What is only shown costs nothing, and ends with the estimate.
    let shown = ask(
        &engine,
        by("a", Role::Analyst, &format!("EXPLAIN {joined}")),
        AnswerFormat::Csv,
    )
    .await;
    let shown = String::from_utf8(shown.expect("a plan")).expect("UTF-8");
    assert!(shown.ends_with("estimate,\"rows=6, pairs=9\"\n"), "{shown}");
    let plans = ask(
        &engine,
        by("c", Role::Public, "EXPLAIN SELECT 1"),
        AnswerFormat::Csv,
    )
    .await;
    assert!(matches!(plans, Err(SqlError::Forbidden(_))), "{plans:?}");
}

#[tokio::test]
async fn askers_have_shares_and_who_waits_too_long_is_told_where() {
    let engine = engine_of_analysts(RoleOverrides {
        running: Some(1),
        waiting: Some(0),
        ..RoleOverrides::default()
    });
    let endless = "SELECT value FROM range(10000000000)";
    let first = start(&engine, by("a", Role::Analyst, endless))
        .await
        .expect("it runs");
    let second = start(&engine, by("a", Role::Analyst, "SELECT 1")).await;
    assert!(
        matches!(second, Err(SqlError::QueueFull { retry_after: 1 })),
        "{second:?}"
    );
    assert!(start(&engine, by("b", Role::Analyst, "SELECT 1")).await.is_ok());
    drop(first);
    let engine = engine_of_analysts(RoleOverrides {
        running: Some(1),
        waiting: Some(4),
        ..RoleOverrides::default()
    });
    let first = start(&engine, by("a", Role::Analyst, endless))
        .await
        .expect("it runs");
    let late = SqlRequest {
        timeout: Some(Duration::from_millis(60)),
        ..by("a", Role::Analyst, "SELECT 1")
    };
    let phase = QueryPhase::Queued;
    let waited = start(&engine, late).await.map(drop);
    assert_eq!(
        waited,
        Err(SqlError::TimedOut {
            milliseconds: 60,
            phase
        })
    );
    drop(first);
    assert!(start(&engine, by("a", Role::Analyst, "SELECT 1")).await.is_ok());
}

#[tokio::test]
async fn who_asked_ends_a_query_and_nobody_else_but_an_admin() {
    let engine = engine_of_analysts(RoleOverrides::default());
    let named = |id: &str| SqlRequest {
        query_id: Some(id.to_owned()),
        ..by("a", Role::Analyst, "SELECT value FROM range(10000000000)")
    };
    // Two who are unknown have one name, and their queries are their own.
    let unknown = |from: &str| Asker {
        turn: format!("anonymous {from}").into(),
        ..asker("anonymous", Role::Public)
    };
    let of_unknown = SqlRequest {
        asker: unknown("192.0.2.1"),
        query_id: Some("unknown".to_owned()),
        ..by("a", Role::Public, "SELECT value FROM range(1000000)")
    };
    let _unknown = start(&engine, of_unknown).await.expect("it runs");
    assert!(!engine.cancel("unknown", &unknown("192.0.2.2")));
    assert!(engine.cancel("unknown", &unknown("192.0.2.1")));
    let _one = start(&engine, named("one")).await.expect("it runs");
    let _other = start(&engine, named("other")).await.expect("it runs");
    assert!(!engine.cancel("one", &asker("b", Role::Operator)));
    assert!(engine.cancel("one", &asker("a", Role::Analyst)));
    assert!(engine.cancel("other", &asker("b", Role::Admin)));
    assert!(!engine.cancel("none", &asker("b", Role::Admin)));
}

#[tokio::test]
async fn an_asker_may_take_less_than_the_role_and_never_more() {
    let engine = engine_of_analysts(RoleOverrides {
        rows: Some(100),
        ..RoleOverrides::default()
    });
    let with = |rows: usize| {
        let mut request = by("a", Role::Analyst, "SELECT value FROM range(1000)");
        request.asker.limits.rows = Some(rows);
        request
    };
    for (own, rows) in [(7, 7), (100, 100), (500, 100)] {
        let answer = ask(&engine, with(own), AnswerFormat::Csv).await.expect("rows");
        let lines = answer
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty());
        assert_eq!(lines.count() - 1, rows, "{own}");
    }
    let mut expensive = by(
        "a",
        Role::Analyst,
        "SELECT count(*) FROM cells a JOIN points b ON a.count > b.n",
    );
    expensive.asker.limits.estimated_pairs = Some(1);
    let refused = ask(&engine, expensive, AnswerFormat::Csv).await;
    assert!(
        matches!(refused, Err(SqlError::TooExpensive { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_sort_that_does_not_fit_goes_to_disk_where_the_role_may() {
    let folder = tempfile::tempdir().expect("a folder");
    let spill = folder.path().join("spill");
    std::fs::create_dir(&spill).expect("made");
    std::fs::write(spill.join("left"), "of a run before").expect("written");
    let [public, analyst, operator, admin] = RoleOverrides::OF_ROLES;
    let small = RoleOverrides {
        query_memory_bytes: Some(12 << 20),
        ..analyst
    };
    let engine = SqlEngine::new(SqlLimits {
        roles: [
            public,
            small,
            operator,
            RoleOverrides {
                spill_bytes: Some(0),
                ..small.or(admin)
            },
        ],
        spill: Some(riskgrid_analytics::sql::Spill {
            folder: spill.clone(),
            bytes: 1 << 30,
        }),
        ..limits()
    })
    .expect("an engine");
    assert!(!spill.join("left").exists(), "the folder is emptied");
    let sort = "SELECT sum(n) FROM (SELECT value, row_number() OVER (ORDER BY (value * 7919) % 1000003) AS n FROM range(1000000))";
    let sorted = ask(&engine, by("a", Role::Analyst, sort), AnswerFormat::Csv).await;
    assert_eq!(sorted.expect("it spills"), b"sum(n)\n500000500000\n");
    let refused = ask(&engine, by("b", Role::Admin, sort), AnswerFormat::Csv).await;
    assert!(
        matches!(refused, Err(SqlError::ResourcesExhausted(_))),
        "{refused:?}"
    );
    drop(csv(&engine, "SELECT 1").await);
}
