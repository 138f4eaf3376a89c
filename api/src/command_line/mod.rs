//! The verbs of `riskgrid`.

mod answer;
mod audit;
mod check_config;
mod dead_letters;
mod demo;
mod demo_offices;
mod demo_receiver;
mod evaluate;
mod exit;
mod feeds;
mod generate;
mod hotline;
mod keys;
mod serve;
mod sql;

use std::error::Error;
use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use riskgrid_ingest::seal::{seal, was_sealed};
use tracing_subscriber::EnvFilter;

use self::exit::{EXIT_STATUS, status_of};
use crate::data_dir::make_files_private;

/// riskgrid turns a city's sensor readings and reports into one live picture of risk on a hexagonal grid:
/// SQL for analysts, heat tiles for maps, alerts by webhook for operations teams.
#[derive(Debug, Parser)]
#[command(
    version,
    about,
    after_help = format!(
        "Start with `riskgrid demo`: it plays a simulated typhoon day and says what to open.\n\n{EXIT_STATUS}"
    )
)]
pub struct Arguments {
    #[command(subcommand)]
    verb: Verb,
    /// How log lines are written, to standard error. RUST_LOG sets the level, for example RUST_LOG=debug.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    log: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the server. Without any file: embedded journal, this machine only.
    Serve(serve::ServeArguments),
    /// Play a day and look at it: a simulated typhoon over an invented city, or a real week of earthquakes.
    Demo(demo::DemoArguments),
    /// Make synthetic events, clean or with trouble, and say what must come out.
    Generate(generate::GenerateArguments),
    /// Check a configuration file: keys, values, layers, feeds and their look-up files.
    CheckConfig(check_config::CheckConfigArguments),
    /// Send one SQL statement to a running server and print the answer.
    Sql(sql::SqlArguments),
    /// List and replay the refused records of a running server.
    #[command(subcommand)]
    DeadLetters(dead_letters::DeadLettersVerb),
    /// List the configured feeds, and take out all that one of them brought in.
    #[command(subcommand)]
    Feeds(feeds::FeedsVerb),
    /// Play a period again, and tell how well forecasts of a layer would have done.
    Evaluate(evaluate::EvaluateArguments),
    /// Check a rule set of the hotline.
    #[command(subcommand)]
    Hotline(hotline::HotlineVerb),
    /// Make, list and revoke keys.
    #[command(subcommand)]
    Keys(keys::KeysVerb),
    /// Print who did what, and verify that nobody changed it since.
    Audit(audit::AuditArguments),
}

/// Runs what the command line asks for; ends with the status that `--help` names.
pub fn run(arguments: Arguments) -> ExitCode {
    let level = if matches!(arguments.verb, Verb::Serve(_)) {
        "info,sqlx=warn"
    } else {
        "warn"
    };
    start_log(arguments.log, level);
    if matches!(
        arguments.verb,
        Verb::Serve(_) | Verb::Demo(_) | Verb::Feeds(_) | Verb::Keys(_) | Verb::Audit(_)
    ) {
        make_files_private();
    }
    // One provider for all TLS; set first thing, so nobody else has set one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let result = match arguments.verb {
        // Only once the runtime is gone has everything let go of the stores.
        Verb::Serve(arguments) => on_runtime(serve::run(arguments)).and_then(|(data_dir, result)| {
            seal_state(&data_dir, result.is_ok());
            result
        }),
        Verb::Demo(arguments) => on_runtime(demo::run(arguments)),
        Verb::Generate(arguments) => on_runtime(generate::run(arguments)),
        Verb::CheckConfig(arguments) => check_config::run(&arguments),
        Verb::Sql(arguments) => on_runtime(sql::run(arguments)),
        Verb::DeadLetters(verb) => on_runtime(dead_letters::run(verb)),
        Verb::Feeds(verb) => on_runtime(feeds::run(verb)),
        Verb::Evaluate(arguments) => evaluate::run(&arguments),
        Verb::Hotline(verb) => hotline::run(&verb),
        Verb::Keys(verb) => on_runtime(keys::run(verb)),
        Verb::Audit(arguments) => on_runtime(audit::run(arguments)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("riskgrid: {error}");
            ExitCode::from(status_of(&*error))
        }
    }
}

/// How long the stores may take to close.
const CLOSING: Duration = Duration::from_secs(10);

type VerbResult = Result<(), Box<dyn Error + Send + Sync>>;

fn on_runtime<T>(
    verb: impl Future<Output = Result<T, Box<dyn Error + Send + Sync>>>,
) -> Result<T, Box<dyn Error + Send + Sync>> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(verb)
}

/// After a start that was refused too, where it broke a seal: what was whole then must not be lost unseen until the next.
fn seal_state(data_dir: &Path, went_well: bool) {
    if !went_well && !was_sealed(data_dir) {
        return;
    }
    match seal(data_dir, CLOSING) {
        Ok(false) => {
            tracing::warn!("the stores are still open: the next start cannot tell whether files were lost");
        }
        Ok(true) => {}
        Err(error) => tracing::warn!(%error, "the next start cannot tell whether files were lost"),
    }
}

fn start_log(format: LogFormat, level: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Text => log.with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => log.json().init(),
    }
}

/// Waits for Ctrl-C or SIGTERM; what comes from the call on is heard, before it is waited for too.
fn asked_to_stop() -> impl Future<Output = std::io::Result<()>> {
    use tokio::signal::unix::{SignalKind, signal};

    let (interrupt, terminate) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    async move {
        let (mut interrupt, mut terminate) = (interrupt?, terminate?);
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        Ok(())
    }
}
