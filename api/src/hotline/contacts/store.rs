//! The file of contacts.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use sqlx::Row as _;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

use super::sealing::{NotOpened, Sealed};
use crate::digest::hex;
use crate::hotline::key_lines::{InvalidKeyLines, KeyLines};

const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS contacts (
    id TEXT PRIMARY KEY,
    case_id TEXT NOT NULL UNIQUE,
    key_id BIGINT NOT NULL,
    nonce BLOB NOT NULL,
    sealed BLOB NOT NULL,
    wrapped_key BLOB NOT NULL,
    confidential BIGINT NOT NULL,
    erase_at BIGINT,
    erased_at BIGINT
)";

/// Why contacts cannot be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum ContactsError {
    /// The file cannot be made.
    #[error("cannot use {}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is not what this program wrote.
    #[error("{} cannot be read; put it back from a backup, or move it away to begin without any contact", path.display())]
    Unreadable {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
    /// The file was made and filled once, and is empty now.
    #[error(
        "{} was emptied: its key {} is there, and no table of contacts; put it back from a backup, or move it away to begin without \
         any contact", path.display(), key_file.display()
    )]
    Emptied {
        /// Of the contacts.
        path: PathBuf,
        /// Of the key.
        key_file: PathBuf,
    },
    /// Contacts are there that nothing opens any more.
    #[error(
        "{} is not there, and {contacts} contacts are sealed with its key; put it back from a backup, or move {} away to begin \
         without any contact", key_file.display(), path.display()
    )]
    KeyLost {
        /// Of the key.
        key_file: PathBuf,
        /// Of the contacts.
        path: PathBuf,
        /// How many.
        contacts: i64,
    },
    /// The master key.
    #[error("`hotline.contact_key_file`: {0}")]
    Keys(#[from] InvalidKeyLines),
    /// The database.
    #[error("the file of contacts failed")]
    Database(#[from] sqlx::Error),
    /// A row cannot be opened.
    #[error(transparent)]
    NotOpened(#[from] NotOpened),
    /// No random bytes.
    #[error("the operating system gives no random bytes")]
    Random(#[from] getrandom::Error),
}

/// A contact, opened.
#[derive(Clone, Debug, PartialEq)]
pub struct Contact {
    /// `phone`, `email`, `name`.
    pub members: Map<String, Value>,
    /// Handlers may not see it.
    pub is_confidential: bool,
}

/// The store.
pub struct Contacts {
    pool: SqlitePool,
    keys: KeyLines,
}

impl Contacts {
    /// Opens or makes the file, and the master key.
    ///
    /// # Errors
    /// What of it cannot be.
    pub async fn open(folder: &Path, key_file: &Path) -> Result<Self, ContactsError> {
        let path = folder.join("contacts.sqlite");
        // SQLite writes a first page before anything else, and the key is made after the table: an empty file beside a key is
        // no first start that was cut off. It is not even opened, so that it stays what it is.
        let was_there = path.metadata().ok();
        if was_there.as_ref().is_some_and(|file| file.len() == 0) && key_file.exists() {
            return Err(ContactsError::Emptied {
                path,
                key_file: key_file.to_owned(),
            });
        }
        std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .mode_of_owner()
            .open(&path)
            .map_err(|source| ContactsError::File {
                path: path.clone(),
                source,
            })?;
        let unreadable = |source| ContactsError::Unreadable {
            path: path.clone(),
            source,
        };
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            // What is erased is not left behind in pages that are free.
            .pragma("secure_delete", "ON");
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options)
            .await
            .map_err(unreadable)?;
        if was_there.is_some() && key_file.exists() {
            let tables: i64 =
                sqlx::query_scalar("SELECT COUNT(*) FROM sqlite_master WHERE name = 'contacts'")
                    .fetch_one(&pool)
                    .await
                    .map_err(unreadable)?;
            if tables == 0 {
                pool.close().await;
                return Err(ContactsError::Emptied {
                    path,
                    key_file: key_file.to_owned(),
                });
            }
        }
        sqlx::query(SCHEMA).execute(&pool).await.map_err(unreadable)?;
        if !key_file.exists() {
            let contacts: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM contacts WHERE erased_at IS NULL")
                .fetch_one(&pool)
                .await
                .map_err(unreadable)?;
            if contacts > 0 {
                return Err(ContactsError::KeyLost {
                    key_file: key_file.to_owned(),
                    path,
                    contacts,
                });
            }
        }
        let keys = KeyLines::read_or_make(key_file)?;
        Ok(Self { pool, keys })
    }

    /// Keeps whom to call back of a case; durable when this returns.
    ///
    /// # Errors
    /// The file's.
    pub async fn keep(&self, case_id: &str, contact: &Map<String, Value>) -> Result<(), ContactsError> {
        let is_confidential = contact
            .get("confidential")
            .and_then(Value::as_bool)
            .unwrap_or(false);
        let mut members = contact.clone();
        members.remove("confidential");
        let mut random = [0; 16];
        getrandom::fill(&mut random)?;
        let id = hex(&random);
        let text = Value::Object(members).to_string();
        let sealed = Sealed::seal(&self.keys, (&id, case_id), text.as_bytes())?;
        sqlx::query(
            "INSERT INTO contacts (id, case_id, key_id, nonce, sealed, wrapped_key, confidential)
                VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (case_id) DO UPDATE
                SET id = $1, key_id = $3, nonce = $4, sealed = $5, wrapped_key = $6, confidential = $7",
        )
        .bind(&id)
        .bind(case_id)
        .bind(i64::from(sealed.key_id))
        .bind(sealed.nonce)
        .bind(sealed.sealed)
        .bind(sealed.wrapped_key)
        .bind(i64::from(is_confidential))
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Whether a case has one, and whether that is confidential.
    ///
    /// # Errors
    /// The file's.
    pub async fn is_confidential(&self, case_id: &str) -> Result<Option<bool>, ContactsError> {
        let found: Option<i64> =
            sqlx::query_scalar("SELECT confidential FROM contacts WHERE case_id = $1 AND erased_at IS NULL")
                .bind(case_id)
                .fetch_optional(&self.pool)
                .await?;
        Ok(found.map(|confidential| confidential != 0))
    }

    /// Opens that of a case; none where there never was one, or not any more.
    ///
    /// # Errors
    /// The file's; it cannot be opened.
    pub async fn reveal(&self, case_id: &str) -> Result<Option<Contact>, ContactsError> {
        let row = sqlx::query(
            "SELECT id, key_id, nonce, sealed, wrapped_key, confidential FROM contacts
                WHERE case_id = $1 AND erased_at IS NULL",
        )
        .bind(case_id)
        .fetch_optional(&self.pool)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let (id, key_id, confidential): (String, i64, i64) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(5)?);
        let sealed = Sealed {
            key_id: u8::try_from(key_id).map_err(|_| NotOpened)?,
            nonce: row.try_get(2)?,
            sealed: row.try_get(3)?,
            wrapped_key: row.try_get(4)?,
        };
        let opened = sealed.open(&self.keys, (&id, case_id))?;
        let Ok(Value::Object(members)) = serde_json::from_slice(&opened) else {
            return Err(NotOpened.into());
        };
        Ok(Some(Contact {
            members,
            is_confidential: confidential != 0,
        }))
    }

    /// Says when that of a case is to be erased; `None`: not as things stand. One that is held stays held, unless `hold` says
    /// otherwise.
    ///
    /// # Errors
    /// The file's.
    pub async fn schedule(&self, case_id: &str, at: Option<i64>, hold: bool) -> Result<(), ContactsError> {
        sqlx::query(
            "UPDATE contacts SET erase_at = $2 WHERE case_id = $1 AND erased_at IS NULL
                AND ($3 = 1 OR erase_at IS NULL OR erase_at <> $4)",
        )
        .bind(case_id)
        .bind(at)
        .bind(i64::from(hold))
        .bind(i64::MAX)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Forgets that of a case which was not made after all.
    ///
    /// # Errors
    /// The file's.
    pub async fn forget(&self, case_id: &str) -> Result<(), ContactsError> {
        sqlx::query("DELETE FROM contacts WHERE case_id = $1")
            .bind(case_id)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Erases those whose time has come: how many.
    ///
    /// # Errors
    /// The file's.
    pub async fn erase(&self, now: i64) -> Result<u64, ContactsError> {
        let erased = sqlx::query(
            "UPDATE contacts SET wrapped_key = x'', sealed = x'', nonce = x'', erased_at = $1, erase_at = NULL
                WHERE erase_at IS NOT NULL AND erase_at <= $1 AND erased_at IS NULL",
        )
        .bind(now)
        .execute(&self.pool)
        .await?;
        Ok(erased.rows_affected())
    }

    /// Cases that have one, so that those of which there is no case are found.
    ///
    /// # Errors
    /// The file's.
    pub async fn cases(&self) -> Result<Vec<String>, ContactsError> {
        Ok(
            sqlx::query_scalar("SELECT case_id FROM contacts WHERE erased_at IS NULL AND erase_at IS NULL")
                .fetch_all(&self.pool)
                .await?,
        )
    }

    /// Waits for what runs and closes it.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

trait OwnersMode {
    fn mode_of_owner(&mut self) -> &mut Self;
}

impl OwnersMode for std::fs::OpenOptions {
    fn mode_of_owner(&mut self) -> &mut Self {
        use std::os::unix::fs::OpenOptionsExt as _;
        self.mode(riskgrid_ingest::state_folder::FILE_MODE)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn contact() -> Map<String, Value> {
        let contact = json!({"phone": "13800138000", "name": "李", "confidential": true});
        contact.as_object().unwrap().clone()
    }

    #[tokio::test]
    async fn an_emptied_file_is_not_begun_anew_silently_and_one_that_is_moved_away_is() {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("contact.key");
        let contacts = Contacts::open(folder.path(), &key).await.unwrap();
        contacts.keep("case", &contact()).await.unwrap();
        contacts.close().await;
        let file = folder.path().join("contacts.sqlite");
        std::fs::write(&file, "").unwrap();
        for rest in ["contacts.sqlite-wal", "contacts.sqlite-shm"] {
            // They are there where the last process was killed.
            let _ = std::fs::remove_file(folder.path().join(rest));
        }
        for _ in 0..2 {
            let opened = Contacts::open(folder.path(), &key).await;
            assert!(
                matches!(opened, Err(ContactsError::Emptied { .. })),
                "{:?}",
                opened.err()
            );
        }
        std::fs::rename(&file, folder.path().join("away")).unwrap();
        let contacts = Contacts::open(folder.path(), &key).await.unwrap();
        assert_eq!(contacts.reveal("case").await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_contact_is_in_its_file_sealed_and_comes_back_until_it_is_erased() {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("elsewhere.key");
        let contacts = Contacts::open(folder.path(), &key).await.unwrap();
        contacts.keep("case", &contact()).await.unwrap();
        let shown = contacts.reveal("case").await.unwrap().unwrap();
        assert_eq!(
            shown.members,
            *json!({"phone": "13800138000", "name": "李"}).as_object().unwrap()
        );
        assert!(shown.is_confidential);
        assert_eq!(contacts.is_confidential("case").await.unwrap(), Some(true));
        contacts.schedule("case", Some(50), false).await.unwrap();
        contacts.schedule("case", Some(i64::MAX), true).await.unwrap();
        contacts.schedule("case", Some(50), false).await.unwrap();
        assert_eq!(contacts.erase(100).await.unwrap(), 0, "it is held");
        contacts.schedule("case", Some(50), true).await.unwrap();
        assert_eq!(contacts.erase(49).await.unwrap(), 0);
        assert_eq!(contacts.erase(50).await.unwrap(), 1);
        assert_eq!(contacts.reveal("case").await.unwrap(), None);
        contacts.keep("other", &contact()).await.unwrap();
        contacts.close().await;
        for file in std::fs::read_dir(folder.path()).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            assert!(!bytes.windows(7).any(|bytes| bytes == b"1380013"));
        }
        // Without its key it is nothing; another is not made in its place, and does not open it.
        std::fs::remove_file(&key).unwrap();
        let opened = Contacts::open(folder.path(), &key).await;
        assert!(matches!(opened, Err(ContactsError::KeyLost { contacts: 1, .. })));
        let other = folder.path().join("other.key");
        KeyLines::read_or_make(&other).unwrap();
        let contacts = Contacts::open(folder.path(), &other).await.unwrap();
        assert!(contacts.reveal("other").await.is_err());
    }
}
