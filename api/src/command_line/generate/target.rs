//! Where lines go.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::ProgressBar;
use riskgrid_fixtures::load::Line;

use super::super::VerbResult;
use super::super::answer::KeyToSend;
use super::file::FileTarget;
use super::http::HttpTarget;
use super::kafka::KafkaTarget;

/// Exactly one of them.
#[derive(Debug, Args)]
#[command(next_help_heading = "Where it goes (one of the first three)")]
pub(super) struct TargetArguments {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    key: KeyToSend,
    /// Configuration whose [kafka] names the topics and further properties. Default: riskgrid's own topics.
    #[arg(long, value_name = "FILE", requires = "kafka")]
    config: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Place {
    /// Produce to riskgrid's topics, keyed by source, acknowledged by all replicas. Makes the topics if absent.
    #[arg(long, value_name = "BROKERS")]
    kafka: Option<String>,
    /// Post to a running server; what is not acknowledged is sent again.
    #[arg(long, value_name = "URL")]
    http: Option<String>,
    /// Write lines of JSON; compressed where the name ends in .gz; - is standard output.
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,
}

impl TargetArguments {
    pub(super) fn is_file(&self) -> bool {
        self.place.file.is_some()
    }

    pub(super) fn is_standard_output(&self) -> bool {
        self.place.file.as_deref() == Some(Path::new("-"))
    }
}

/// One place, ready.
pub(super) enum Target {
    Kafka(KafkaTarget),
    Http(HttpTarget),
    File(FileTarget),
}

impl Target {
    pub(super) async fn open(
        arguments: &TargetArguments,
        bar: &ProgressBar,
    ) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let place = &arguments.place;
        if let Some(brokers) = &place.kafka {
            let target = KafkaTarget::open(brokers, arguments.config.as_deref()).await?;
            return Ok(Self::Kafka(target));
        }
        if let Some(url) = &place.http {
            return Ok(Self::Http(HttpTarget::new(
                url,
                arguments.key.headers()?,
                bar.clone(),
            )?));
        }
        let path = place.file.as_deref().unwrap_or(Path::new("-"));
        Ok(Self::File(FileTarget::create(path)?))
    }

    /// Most lines of one batch.
    pub(super) const fn lines_at_once(&self) -> usize {
        match self {
            Self::Http(_) => 2_000,
            Self::Kafka(_) | Self::File(_) => 10_000,
        }
    }

    /// Returns when all are acknowledged, in their order.
    pub(super) async fn send(&mut self, lines: Vec<Line>) -> VerbResult {
        match self {
            Self::Kafka(target) => target.send(lines).await,
            Self::Http(target) => target.send(&lines).await,
            Self::File(target) => Ok(target.write(&lines)?),
        }
    }

    pub(super) fn finish(&mut self) -> io::Result<()> {
        match self {
            Self::Kafka(_) | Self::Http(_) => Ok(()),
            Self::File(target) => target.finish(),
        }
    }

    /// What one should know beside the expected totals.
    pub(super) fn remarks(&self) -> String {
        match self {
            Self::Kafka(_) | Self::File(_) => String::new(),
            Self::Http(target) => target.remarks(),
        }
    }
}

/// Whether the reader of standard output went away, as `head` does.
pub(super) fn is_broken_pipe(error: &(dyn Error + Send + Sync + 'static)) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
