//! The command line of riskgrid.

use std::process::ExitCode;

use clap::Parser;
use riskgrid_api::command_line::{Arguments, run};

/// Events come in on some threads and are let go on others, small pieces of memory by the million: the system's allocator
/// is slower at that and keeps more of it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    run(Arguments::parse())
}
