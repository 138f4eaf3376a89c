//! The folder of a node's state, before anything in it is opened.

use std::io;
use std::path::{Path, PathBuf};

use riskgrid_ingest::seal::{SealError, break_seal};
use riskgrid_ingest::state_folder::{make_folder, narrow};

/// Paths that are named one by one when their rights are narrowed.
const NAMED: usize = 200;

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// It cannot be made or read.
    #[error("storage.data_dir {}: {error}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// Something in it is not as the last stop left it.
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// Makes files and folders of this process its user's only, whoever makes them: embedded databases make theirs by
/// themselves.
pub fn make_files_private() {
    // SAFETY: it changes a number of the process, takes any, and cannot fail.
    unsafe {
        libc::umask(0o077);
    }
}

/// Makes the folder, takes away the rights of others that an older version or a copy left there, and compares what the
/// embedded stores hold with what the last stop left.
///
/// # Errors
/// It cannot be made or read, or something of it was lost: says what to do, and nothing was changed.
pub fn prepare(data_dir: &Path) -> Result<(), DataDirError> {
    let named = |error| DataDirError::Folder {
        path: data_dir.to_owned(),
        error,
    };
    make_folder(data_dir).map_err(named)?;
    let narrowed = narrow(data_dir).map_err(named)?;
    for one in narrowed.iter().take(NAMED) {
        let (path, mode) = (one.path.display(), format!("{:04o}", one.mode));
        match &one.problem {
            None => tracing::warn!(%path, mode, "others had rights to it; now only its user has"),
            Some(problem) => tracing::warn!(%path, mode, problem, "others have rights to it; take them away"),
        }
    }
    if let Some(more) = narrowed.len().checked_sub(NAMED).filter(|more| *more > 0) {
        tracing::warn!(more, "others had rights to further files of storage.data_dir");
    }
    Ok(break_seal(data_dir)?)
}
