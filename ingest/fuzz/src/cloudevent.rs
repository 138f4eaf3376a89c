//! CloudEvents, one a line: in structured mode, and the same bytes as the data of one in binary mode.

use std::borrow::Cow;

use riskgrid_ingest::decode::cloudevent::{BinaryAttributes, decode_binary, decode_structured};

use super::Grid;

/// Decodes, judges and counts them.
pub fn run(bytes: &[u8]) {
    let mut grid = Grid::new(None);
    for line in bytes.split(|byte| *byte == b'\n') {
        grid.take(decode_structured(line));
        for kind in ["observation", "report", "position"] {
            let mut attributes = BinaryAttributes::default();
            let kind = format!("riskgrid.{kind}.v1");
            for (name, value) in [
                ("specversion", "1.0"),
                ("id", "1"),
                ("source", "//fuzz"),
                ("type", &kind),
                ("time", "2026-11-18T10:26:40Z"),
            ] {
                attributes.set(name, Cow::Borrowed(value));
            }
            grid.take(decode_binary(attributes, line));
        }
    }
    grid.balances();
}
