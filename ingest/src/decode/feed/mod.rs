//! Feeds mapped by configuration: rows of CSV and JSON objects, whatever their fields are called, become candidates.
//!
//! [`FeedSettings`] is one `[[feeds]]` table as it is written. [`FeedMapper::compile`] checks it, loads its look-up file
//! and resolves every field name to a place in the row, so that mapping a row looks nothing up by name.
//! A row is read by `csv_row` or `json_row`, its time by `local_time`, and `mapping` makes the candidates.

mod checker;
mod compile;
mod compiled_fields;
mod csv_row;
mod error;
mod field;
mod field_spec;
mod json_row;
mod local_time;
mod lookup;
mod mapping;
mod settings;
#[cfg(test)]
mod tests;

pub use error::FeedError;
pub use field_spec::{FieldSpec, IdSettings, RowHash, Scalar, TimeSettings};
pub use mapping::{FeedMapper, MappedRow};
pub use settings::{
    AnonymousSources, FeedClock, FeedFormat, FeedOrigin, FeedSettings, LookupSettings, ValueSettings,
};

pub(crate) use csv_row::read_header;
