//! Access: the first key, who is let in, and that the server may listen where it is told to.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use riskgrid_analytics::permission::Permissions;
use riskgrid_ingest::{EventTime, VisibleToPublic};
use serde_json::json;

use super::state::State;
use super::{StartError, Started, wall_clock};
use crate::access::{Access, AccessSettings, Asked, Draft, Grant, OidcSettings, Rights, read_key_file};
use crate::audit::Deed;
use crate::config::{Anonymous, Checked, ClientAuth, Config, ConfigError};
use crate::database::Database;
use crate::digest::{canonical, hex, sha256};

/// How often the audit is trimmed, and said where it stands.
const TRIM_EVERY: Duration = Duration::from_hours(1);

/// Opens it, and starts what it does beside requests. `folder` is what relative paths begin from.
pub(super) async fn start(
    checked: &Checked,
    folder: &Path,
    state: &State,
    started: &mut Started,
) -> Result<Arc<Access>, StartError> {
    let (config, database) = (&checked.config, state.decisions.database());
    take_first_key(config, database, folder).await?;
    let settings = AccessSettings {
        anonymous_reads: config.access.anonymous == Anonymous::Public,
        public_sql: config.access.public.sql,
        public_cors: config.access.public.cors,
        certificates: certificates(checked, state)?,
        oidc: oidc(checked, state, folder)?,
    };
    let open = config
        .layers
        .iter()
        .filter(|layer| layer.public == VisibleToPublic::Open)
        .map(|layer| layer.id.clone());
    let permissions =
        Permissions::new(Arc::clone(&checked.places), checked.resolution).with_open(open.collect());
    let (access, writing) = Access::start(settings, database.clone(), permissions, wall_clock).await?;
    check_exposure(config, access.is_open())?;
    let ending = Arc::clone(&access);
    started.push("what access leaves to be written", async move {
        ending.finish().await;
        Ok(())
    });
    started.push_task("access", writing);
    let keeping = keep_audit(database.clone(), config.audit.keep.micros());
    started.push_task("audit", tokio::spawn(keeping));
    Ok(access)
}

async fn take_first_key(config: &Config, database: &Database, folder: &Path) -> Result<(), StartError> {
    let Some(path) = &config.access.first_key_file else {
        return Ok(());
    };
    if !database.keys().await?.is_empty() {
        return Ok(());
    }
    let key = read_key_file(&folder.join(path))
        .map_err(|error| ConfigError::of("`access.first_key_file`", error))?;
    let draft = Draft {
        name: Some("first".to_owned()),
        lifetime: None,
        rights: Rights::Given(Grant::of_an_admin()),
    };
    let deed = Deed::of_the_system("keys.create");
    let asked = Asked {
        now: wall_clock().micros(),
        by: &deed,
    };
    database.create_key(&key, draft, true, &asked).await?;
    tracing::info!(
        id = key.id(),
        "the first key, of an admin, is that of access.first_key_file"
    );
    Ok(())
}

/// What certificates give, of layers and areas that there are.
fn certificates(checked: &Checked, state: &State) -> Result<HashMap<String, Grant>, StartError> {
    let config = &checked.config;
    let wrong = |why: String| Err(ConfigError::Value(format!("`access.certificates`: {why}")).into());
    if !config.access.certificates.is_empty() && config.server.tls.client_auth == ClientAuth::None {
        return wrong("clients show no certificate unless `server.tls.client_auth` asks for one".to_owned());
    }
    let (layers, areas) = (state.layers.table(), &checked.places.areas);
    let mut grants = HashMap::new();
    for settings in &config.access.certificates {
        let (san, grant) = settings.grant()?;
        if let Err(unknown) = grant.scope.check(&layers, areas) {
            return wrong(format!("`{san}`: {unknown}"));
        }
        if grants.insert(san.clone(), grant).is_some() {
            return wrong(format!("`{san}` is there twice; keep one"));
        }
    }
    Ok(grants)
}

/// The issuer whose tokens let in; what they give is of layers and areas that there are.
fn oidc(checked: &Checked, state: &State, folder: &Path) -> Result<Option<OidcSettings>, StartError> {
    let settings = checked.config.access.oidc.settings(folder)?;
    let (layers, areas) = (state.layers.table(), &checked.places.areas);
    for (value, grant) in settings.iter().flat_map(|settings| &settings.map) {
        let known = grant.scope.check(&layers, areas);
        known.map_err(|unknown| ConfigError::of(format!("`access.oidc.map` of `{value}`"), unknown))?;
    }
    Ok(settings)
}

fn exposed(why: String) -> StartError {
    ConfigError::Value(why).into()
}

/// Off this machine nobody is let in by mistake, nor keys sent in clear.
fn check_exposure(config: &Config, is_open: bool) -> Result<(), StartError> {
    let server = &config.server;
    if server.listen.ip().is_loopback() || server.open {
        return Ok(());
    }
    if is_open {
        return Err(exposed(format!(
            "`server.listen` is {}, and there is no key yet: everybody who reaches that address could read and write. Make the \
             first one: riskgrid keys create --data-dir {} --name admin --role admin. Or listen on 127.0.0.1; or set \
             `server.open = true` if everybody may",
            server.listen,
            config.storage.data_dir.display(),
        )));
    }
    if !server.plaintext && !server.tls.is_on() {
        return Err(exposed(format!(
            "`server.listen` is {} and there is no TLS: keys would be sent in clear. Set `server.tls`; or listen on 127.0.0.1 \
             behind a proxy that speaks TLS; or set `server.plaintext = true` if the network between is yours",
            server.listen
        )));
    }
    Ok(())
}

/// Writes down under which configuration it starts: once all state is trusted, so that a start that is refused changes
/// nothing. A disk that is full keeps nobody from looking at what is there.
pub(super) async fn note_start(config: &Config, database: &Database) {
    let settings = serde_json::to_value(config).unwrap_or_default();
    let deed = Deed::of_the_system("server.start").with(json!({
        "configuration": hex(&sha256(canonical(&settings).as_bytes())),
        "version": env!("CARGO_PKG_VERSION"),
    }));
    if let Err(error) = database.audit(&deed, wall_clock().micros()).await {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "the audit misses this start"
        );
    }
}

/// Trims the audit, and puts its head into the log, where who can change the database cannot change it. Until it is stopped.
async fn keep_audit(database: Database, keep: i64) {
    let mut ticks = tokio::time::interval(TRIM_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let now = wall_clock();
        let until = EventTime::from_micros(now.micros().saturating_sub(keep));
        match database.trim_audit(until, now).await {
            Ok(0) => {}
            Ok(rows) => tracing::info!(rows, "the audit was trimmed"),
            Err(error) => tracing::error!(
                error = &error as &dyn std::error::Error,
                "old rows of the audit stay for now"
            ),
        }
        match database.audit_head().await {
            Ok(Some(head)) => tracing::info!(%head, "the audit stands there; keep it to verify with"),
            Ok(None) => {}
            Err(error) => tracing::error!(
                error = &error as &dyn std::error::Error,
                "where the audit stands cannot be read"
            ),
        }
    }
}
