//! Leases: what only one of several nodes may do. A lease has a name, an epoch that counts up whenever its holder changes,
//! and an end. A holder that was away for longer than its lease finds that out in its next transaction, which fails: those
//! who write wait for each other, so nobody can take the lease between that look and the commit.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{Connection, Database, DatabaseError, read_from_row};

/// How long one holds, by the wall clock.
pub const LEASE: Duration = Duration::from_secs(15);
/// How often its holder takes it anew, and the others try.
const EVERY: Duration = Duration::from_secs(4);

/// One that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    name: &'static str,
    epoch: i64,
}

/// How a node stands to a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nobody else can decide: the database is this process's alone.
    Alone,
    /// It has it.
    Holder(Lease),
    /// Another has it, or the database does not answer.
    Waiting,
}

struct LeaseRow {
    holder: String,
    epoch: i64,
    until: i64,
}

read_from_row!(LeaseRow { holder, epoch, until });

impl Lease {
    /// Fails the transaction if another has taken it since.
    pub(super) async fn check(&self, connection: &mut Connection) -> Result<(), DatabaseError> {
        let epoch: Option<i64> = sqlx::query_scalar("SELECT epoch FROM leases WHERE name = $1")
            .bind(self.name)
            .fetch_optional(connection)
            .await?;
        if epoch == Some(self.epoch) {
            Ok(())
        } else {
            Err(DatabaseError::LeaseLost { name: self.name })
        }
    }
}

impl Database {
    /// Takes a lease, or goes on holding `held`, for [`LEASE`] from `now` on (wall clock, µs). None while another holds it.
    ///
    /// # Errors
    /// The database's.
    pub async fn take_lease(
        &self,
        name: &'static str,
        held: Option<Lease>,
        now: i64,
    ) -> Result<Option<Lease>, DatabaseError> {
        let holder = self.holder();
        let mut transaction = self.begin().await?;
        let there: Option<LeaseRow> =
            sqlx::query_as("SELECT holder, epoch, until FROM leases WHERE name = $1")
                .bind(name)
                .fetch_optional(&mut *transaction)
                .await?;
        let epoch = match &there {
            None => 1,
            Some(row) if row.holder == holder && held.is_some_and(|held| held.epoch == row.epoch) => {
                row.epoch
            }
            // An earlier process of this folder: it has ended, as the folder's lock says.
            Some(row) if row.holder == holder || row.until < now => row.epoch + 1,
            Some(_) => return Ok(None),
        };
        sqlx::query(
            "INSERT INTO leases (name, holder, epoch, until) VALUES ($1, $2, $3, $4)
                ON CONFLICT (name) DO UPDATE SET holder = $2, epoch = $3, until = $4",
        )
        .bind(name)
        .bind(holder)
        .bind(epoch)
        .bind(now.saturating_add(LEASE.as_micros() as i64))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(Some(Lease { name, epoch }))
    }

    /// Gives a lease back, so that another node need not wait for its end.
    ///
    /// # Errors
    /// The database's.
    pub async fn give_back(&self, lease: Lease) -> Result<(), DatabaseError> {
        let mut transaction = self.under(Standing::Holder(lease)).begin().await?;
        sqlx::query("UPDATE leases SET until = 0 WHERE name = $1")
            .bind(lease.name)
            .execute(&mut *transaction)
            .await?;
        Ok(transaction.commit().await?)
    }

    /// Takes a lease as often as is needed, until the task is ended; how this node stands to it. `clock` is the wall clock, µs.
    pub async fn keep_lease(
        &self,
        name: &'static str,
        clock: impl Fn() -> i64 + Send + Sync + 'static,
    ) -> (watch::Receiver<Standing>, Option<JoinHandle<()>>) {
        if !self.is_shared() {
            return (watch::channel(Standing::Alone).1, None);
        }
        let mut standing = self.next_standing(name, Standing::Waiting, clock()).await;
        let (sender, receiver) = watch::channel(standing);
        let database = self.clone();
        let keeping = async move {
            while !sender.is_closed() {
                tokio::time::sleep(EVERY).await;
                standing = database.next_standing(name, standing, clock()).await;
                let told = sender.send_if_modified(|before| std::mem::replace(before, standing) != standing);
                if told {
                    let is_holder = matches!(standing, Standing::Holder(_));
                    tracing::info!(
                        lease = name,
                        is_holder,
                        "who does this among the nodes has changed"
                    );
                }
            }
        };
        (receiver, Some(tokio::spawn(keeping)))
    }

    async fn next_standing(&self, name: &'static str, before: Standing, now: i64) -> Standing {
        let held = match before {
            Standing::Holder(lease) => Some(lease),
            Standing::Alone | Standing::Waiting => None,
        };
        match self.take_lease(name, held, now).await {
            Ok(Some(lease)) => Standing::Holder(lease),
            Ok(None) => Standing::Waiting,
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    lease = name,
                    "a lease cannot be taken"
                );
                // What it holds it may use on: a transaction tells whether it still does.
                before
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_348_800_000_000;
    const SECOND: i64 = 1_000_000;

    #[tokio::test]
    async fn a_lease_is_held_renewed_and_taken_over_only_after_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let one = Database::open(folder.path()).await.unwrap();
        let other = one.as_another_node();
        let first = one.take_lease("cells", None, NOW).await.unwrap().unwrap();
        assert_eq!(
            other.take_lease("cells", None, NOW + 15 * SECOND).await.unwrap(),
            None
        );
        let renewed = one
            .take_lease("cells", Some(first), NOW + 10 * SECOND)
            .await
            .unwrap();
        assert_eq!(renewed, Some(first));
        assert_eq!(
            other.take_lease("cells", None, NOW + 25 * SECOND).await.unwrap(),
            None
        );
        assert!(
            other.take_lease("outbox", None, NOW).await.unwrap().is_some(),
            "each by its name"
        );
        let taken = other
            .take_lease("cells", None, NOW + 26 * SECOND)
            .await
            .unwrap()
            .unwrap();
        assert_ne!(taken, first);
        assert_eq!(
            one.take_lease("cells", Some(first), NOW + 26 * SECOND)
                .await
                .unwrap(),
            None
        );
    }

    #[tokio::test]
    async fn a_transaction_under_a_lease_that_another_has_taken_fails() {
        let folder = tempfile::tempdir().unwrap();
        let one = Database::open(folder.path()).await.unwrap();
        let lease = one.take_lease("cells", None, NOW).await.unwrap().unwrap();
        let under = one.under(Standing::Holder(lease));
        under.begin().await.unwrap().commit().await.unwrap();
        let other = one.as_another_node();
        let taken = other
            .take_lease("cells", None, NOW + 16 * SECOND)
            .await
            .unwrap()
            .unwrap();
        let lost = under.begin().await.unwrap_err();
        assert!(
            matches!(lost, DatabaseError::LeaseLost { name: "cells" }),
            "{lost}"
        );
        // Who asks for no lease goes on.
        one.begin().await.unwrap().commit().await.unwrap();
        other.give_back(taken).await.unwrap();
        assert!(
            one.take_lease("cells", None, NOW + 17 * SECOND)
                .await
                .unwrap()
                .is_some()
        );
        assert!(under.begin().await.is_err(), "it is a new one");
    }

    #[tokio::test]
    async fn the_next_process_of_a_folder_need_not_wait_and_the_one_before_is_out() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(folder.path()).await.unwrap();
        let before = database.take_lease("cells", None, NOW).await.unwrap().unwrap();
        database.close().await;
        drop(database);
        let database = Database::open(folder.path()).await.unwrap();
        let now = database
            .take_lease("cells", None, NOW + SECOND)
            .await
            .unwrap()
            .unwrap();
        assert_ne!(before, now);
        assert!(database.under(Standing::Holder(before)).begin().await.is_err());
        assert!(database.under(Standing::Holder(now)).begin().await.is_ok());
    }
}
