//! The mapping of a feed, as an operator writes it in TOML; after a line `+++` rows of it, one a line.

use std::path::Path;

use figment::Figment;
use figment::providers::{Format, Toml};
use riskgrid_ingest::decode::feed::{FeedMapper, FeedOrigin, FeedSettings};

use super::Grid;

const BETWEEN: &str = "\n+++\n";

/// Compiles the mapping, and maps, judges and counts the rows.
pub fn run(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (mapping, rows) = text.split_once(BETWEEN).unwrap_or((&text, ""));
    let Ok(settings) = Figment::from(Toml::string(mapping)).extract::<FeedSettings>() else {
        return;
    };
    // Whatever file a mapping names would be read.
    if settings.lookup.is_some() || matches!(settings.from, FeedOrigin::File { .. }) {
        return;
    }
    let Ok(mapper) = FeedMapper::compile(&settings, Path::new("."), None) else {
        return;
    };
    let mut grid = Grid::new(Some(mapper.rules()));
    for row in rows.split('\n') {
        for candidate in mapper.map(row.as_bytes()) {
            grid.take(candidate);
        }
    }
    grid.balances();
}
