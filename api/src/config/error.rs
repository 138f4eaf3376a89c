//! Why a configuration cannot be used.

use std::error::Error;

use figment::error::Kind;
use riskgrid_ingest::InvalidLayer;
use riskgrid_ingest::decode::feed::FeedError;
use riskgrid_ingest::places::PlaceError;
use riskgrid_ingest::words::Likeness;

use crate::alerts::rule_files::RuleFileError;
use crate::http::InvalidSite;
use crate::http::forwarded::InvalidAddress;

/// Why the configuration cannot be used: says which key, where it stands, and what is allowed.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A value cannot be, by itself or beside others.
    #[error("{0}")]
    Value(String),
    /// Keys or values that are not read.
    #[error("{}", explain(.0))]
    Unread(#[source] Box<figment::Error>),
    /// What a key says, or the file that it names, cannot be used.
    #[error("{what}: {source}")]
    Of {
        /// The key, or the file.
        what: String,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// How clients reach the server.
    #[error(transparent)]
    Address(#[from] InvalidAddress),
    /// Which hosts and pages are served.
    #[error(transparent)]
    Site(#[from] InvalidSite),
    /// A layer.
    #[error(transparent)]
    Layer(#[from] InvalidLayer),
    /// A feed.
    #[error(transparent)]
    Feed(#[from] FeedError),
    /// A reference layer.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// A file of rules.
    #[error(transparent)]
    Rules(#[from] RuleFileError),
}

impl ConfigError {
    /// What a key says, or the file that it names, cannot be used.
    pub(crate) fn of(what: impl Into<String>, source: impl Error + Send + Sync + 'static) -> Self {
        Self::Of {
            what: what.into(),
            source: Box::new(source),
        }
    }
}

impl From<figment::Error> for ConfigError {
    fn from(error: figment::Error) -> Self {
        Self::Unread(Box::new(error))
    }
}

/// A figment error as a sentence that names the key, its place and the remedy; several, one a line.
fn explain(error: &figment::Error) -> String {
    let lines: Vec<String> = error
        .clone()
        .into_iter()
        .map(|error| explain_one(&error))
        .collect();
    lines.join("\n")
}

fn explain_one(error: &figment::Error) -> String {
    let place = error
        .metadata
        .as_ref()
        .map_or_else(String::new, |metadata| match &metadata.source {
            Some(source) => format!(" ({source})"),
            None => format!(" ({})", metadata.name),
        });
    let section = error.path.join(".");
    match &error.kind {
        Kind::UnknownField(name, known) => {
            let key = if section.is_empty() || section.ends_with(name.as_str()) {
                if section.is_empty() {
                    name.clone()
                } else {
                    section.clone()
                }
            } else {
                format!("{section}.{name}")
            };
            let advice = Likeness::Spelling
                .proposals(name, known.iter().copied())
                .first()
                .map_or_else(
                    || format!("known here are: {}", known.join(", ")),
                    |nearest| format!("did you mean `{nearest}`?"),
                );
            format!("unknown key `{key}`{place}: {advice}")
        }
        _ if section.is_empty() => format!("{}{place}", error.kind),
        _ => format!("`{section}`: {}{place}", error.kind),
    }
}
