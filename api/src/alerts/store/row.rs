//! How structs are read from rows.

/// Reads the named fields of a struct from the columns of the same names; the others are their defaults. sqlx can derive
/// this, by a macro for which SQLite and tokio would be built a second time.
macro_rules! read_from_row {
    ($name:ident { $($field:ident),+ $(,)? } $($rest:ident)?) => {
        impl sqlx::FromRow<'_, sqlx::sqlite::SqliteRow> for $name {
            fn from_row(row: &sqlx::sqlite::SqliteRow) -> sqlx::Result<Self> {
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
