//! A disk of a few megabytes, in a mount namespace of its own: whatever happens to the test, nothing stays mounted.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::server::skip;

/// Ways to a namespace: as any user, and as root where users may have none.
const WAYS: [&[&str]; 2] = [&["--user", "--map-root-user", "--mount"], &["--mount"]];
/// Holds the namespace until its standard input ends, which it does with the test's process.
const HOLDER: &str = r#"mount -t tmpfs -o "size=$1" riskgrid "$2" && echo mounted && exec cat"#;

/// A tmpfs.
pub(crate) struct SmallDisk {
    folder: TempDir,
    holder: Child,
    is_own_user: bool,
}

impl SmallDisk {
    /// Mounts one; without the right to do so the test is skipped, and says so.
    pub(crate) fn mount(megabytes: u32) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        for way in WAYS {
            let mut holder = Command::new("unshare")
                .args(way)
                .args(["sh", "-c", HOLDER, "sh", &format!("{megabytes}m")])
                .arg(folder.path())
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .ok()?;
            let mut said = String::new();
            BufReader::new(holder.stdout.take().unwrap())
                .read_line(&mut said)
                .unwrap();
            if said.trim() == "mounted" {
                return Some(Self {
                    folder,
                    holder,
                    is_own_user: way.contains(&"--user"),
                });
            }
            holder.wait().unwrap();
        }
        skip("no right to mount a tmpfs, neither in a user namespace nor as root");
        None
    }

    /// Where a process that is started by [`command`](Self::command) sees it.
    pub(crate) fn inside(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// Where this process sees it.
    pub(crate) fn outside(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        root.join(self.folder.path().strip_prefix("/").unwrap())
    }

    /// A program that sees the disk.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.holder.id().to_string(), "--mount"]);
        if self.is_own_user {
            command.args(["--user", "--preserve-credentials"]);
        }
        command.arg(program);
        command
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // It ends by itself when this process does.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
