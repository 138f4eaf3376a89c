//! `riskgrid hotline`: what a rule set would do.

use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;

use clap::Subcommand;
use riskgrid_analytics::hotline::read_document;
use riskgrid_analytics::hotline::rule_set::SampleClock;

use super::VerbResult;

/// The largest file, as `PUT /v1/hotline/rules` takes it.
const LARGEST_FILE: u64 = 32 << 20;

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum HotlineVerb {
    /// Check a rule set with its sample cases: a line a sample and clock, with due, yellow and red.
    Check {
        /// A rule set in TOML or JSON, with `samples`.
        file: PathBuf,
    },
}

pub(super) fn run(verb: &HotlineVerb) -> VerbResult {
    let HotlineVerb::Check { file } = verb;
    let named = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let mut text = String::new();
    File::open(file)
        .and_then(|opened| opened.take(LARGEST_FILE + 1).read_to_string(&mut text))
        .map_err(|error| named(&error))?;
    if LARGEST_FILE < text.len() as u64 {
        return Err(named(&"more than 32 MiB, no rule set has so much").into());
    }
    let document = read_document(&text).map_err(|error| named(&error))?;
    let clocks = SampleClock::of_document(&document).map_err(|error| named(&error))?;
    for clock in clocks {
        println!(
            "sample {}  {:<9}  due {}  yellow {}  red {}  rule {}{}",
            clock.sample,
            clock.clock.as_str(),
            clock.due,
            clock.yellow.as_deref().unwrap_or("-"),
            clock.red.as_deref().unwrap_or("-"),
            clock.rule,
            if clock.provisional { "  provisional" } else { "" },
        );
    }
    Ok(())
}
