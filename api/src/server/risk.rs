//! The risk surface: made of the grid while it moves.

use std::sync::Arc;

use riskgrid_ingest::grid::GridReader;

use super::{Started, wall_clock};
use crate::config::Checked;
use crate::risk::Surfaces;

/// Makes surfaces from now on, if any layer is on them.
pub(super) fn start(checked: &Checked, reader: GridReader, started: &mut Started) -> Arc<Surfaces> {
    let Some(engine) = checked.risk.clone() else {
        return Surfaces::none();
    };
    let (surfaces, [making, judging]) = Surfaces::follow(engine, reader, wall_clock);
    started.push_task("risk surface", making);
    started.push_task("forecast scores", judging);
    surfaces
}
