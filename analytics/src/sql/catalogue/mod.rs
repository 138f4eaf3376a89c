//! What a query can ask about the database itself: `information_schema`, and the table `queries`.

mod information_schema;
mod queries_table;

pub(crate) use information_schema::{CATALOG, SCHEMA, catalog_of};
pub(crate) use queries_table::QueriesTable;
pub use queries_table::{QueryRecord, QueryState};
