//! How much memory the process has, for the fence around SQL.
//!
//! Of the allocator's figures and the system's, the system's is taken: it counts what is really there, threads, other
//! allocators and what was freed and not given back included, and that is what a machine runs out of.

use std::sync::Arc;

use riskgrid_analytics::sql::ProcessMemory;
use riskgrid_ingest::grid::{GridReader, GridSnapshot};

/// Bytes of the process that are not files of the system, less those of the grid, which grows by itself.
pub(crate) fn beside_the_grid(reader: GridReader) -> ProcessMemory {
    Arc::new(move || {
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        let grid = bytes_of(&reader.snapshot());
        anonymous_bytes(&status).map(|bytes| bytes.saturating_sub(grid))
    })
}

fn bytes_of(snapshot: &GridSnapshot) -> usize {
    snapshot
        .partitions
        .iter()
        .map(|partition| partition.slice_bytes + partition.dedup_bytes)
        .sum()
}

/// `RssAnon:     12345 kB`.
fn anonymous_bytes(status: &str) -> Option<usize> {
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    let kibibytes: usize = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_the_system_is_read() {
        let status = "Name:\triskgrid\nVmRSS:\t  900 kB\nRssAnon:\t     512 kB\nRssFile:\t 388 kB\n";
        assert_eq!(anonymous_bytes(status), Some(512 << 10));
        assert_eq!(anonymous_bytes("Name:\triskgrid\n"), None);
    }
}
