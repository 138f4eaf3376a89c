//! The tests of all who store something here, run once more over `PostgreSQL`: in a process in which [`Database::open`] opens
//! a database of a real server for each folder.

use std::path::Path;
use std::process::Command;

use super::{Database, DatabaseError, PostgresAddress};

#[path = "../../../fixtures/postgres.rs"]
mod server;
#[path = "../../../fixtures/skipped.rs"]
mod skipped;

/// The address of its database, and the password.
const ADDRESS: &str = "RISKGRID_TEST_DECISIONS_ON";
const PASSWORD: &str = "RISKGRID_TEST_DECISIONS_PASSWORD";

/// Whose tests are run again.
const AGAIN: &[&str] = &[
    "alerts::store",
    "alerts::table",
    "alerts::routes",
    "audit::",
    "access::store",
    "database::lease",
    "hotline::",
];
/// Of them those that make a database for each of many cases, and those that look at the file itself.
const NOT_AGAIN: &[&str] = &["a_kill_after_any_look", "however_events_are_cut", "of_the_file"];

/// The database that stands for the one of a folder, in a process that is to use `PostgreSQL`: a schema of its own.
pub(super) async fn instead_of(folder: &Path) -> Option<Result<Database, DatabaseError>> {
    let (address, password) = (std::env::var(ADDRESS).ok()?, std::env::var(PASSWORD).ok()?);
    let path = folder.to_string_lossy();
    let name = format!("t{:016x}", twox_hash::XxHash3_64::oneshot(path.as_bytes()));
    let whole = PostgresAddress::parse(&address, Some(&password)).unwrap();
    let mut connection = whole.connect().await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("CREATE SCHEMA IF NOT EXISTS {name}")))
        .execute(&mut connection)
        .await
        .unwrap();
    let address = format!("{address}?options[search_path]={name}");
    let address = PostgresAddress::parse(&address, Some(&password)).unwrap();
    Some(Database::open_shared(folder, &address).await)
}

#[test]
fn what_is_stored_is_stored_in_postgres_too() {
    let Some(server) = server::Postgres::start() else {
        skipped::say("RISKGRID_TEST_POSTGRES names no programs of PostgreSQL");
        return;
    };
    let password = std::fs::read_to_string(server.password_file()).unwrap();
    let tests = Command::new(std::env::current_exe().unwrap())
        .args(AGAIN)
        .args(NOT_AGAIN.iter().flat_map(|name| ["--skip", name]))
        .args(["--test-threads", "4"])
        .env(ADDRESS, server.database("tests"))
        .env(PASSWORD, password.trim_end())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&tests.stdout);
    assert!(tests.status.success(), "{said}");
    let ran = said.lines().filter(|line| line.ends_with("... ok")).count();
    assert!(ran > 30, "{ran} tests were run: {said}");
}
