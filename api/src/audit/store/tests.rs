//! What is written hangs together, over a legacy, a trim and a process.

use super::*;

const NOON: i64 = 1_795_348_800_000_000;

async fn opened(folder: &tempfile::TempDir) -> Database {
    Database::open(folder.path()).await.unwrap()
}

async fn verified(database: &Database) -> Option<Link> {
    let mut rows = database.audit_rows(i64::MAX, 1_000).await.unwrap();
    rows.reverse();
    let base = database.audit_base().await.unwrap();
    rows.iter().try_fold(base, |link, row| row.after(&link))
}

#[tokio::test]
async fn the_chain_begins_with_its_installation_and_hangs_together() {
    let folder = tempfile::tempdir().unwrap();
    let database = opened(&folder).await;
    assert_eq!(database.audit_head().await.unwrap(), None);
    let deed = Deed::of_the_command_line("keys.create")
        .to("a")
        .with(json!({"name": "暴雨 \"9\"\n"}));
    database.audit(&deed, NOON).await.unwrap();
    database
        .audit(&Deed::of_the_system("audit.trim"), NOON + 1)
        .await
        .unwrap();
    let rows = database.audit_rows(i64::MAX, 10).await.unwrap();
    let actions: Vec<_> = rows.iter().map(|row| row.action.as_str()).collect();
    assert_eq!(actions, ["audit.trim", "keys.create", "audit.start"]);
    assert_eq!(verified(&database).await, database.audit_head().await.unwrap());
    let shown = serde_json::to_value(&rows[0]).unwrap();
    assert_eq!(shown["at"], "2026-11-22T12:00:00.000001Z");
    assert_eq!(serde_json::from_value::<AuditRow>(shown).unwrap(), rows[0]);
}

#[tokio::test]
async fn rows_from_before_the_chain_are_in_it_in_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let database = opened(&folder).await;
    let mut transaction = database.begin().await.unwrap();
    for seq in 1..=3 {
        sqlx::query(
            "INSERT INTO audit_legacy VALUES ($1, $2, '127.0.0.1', 'dead_letters.raw', '{\"limit\":1}', 7)",
        )
        .bind(seq)
        .bind(NOON + seq)
        .execute(&mut *transaction)
        .await
        .unwrap();
    }
    transaction.commit().await.unwrap();
    database
        .audit(&Deed::of_the_system("server.start"), NOON + 9)
        .await
        .unwrap();
    let rows = database.audit_rows(i64::MAX, 10).await.unwrap();
    let seen: Vec<_> = rows
        .iter()
        .rev()
        .map(|row| (row.via.as_str(), row.at - NOON, row.count))
        .collect();
    assert_eq!(
        seen,
        [
            ("system", 9, 0),
            ("legacy", 1, 7),
            ("legacy", 2, 7),
            ("legacy", 3, 7),
            ("system", 9, 1)
        ]
    );
    assert!(verified(&database).await.is_some());
}

#[tokio::test]
async fn whole_days_are_trimmed_and_the_rest_still_hangs_together() {
    let folder = tempfile::tempdir().unwrap();
    let database = opened(&folder).await;
    for hour in 0..60 {
        database
            .audit(&Deed::of_the_system("server.start"), NOON + hour * 3_600_000_000)
            .await
            .unwrap();
    }
    // 13 rows of the first day: the start of the chain, and twelve hours.
    let until = EventTime::from_micros(NOON + 30 * 3_600_000_000);
    let now = EventTime::from_micros(NOON + 61 * 3_600_000_000);
    assert_eq!(database.trim_audit(until, now).await.unwrap(), 13);
    assert_eq!(database.trim_audit(until, now).await.unwrap(), 0);
    assert_eq!(database.audit_base().await.unwrap().seq, 13);
    assert_eq!(verified(&database).await, database.audit_head().await.unwrap());
    // However long ago: the newest stays.
    let left = database
        .trim_audit(
            EventTime::from_micros(i64::MAX / 2),
            EventTime::from_micros(i64::MAX / 4),
        )
        .await
        .unwrap();
    assert_eq!(left, 48);
    assert_eq!(verified(&database).await.map(|link| link.seq), Some(63));
}

#[tokio::test]
async fn a_row_that_was_changed_by_hand_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let database = opened(&folder).await;
    for number in 0..3 {
        database
            .audit(&Deed::of_the_system("server.start").times(number), NOON)
            .await
            .unwrap();
    }
    assert!(verified(&database).await.is_some());
    for change in [
        "UPDATE audit SET count = 9 WHERE seq = 3",
        "DELETE FROM audit WHERE seq = 2",
    ] {
        let mut transaction = database.begin().await.unwrap();
        sqlx::query(change).execute(&mut *transaction).await.unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(verified(&database).await, None, "{change}");
    }
}

#[test]
fn an_installation_has_a_uuid() {
    let id = random_uuid().unwrap();
    assert_eq!(id.len(), 36);
    assert_eq!(
        (&id[14..15], id[19..20].contains(['8', '9', 'a', 'b'])),
        ("4", true),
        "{id}"
    );
}
