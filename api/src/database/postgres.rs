//! The database in `PostgreSQL`, which several nodes may share. Those who write wait for each other, as those of one file
//! do: what a transaction has read stays true until it ends.

use std::fmt;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Executor};
use url::Url;

use super::lock::{FolderLock, Where};
use super::migrations::of_postgres;
use super::pool::{Opened, pool};
use super::{DatabaseError, Transaction};

const READING_CONNECTIONS: u32 = 4;
/// Under which those who write wait for each other: any number that other programs in that database do not take.
const WRITING: &str =
    "SELECT pg_advisory_xact_lock(8246779703540740722 # hashtext(COALESCE(current_schema(), ''))::bigint)";

/// What each connection is told. A committed decision survives a power cut. A node that stops in a transaction does not keep
/// the others waiting for ever.
const OF_WRITERS: &str = "SET synchronous_commit = on; SET lock_timeout = '10s'; \
                          SET idle_in_transaction_session_timeout = '10s'; SET statement_timeout = '60s'";
const OF_READERS: &str = "SET default_transaction_read_only = on; SET statement_timeout = '60s'";

/// Where it is, and how one gets in.
#[derive(Clone)]
pub struct PostgresAddress(Url);

impl PostgresAddress {
    /// Of a URL such as `postgres://user@host/database`. A host of another machine must show a certificate for its name,
    /// unless the URL has its own `sslmode`.
    ///
    /// # Errors
    /// It is no such URL, or has a password in it.
    pub fn parse(text: &str, password: Option<&str>) -> Result<Self, UnfitAddress> {
        let mut url = Url::parse(text).map_err(UnfitAddress::NoUrl)?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err(UnfitAddress::Scheme);
        }
        let has_one = url.query_pairs().any(|(name, _)| name == "password");
        if url.password().is_some() || has_one {
            return Err(UnfitAddress::Password);
        }
        let is_near = match url.host_str() {
            None | Some("" | "localhost") => true,
            Some(host) => host
                .trim_matches(['[', ']'])
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback()),
        };
        let says = |wanted: &[&str]| url.query_pairs().any(|(name, _)| wanted.contains(&name.as_ref()));
        if !is_near && !says(&["sslmode", "ssl-mode"]) {
            url.query_pairs_mut().append_pair("sslmode", "verify-full");
        }
        if let Some(password) = password {
            url.set_password(Some(password))
                .map_err(|()| UnfitAddress::NoHost)?;
        }
        Ok(Self(url))
    }

    /// A connection of its own.
    #[cfg(test)]
    pub(super) async fn connect(&self) -> sqlx::Result<sqlx::PgConnection> {
        PgConnectOptions::from_url(&self.0)?.connect().await
    }
}

/// Without the password, and what may hold one.
impl fmt::Display for PostgresAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.0.host_str().unwrap_or_default();
        let port = self.0.port().unwrap_or(5432);
        write!(formatter, "postgres://{host}:{port}{}", self.0.path())
    }
}

impl fmt::Debug for PostgresAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PostgresAddress({self})")
    }
}

/// An address that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum UnfitAddress {
    /// It is no URL.
    #[error("it is no URL ({0}); write postgres://user@host/database")]
    NoUrl(url::ParseError),
    /// It is one of something else.
    #[error("it does not begin with postgres://; leave it empty for a file in storage.data_dir")]
    Scheme,
    /// A password stands in it.
    #[error("a password stands in it; put it into a file of its own and name that as password_file")]
    Password,
    /// A password needs somebody to be shown to.
    #[error("it names no host, so password_file has no use")]
    NoHost,
}

/// Opens it and brings its tables up to date. `lock` is that of this node's folder.
pub(super) async fn open(address: &PostgresAddress, lock: &mut FolderLock) -> Result<Opened, DatabaseError> {
    let unreachable = |source| DatabaseError::Unreachable {
        server: address.to_string(),
        source,
    };
    let options = PgConnectOptions::from_url(&address.0).map_err(unreachable)?;
    let first = PgPoolOptions::new()
        .max_connections(1)
        .connect_with(options)
        .await
        .map_err(unreachable)?;
    if lock.says(Where::Postgres) {
        let made: Option<i32> = sqlx::query_scalar(
            "SELECT 1 FROM information_schema.tables WHERE table_name = 'rules' AND table_schema = current_schema()",
        )
        .fetch_optional(&first)
        .await
        .map_err(unreachable)?;
        if made.is_none() {
            return Err(DatabaseError::Emptied {
                server: address.to_string(),
                lock: lock.path().to_owned(),
            });
        }
    } else if lock.says(Where::File) {
        tracing::warn!(
            "decisions.sqlite of this folder is not used any more: decisions.url names another database"
        );
    }
    of_postgres().run(&first).await?;
    let writer = pool(&address.0, 1, OF_WRITERS).await.map_err(unreachable)?;
    let readers = pool(&address.0, READING_CONNECTIONS, OF_READERS)
        .await
        .map_err(unreachable)?;
    first.close().await;
    Ok(Opened {
        writer,
        readers,
        holder: lock.settle(Where::Postgres)?,
    })
}

/// Waits until nobody else writes, also on no other node.
pub(super) async fn wait_for_others(transaction: &mut Transaction) -> sqlx::Result<()> {
    transaction.execute(WRITING).await.map(drop)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_shown_and_none_stands_in_the_url() {
        let address =
            PostgresAddress::parse("postgres://me@db.example/decisions", Some("hidden/@ word")).unwrap();
        for shown in [address.to_string(), format!("{address:?}")] {
            assert!(
                shown.contains("db.example:5432/decisions") && !shown.contains("hidden"),
                "{shown}"
            );
        }
        assert_eq!(address.0.password(), Some("hidden%2F%40%20word"));
        for url in ["postgres://me:secret@db/x", "postgres://me@db/x?password=secret"] {
            let refused = PostgresAddress::parse(url, None).unwrap_err().to_string();
            assert!(
                refused.contains("password_file") && !refused.contains("secret"),
                "{refused}"
            );
        }
    }

    #[test]
    fn a_server_on_another_machine_must_show_who_it_is() {
        let mode = |url: &str| {
            let address = PostgresAddress::parse(url, None).unwrap();
            let mode = address.0.query_pairs().find(|(name, _)| name == "sslmode");
            mode.map(|(_, mode)| mode.into_owned())
        };
        assert_eq!(mode("postgres://me@db.example/x").as_deref(), Some("verify-full"));
        assert_eq!(mode("postgres://me@10.0.0.7/x").as_deref(), Some("verify-full"));
        assert_eq!(
            mode("postgres://me@db.example/x?sslmode=disable").as_deref(),
            Some("disable")
        );
        for near in [
            "postgres://me@localhost/x",
            "postgres://me@127.0.0.1:1/x",
            "postgres://me@[::1]/x",
        ] {
            assert_eq!(mode(near), None, "{near}");
        }
    }

    #[test]
    fn other_urls_are_refused() {
        for url in ["", "decisions", "sqlite://decisions", "http://db/x"] {
            assert!(PostgresAddress::parse(url, None).is_err(), "{url}");
        }
    }
}
