//! The configuration: one TOML file, environment variables over it, flags over those. Unknown keys are errors.

mod access;
mod alerts;
mod check;
mod decisions;
mod error;
mod hotline;
pub mod risk;
mod sections;
mod sql_roles;
mod storage;
mod values;

use std::path::{Path, PathBuf};

use figment::providers::{Env, Format, Serialized, Toml};
use figment::{Figment, Profile};
use riskgrid_ingest::LayerSettings;
use riskgrid_ingest::decode::feed::FeedSettings;
use riskgrid_ingest::places::{AreaSettings, FacilitySettings, PopulationSettings};
use riskgrid_ingest::source::kafka::KafkaSettings;
use serde::{Deserialize, Serialize};

pub use access::{
    AccessSection, Anonymous, AuditSection, CertificateSettings, ClientAuth, OidcMapSettings, OidcSection,
    PublicSection, TlsSection,
};
pub use check::{Checked, CheckedFeed, layer_rule};
pub use decisions::DecisionsSection;
pub use error::ConfigError;
pub use hotline::{DutyOrder, HotlineSection, Open311Section};
pub use sections::{
    AlertsSection, ConsoleSection, EdgeSection, GridSection, RetentionSection, RetentionSteps, ServerSection,
    SqlSection, WebhooksSection,
};
pub use storage::{ObjectStoreSection, OpenCheckpointsError, StorageSection};
pub use values::{ByteSize, Span};

/// Prefix of environment variables: `RISKGRID_SECTION__KEY`.
const ENVIRONMENT: &str = "RISKGRID_";

/// The whole configuration. Every key has a default, so that `riskgrid serve` runs without a file.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// `[server]`: where and to whom.
    pub server: ServerSection,
    /// `[access]`: who may what.
    pub access: AccessSection,
    /// `[audit]`: how long it is kept.
    pub audit: AuditSection,
    /// `[storage]`: where state lives.
    pub storage: StorageSection,
    /// `[decisions]`: where rules, alerts, webhooks, keys and the audit are.
    pub decisions: DecisionsSection,
    /// `[kafka]`: the log, when it is Kafka.
    pub kafka: KafkaSettings,
    /// `[grid]`: resolution, buckets and how long they are kept.
    pub grid: GridSection,
    /// `[edge]`: what is let in.
    pub edge: EdgeSection,
    /// `[sql]`: limits of queries.
    pub sql: SqlSection,
    /// `[webhooks]`: delivery of alerts.
    pub webhooks: WebhooksSection,
    /// `[alerts]`: how many rules and alerts there may be, and how long they are kept.
    pub alerts: AlertsSection,
    /// `[hotline]`: cases and their deadlines.
    pub hotline: HotlineSection,
    /// `[open311]`: who asks by Open311.
    pub open311: Open311Section,
    /// `[console]`: the page at `/`.
    pub console: ConsoleSection,
    /// `[risk]`: the risk surface.
    pub risk: risk::RiskSection,
    /// `[[layers]]`: the layer catalogue.
    pub layers: Vec<LayerSettings>,
    /// `[[feeds]]`: other people's data, mapped.
    pub feeds: Vec<FeedSettings>,
    /// `[[areas]]`: polygons of a hierarchy.
    pub areas: Vec<AreaSettings>,
    /// `[[facilities]]`: hospitals and the like.
    pub facilities: Vec<FacilitySettings>,
    /// `[[population]]`: people of areas, or at points.
    pub population: Vec<PopulationSettings>,
}

/// A configuration and where it came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What it says.
    pub config: Config,
    /// The folder that relative paths of feeds start from: the file's, or the working directory.
    pub folder: PathBuf,
}

impl Config {
    /// Reads `file` (none: defaults only) and the environment. `flags` are `section.key` and value, and win.
    ///
    /// # Errors
    /// A file that cannot be read, an unknown key (with the nearest known one), a value of the wrong form.
    pub fn load(file: Option<&Path>, flags: &[(&str, String)]) -> Result<Loaded, ConfigError> {
        let mut figment = Figment::from(Serialized::defaults(Self::default()));
        if let Some(file) = file {
            // Figment takes an absent file for an empty one; an operator who names a file wants that file.
            std::fs::metadata(file).map_err(|error| ConfigError::of(file.display().to_string(), error))?;
            figment = figment.merge(Toml::file_exact(file));
        }
        // `RISKGRID_SECTION__KEY`; other variables with the prefix are not configuration.
        let environment = Env::prefixed(ENVIRONMENT)
            .filter(|name| name.as_str().contains("__"))
            .split("__");
        figment = figment.merge(environment);
        for (key, value) in flags {
            figment = figment.merge((*key, value.clone()));
        }
        let config = figment.select(Profile::Default).extract()?;
        let folder = file
            .and_then(Path::parent)
            .filter(|folder| !folder.as_os_str().is_empty());
        Ok(Loaded {
            config,
            folder: folder.unwrap_or(Path::new(".")).to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Config, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("riskgrid.toml");
        std::fs::write(&file, text).unwrap();
        Config::load(Some(&file), &[])
            .map(|loaded| loaded.config)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_default_file_says_what_the_program_defaults_to() {
        let text = include_str!("../../riskgrid.default.toml");
        // Every commented-out key of the shipped file is a real key with its real default.
        let uncommented: String = text
            .lines()
            .map(|line| line.strip_prefix("# = ").unwrap_or(line).to_owned() + "\n")
            .collect();
        let shipped = load(&uncommented).unwrap();
        let defaults = Config::default();
        assert_eq!(
            serde_json::to_value(&shipped).unwrap(),
            serde_json::to_value(&defaults).unwrap()
        );
        let defaults = serde_json::to_value(&defaults).unwrap();
        let object_store = &defaults["storage"]["object_store"];
        for (section, value) in [
            "access", "audit", "server", "storage", "kafka", "grid", "edge", "sql", "webhooks", "alerts",
            "hotline", "open311", "console",
        ]
        .map(|section| (section, &defaults[section]))
        .into_iter()
        .chain([("storage.object_store", object_store)])
        {
            for key in value.as_object().unwrap().keys() {
                assert!(
                    text.contains(&format!("# {key} ="))
                        || text.contains(&format!("# = {key} ="))
                        || text.contains(&format!("[{section}.{key}]")),
                    "{section}.{key}"
                );
            }
        }
    }

    #[test]
    fn an_unknown_key_is_an_error_with_the_nearest_known_one() {
        let error = load("[grid]\nresoluton = 8\n").unwrap_err();
        assert!(
            error.contains("resoluton") && error.contains("did you mean `resolution`?"),
            "{error}"
        );
        assert!(error.contains("riskgrid.toml"), "{error}");
        let error = load("[grd]\nresolution = 8\n").unwrap_err();
        assert!(error.contains("did you mean `grid`?"), "{error}");
    }

    #[test]
    fn wrong_values_name_their_key() {
        for (text, key) in [
            ("[grid]\nresolution = \"nine\"\n", "grid.resolution"),
            ("[grid]\nbucket = \"a while\"\n", "grid.bucket"),
            ("[server]\nmax_body = \"64 MB or so\"\n", "server.max_body"),
            ("[server]\nlisten = 8080\n", "server.listen"),
        ] {
            let error = load(text).unwrap_err();
            assert!(error.contains(key), "{text}: {error}");
        }
    }

    #[test]
    fn retention_is_one_span_or_three() {
        assert_eq!(
            load("[grid]\nretention = \"20y\"\n")
                .unwrap()
                .grid
                .retention
                .steps()
                .days
                .hours(),
            20 * 8766
        );
        let steps = load("[grid]\nretention = { minutes = \"3d\" }\n")
            .unwrap()
            .grid
            .retention
            .steps();
        assert_eq!((steps.minutes.hours(), steps.hours.hours()), (72, 90 * 24));
    }

    #[test]
    fn checkpoints_lie_in_a_folder_or_a_bucket_and_what_is_neither_is_refused() {
        let check = |storage: &str| {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("riskgrid.toml");
            std::fs::write(&file, format!("[storage]\n{storage}\n")).unwrap();
            let checked = Config::load(Some(&file), &[]).unwrap().check();
            checked
                .map(|checked| checked.config.storage)
                .map_err(|error| error.to_string())
        };
        assert_eq!(
            check("data_dir = \"here\"").unwrap().checkpoint_place(),
            "here/checkpoints"
        );
        let bucket = check(
            "checkpoints = \"s3://bucket/a\"\n[storage.object_store]\nregion = \"eu-west-1\"\nretry_for = \"5s\"",
        )
        .unwrap();
        assert_eq!(bucket.checkpoint_place(), "s3://bucket/a");
        let settings = bucket.object_store.settings();
        assert_eq!(
            (settings.region.as_deref(), settings.endpoint),
            (Some("eu-west-1"), None)
        );
        for (storage, says) in [
            (
                "checkpoints = \"gs://bucket/a\"",
                "`storage.checkpoints`: `gs://` is no place",
            ),
            (
                "[storage.object_store]\naccess_key_id = \"a\"",
                "secret_access_key_file",
            ),
            ("[storage.object_store]\nretry_for = \"1h\"", "retry_for"),
        ] {
            let error = check(storage).unwrap_err();
            assert!(error.contains(says), "{storage}: {error}");
        }
    }

    #[test]
    fn flags_win_over_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("riskgrid.toml");
        std::fs::write(&file, "[server]\nlisten = \"127.0.0.1:1\"\n").unwrap();
        let loaded = Config::load(Some(&file), &[("server.listen", "127.0.0.1:2".to_owned())]).unwrap();
        assert_eq!(loaded.config.server.listen.to_string(), "127.0.0.1:2");
        assert!(Config::load(Some(&folder.path().join("absent.toml")), &[]).is_err());
    }
}
