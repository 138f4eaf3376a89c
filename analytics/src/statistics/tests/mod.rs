//! Claims about the whole chain: golden numbers, other software, slow obvious loops, false alarms, odd places.

mod edges;
mod false_alarms;
mod golden;
mod moran;
mod obvious;
mod reference;
mod trends;

use std::sync::atomic::AtomicBool;

use super::{HotspotTable, LocalMoranTable, LocalOptions, StatisticsError, Weights};

/// Hotspots over disks, never stopped.
fn hotspots(cells: &[u64], values: &[i128], options: &LocalOptions) -> Result<HotspotTable, StatisticsError> {
    weighted_hotspots(cells, values, Weights::Disk, options)
}

fn weighted_hotspots(
    cells: &[u64],
    values: &[i128],
    weights: Weights,
    options: &LocalOptions,
) -> Result<HotspotTable, StatisticsError> {
    super::hotspots(cells, values, weights, options, &AtomicBool::new(false))
}

fn local_moran(
    cells: &[u64],
    values: &[i128],
    options: &LocalOptions,
) -> Result<LocalMoranTable, StatisticsError> {
    super::local_moran(cells, values, options, &AtomicBool::new(false))
}
