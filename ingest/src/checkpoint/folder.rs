//! Files on a disk, of this machine or one that several nodes share.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::CheckpointError;
use crate::disk::state_folder::{self, FILE_MODE, make_folder};
use crate::disk::{Room, Writer};

/// How the names of files end that are being written.
const UNFINISHED: &str = ".new";

/// A folder of folders of files.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    root: PathBuf,
    /// Tells this process's unfinished files from those of other nodes.
    writer: u32,
    /// What must stay free of its disk.
    room: Option<Room>,
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CheckpointError {
    let place = path.display().to_string();
    move |error| CheckpointError::Io { action, place, error }
}

impl Folder {
    /// Opens the folder, made when absent.
    pub(super) fn open(root: &Path) -> Result<Self, CheckpointError> {
        make_folder(root).map_err(io_error("making folder", root))?;
        let mut writer = [0; 4];
        getrandom::fill(&mut writer).map_err(|error| CheckpointError::Io {
            action: "no random number to write into",
            place: root.display().to_string(),
            error: io::Error::other(error),
        })?;
        Ok(Self {
            root: root.to_owned(),
            writer: u32::from_ne_bytes(writer),
            room: None,
        })
    }

    /// The same, which leaves free what `room` says.
    pub(super) fn within(mut self, room: Room) -> Self {
        self.room = Some(room);
        self
    }

    /// Whether both are one folder, under whatever names.
    pub(super) fn is_same_place(&self, other: &Self) -> bool {
        let canonical = |folder: &Self| folder.root.canonicalize().ok();
        self.root == other.root || canonical(self).is_some_and(|root| Some(root) == canonical(other))
    }

    /// A folder as people find it.
    pub(super) fn place(&self, folder: &str) -> String {
        self.root.join(folder).display().to_string()
    }

    /// The folders, in order of their names.
    pub(super) fn folders(&self) -> Result<Vec<String>, CheckpointError> {
        let mut folders = list(&self.root)?;
        folders.retain(|name| self.root.join(name).is_dir());
        Ok(folders)
    }

    /// The files of a folder, in order of their names; none when it does not exist.
    pub(super) fn names(&self, folder: &str) -> Result<Vec<String>, CheckpointError> {
        let folder = self.root.join(folder);
        match list(&folder) {
            Err(CheckpointError::Io { error, .. }) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            listed => listed,
        }
    }

    /// The bytes of a file.
    pub(super) fn read(&self, folder: &str, name: &str) -> Result<Vec<u8>, CheckpointError> {
        let path = self.root.join(folder).join(name);
        fs::read(&path).map_err(io_error("reading", &path))
    }

    /// Makes a file that is whole and durable under its name, or not there at all. `false`: the name is taken.
    pub(super) fn create(&self, folder: &str, name: &str, bytes: &[u8]) -> Result<bool, CheckpointError> {
        let folder = self.root.join(folder);
        if let Some(room) = &self.room {
            room.ask(Writer::Checkpoints, bytes.len() as u64)
                .map_err(|none| io_error("writing", &folder.join(name))(io::Error::other(none)))?;
        }
        make_folder(&folder).map_err(io_error("making folder", &folder))?;
        let unfinished = folder.join(format!("{name}.{:08x}{UNFINISHED}", self.writer));
        let path = folder.join(name);
        let written = write_synced(&unfinished, bytes).map_err(io_error("writing", &path));
        // A link, unlike a rename, never takes the place of a file that is there.
        let linked = written.and_then(|()| match fs::hard_link(&unfinished, &path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(io_error("naming", &path)(error)),
        });
        // What stays of it takes room only, and is removed with the old files.
        let _ = fs::remove_file(&unfinished);
        let is_new = linked?;
        if is_new && let Err(error) = sync_folder(&folder) {
            // Whether it is durable is not known: it must not be there.
            let _ = fs::remove_file(&path);
            return Err(error);
        }
        Ok(is_new)
    }

    /// Removes a file; one that cannot be removed now is found again the next time.
    pub(super) fn remove(&self, folder: &str, name: &str) {
        let _ = fs::remove_file(self.root.join(folder).join(name));
    }
}

fn list(folder: &Path) -> Result<Vec<String>, CheckpointError> {
    let entries = fs::read_dir(folder).map_err(io_error("reading folder", folder))?;
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(io_error("reading folder", folder))?;
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(FILE_MODE)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn sync_folder(folder: &Path) -> Result<(), CheckpointError> {
    state_folder::sync_folder(folder).map_err(io_error("syncing", folder))
}
