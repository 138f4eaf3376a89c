//! Where the pages of the log lie: beside the checkpoints, as those are shared by the nodes of a group; or in the decisions
//! database, where nodes share that one alone.

use riskgrid_ingest::checkpoint::{Files, NumberedError, NumberedFiles};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::runtime::Handle;

use crate::database::{Database, DatabaseError, Standing, read_from_row};

const FOLDER: &str = "public";
const STEM: &str = "published";
const FORMAT: u32 = 1;

/// Why the log cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum PublicationError {
    /// Files beside the checkpoints.
    #[error(transparent)]
    Files(#[from] NumberedError),
    /// The decisions database.
    #[error("the log of what was published: {0}")]
    Database(#[from] DatabaseError),
    /// A page in the database is not what was written.
    #[error(
        "page {number} of the table `published` is {problem}; restore the decisions database from a backup"
    )]
    Page {
        /// Which one.
        number: i64,
        /// What is wrong with it.
        problem: String,
    },
}

/// Where the pages are.
#[derive(Clone, Debug)]
pub enum PagePlace {
    /// Beside the checkpoints.
    Files(Files),
    /// In the decisions database, which this runtime speaks to.
    Database(Database, Handle),
}

impl PagePlace {
    /// Beside the checkpoints, unless these are of one node alone and the decisions are of several.
    pub fn of(files: Files, are_shared: bool, database: &Database, runtime: Handle) -> Self {
        if database.is_shared() && !are_shared {
            Self::Database(database.clone(), runtime)
        } else {
            Self::Files(files)
        }
    }
}

/// Pages, each made once, by one of all nodes, under the next number. Reading and writing wait; they run beside a runtime.
#[derive(Debug)]
pub(super) enum Pages {
    Files(NumberedFiles),
    Database {
        database: Database,
        runtime: Handle,
        /// The number of the newest that was read.
        read: i64,
    },
}

struct PageRow {
    number: i64,
    page: String,
}

read_from_row!(PageRow { number, page });

impl Pages {
    pub(super) fn new(place: PagePlace) -> Self {
        match place {
            PagePlace::Files(files) => Self::Files(NumberedFiles::new(files, FOLDER, STEM, FORMAT)),
            PagePlace::Database(database, runtime) => Self::Database {
                database,
                runtime,
                read: 0,
            },
        }
    }

    /// From now on pages are written as long as the lease is held; files are made once whoever makes them.
    pub(super) fn stand(&mut self, standing: Standing) {
        if let Self::Database { database, .. } = self {
            *database = database.under(standing);
        }
    }

    /// What was written since the last look, in order.
    pub(super) fn read_on<T: DeserializeOwned>(&mut self) -> Result<Vec<T>, PublicationError> {
        match self {
            Self::Files(files) => Ok(files.read_on()?),
            Self::Database {
                database,
                runtime,
                read,
            } => {
                let sql = "SELECT number, page FROM published WHERE number > $1 ORDER BY number";
                let rows = sqlx::query_as::<_, PageRow>(sql)
                    .bind(*read)
                    .fetch_all(database.readers());
                let rows = runtime.block_on(rows).map_err(DatabaseError::from)?;
                let mut found = Vec::with_capacity(rows.len());
                for PageRow { number, page } in rows {
                    let wrong = |problem: String| PublicationError::Page { number, problem };
                    if number != *read + 1 {
                        return Err(wrong(format!("there, and page {} is missing", *read + 1)));
                    }
                    let page = serde_json::from_str(&page).map_err(|error| wrong(error.to_string()))?;
                    found.push(page);
                    *read = number;
                }
                Ok(found)
            }
        }
    }

    /// Writes the next one; `false`: another node was faster, and what it wrote is to be read first.
    pub(super) fn append<T: Serialize>(&mut self, page: &T) -> Result<bool, PublicationError> {
        match self {
            Self::Files(files) => Ok(files.append(page)?),
            Self::Database {
                database,
                runtime,
                read,
            } => {
                let number = *read + 1;
                let wrong = |error: serde_json::Error| PublicationError::Page {
                    number,
                    problem: error.to_string(),
                };
                let json = serde_json::to_string(page).map_err(wrong)?;
                let is_made = runtime.block_on(insert(database, number, &json))?;
                *read += i64::from(is_made);
                Ok(is_made)
            }
        }
    }
}

async fn insert(database: &Database, number: i64, page: &str) -> Result<bool, DatabaseError> {
    let mut transaction = database.begin().await?;
    let made =
        sqlx::query("INSERT INTO published (number, page) VALUES ($1, $2) ON CONFLICT (number) DO NOTHING")
            .bind(number)
            .bind(page)
            .execute(&mut *transaction)
            .await?;
    transaction.commit().await?;
    Ok(made.rows_affected() > 0)
}
