//! `[decisions]`: where what people and rules decide is kept.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::ConfigError;
use crate::access::read_private_file;
use crate::database::PostgresAddress;

/// `[decisions]`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DecisionsSection {
    /// `postgres://user@host/database`: in `PostgreSQL`, which several nodes may share. Default none: in `decisions.sqlite` in
    /// `storage.data_dir`.
    pub url: String,
    /// A file that holds the password of that user and nothing else; nobody but its owner may read it.
    pub password_file: Option<PathBuf>,
}

impl DecisionsSection {
    /// Where they are, if not in a file. Relative paths begin at `folder`.
    ///
    /// # Errors
    /// The URL cannot be used, or the file of the password.
    pub fn address(&self, folder: &Path) -> Result<Option<PostgresAddress>, ConfigError> {
        if self.url.is_empty() {
            return match self.password_file {
                None => Ok(None),
                Some(_) => Err(ConfigError::Value(
                    "`decisions.password_file` is set without `decisions.url`; set both, or neither"
                        .to_owned(),
                )),
            };
        }
        let password = match &self.password_file {
            None => None,
            Some(path) => {
                let text = read_private_file(&folder.join(path));
                let text = text.map_err(|error| ConfigError::of("`decisions.password_file`", error))?;
                Some(text.trim_end_matches(['\r', '\n']).to_owned())
            }
        };
        let address = PostgresAddress::parse(&self.url, password.as_deref());
        let address = address.map_err(|error| ConfigError::of("`decisions.url`", error))?;
        Ok(Some(address))
    }
}
