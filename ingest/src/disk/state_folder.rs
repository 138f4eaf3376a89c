//! The folder of a node's state: for its user only. What lies there names sensors and reporters, and signs webhooks.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Rights of files.
pub const FILE_MODE: u32 = 0o600;
/// Rights of folders.
const FOLDER_MODE: u32 = 0o700;
/// Rights of everybody else.
const OF_OTHERS: u32 = 0o077;
/// What riskgrid keeps in its folder, and how names of it begin. Anything else there is somebody else's.
const OWN: [&str; 11] = [
    "attempts",
    "checkpoints",
    "contact",
    "dead-letters",
    "decisions.",
    "journal",
    "kafka-instance-id",
    "opened.json",
    "purge",
    "rating.key",
    "sealed.json",
];

/// A file or folder whose rights were wider than its user's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Narrowed {
    /// Which.
    pub path: PathBuf,
    /// The rights that it had.
    pub mode: u32,
    /// Why they are as they were, where they could not be narrowed.
    pub problem: Option<String>,
}

/// Makes a folder that is its user's only, with those above it; durable then. One that is there stays as it is.
///
/// # Errors
/// It cannot be made, or something else bears its name.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(FOLDER_MODE).create(folder)?;
    match folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => sync_folder(parent),
        None => sync_folder(Path::new(".")),
    }
}

/// Makes names in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Takes away, from the folder of a node's state and from what riskgrid keeps in it, the rights of everybody but its
/// user. Symbolic links are not followed: what is elsewhere is somebody else's to judge.
///
/// # Errors
/// The folder cannot be read.
pub fn narrow(data_dir: &Path) -> io::Result<Vec<Narrowed>> {
    let mut narrowed = Vec::new();
    // Where it is a link itself, that is where the state is. From the top down: then nobody else can exchange what is below.
    let root = data_dir.canonicalize()?;
    narrow_one(&root, &mut narrowed);
    for entry in fs::read_dir(&root)? {
        let entry = entry?;
        let name = entry.file_name();
        if OWN.iter().any(|own| name.to_string_lossy().starts_with(own)) {
            narrow_below(&entry.path(), &mut narrowed)?;
        }
    }
    Ok(narrowed)
}

fn narrow_below(path: &Path, narrowed: &mut Vec<Narrowed>) -> io::Result<()> {
    narrow_one(path, narrowed);
    let is_folder = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir());
    if is_folder {
        for entry in fs::read_dir(path)? {
            narrow_below(&entry?.path(), narrowed)?;
        }
    }
    Ok(())
}

fn narrow_one(path: &Path, narrowed: &mut Vec<Narrowed>) {
    let Ok(metadata) = fs::symlink_metadata(path) else {
        return;
    };
    let allowed = match metadata.file_type() {
        kind if kind.is_dir() => FOLDER_MODE,
        kind if kind.is_file() => FILE_MODE,
        _ => return,
    };
    let mode = metadata.mode() & 0o7777;
    if mode & OF_OTHERS == 0 {
        return;
    }
    // By the open file: the name may lead elsewhere by now.
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path);
    let changed = opened.and_then(|file| file.set_permissions(fs::Permissions::from_mode(mode & allowed)));
    narrowed.push(Narrowed {
        path: path.to_owned(),
        mode,
        problem: changed.err().map(|error| error.to_string()),
    });
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn mode_of(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn what_is_ours_is_narrowed_and_what_a_link_leads_to_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let elsewhere = folder.path().join("elsewhere");
        for made in [&data, &elsewhere, &data.join("journal"), &data.join("feeds")] {
            fs::create_dir_all(made).unwrap();
            fs::set_permissions(made, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let files = [
            (data.join("decisions.sqlite"), 0o600),
            (data.join("decisions.sqlite-wal"), 0o600),
            (data.join("journal/0.jnl"), 0o600),
            (data.join("feeds/air.csv"), 0o644),
            (data.join("riskgrid.toml"), 0o644),
            (elsewhere.join("theirs"), 0o644),
        ];
        for (file, _) in &files {
            fs::write(file, "x").unwrap();
            fs::set_permissions(file, fs::Permissions::from_mode(0o644)).unwrap();
        }
        symlink(&elsewhere, data.join("checkpoints")).unwrap();
        symlink(elsewhere.join("theirs"), data.join("journal/1.jnl")).unwrap();

        let narrowed = narrow(&data).unwrap();
        assert_eq!(narrowed.len(), 5, "{narrowed:?}");
        assert!(
            narrowed
                .iter()
                .all(|one| one.problem.is_none() && one.mode & 0o077 != 0)
        );
        for (file, expected) in &files {
            assert_eq!(mode_of(file), *expected, "{}", file.display());
        }
        assert_eq!((mode_of(&data), mode_of(&data.join("journal"))), (0o700, 0o700));
        assert_eq!(mode_of(&elsewhere), 0o755);
        assert_eq!(narrow(&data).unwrap(), []);
    }

    #[test]
    fn a_new_folder_is_its_users_only() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a/b");
        make_folder(&deep).unwrap();
        assert_eq!(
            (mode_of(&deep), mode_of(&folder.path().join("a"))),
            (0o700, 0o700)
        );
        make_folder(&deep).unwrap();
    }
}
