//! Connections, each told first how it is to behave.

use std::time::Duration;

use sqlx::ConnectOptions;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use url::Url;

use super::Pool;

/// A caller gives up after waiting this long for a connection.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was opened.
pub(super) struct Opened {
    pub(super) writer: Pool,
    pub(super) readers: Pool,
    /// Under which name it holds leases.
    pub(super) holder: String,
}

/// So many connections to the database of an address, which stay.
pub(super) async fn pool(url: &Url, connections: u32, told: &'static str) -> sqlx::Result<Pool> {
    sqlx::any::install_default_drivers();
    AnyPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(PATIENCE)
        .idle_timeout(None)
        .max_lifetime(None)
        .after_connect(move |connection, _| {
            Box::pin(async move { sqlx::raw_sql(told).execute(connection).await.map(drop) })
        })
        .connect_with(AnyConnectOptions::from_url(url)?)
        .await
}
