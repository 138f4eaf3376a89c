//! Connections, transactions and rows, whichever database it is; and how structs are read from rows.

/// Connections to it.
pub type Pool = sqlx::AnyPool;
/// One of them.
pub type Connection = sqlx::AnyConnection;
/// What is written together.
pub type Transaction = sqlx::Transaction<'static, sqlx::Any>;
/// What a query answers.
pub type Row = sqlx::any::AnyRow;

/// Reads the named fields of a struct from the columns of the same names; the others are their defaults. sqlx can derive
/// this, by a macro for which SQLite and tokio would be built a second time.
macro_rules! read_from_row {
    ($name:ident { $($field:ident),+ $(,)? } $($rest:ident)?) => {
        impl sqlx::FromRow<'_, $crate::database::Row> for $name {
            fn from_row(row: &$crate::database::Row) -> sqlx::Result<Self> {
                use sqlx::Row as _;
                Ok(Self {
                    $($field: row.try_get(stringify!($field).trim_start_matches("r#"))?,)+
                    $($rest: Default::default(),)?
                })
            }
        }
    };
}
pub(crate) use read_from_row;
