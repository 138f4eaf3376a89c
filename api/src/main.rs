//! The command line of riskgrid.

use std::process::ExitCode;

use clap::Parser;
use riskgrid_api::command_line::{Arguments, run};

fn main() -> ExitCode {
    run(Arguments::parse())
}
