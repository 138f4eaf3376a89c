//! What a test needs from outside; without it the test says that it is skipped.

use std::path::{Path, PathBuf};

use crate::test_store::skipped;

/// The broker's script.
pub(crate) fn kafka_script() -> Option<PathBuf> {
    found("RISKGRID_TEST_KAFKA", None)
}

/// A Python with `fixtures/python/requirements.txt`.
pub(crate) fn python() -> Option<PathBuf> {
    found("RISKGRID_PYTHON", None)
}

/// The folder of the real data sets.
pub(crate) fn data() -> Option<PathBuf> {
    found("RISKGRID_TEST_DATA", Some(&root().join("../shared/data")))
}

/// The repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("api is a folder of the repository")
        .to_owned()
}

fn found(variable: &str, default: Option<&Path>) -> Option<PathBuf> {
    let path = match std::env::var_os(variable) {
        Some(value) if value.is_empty() => None,
        Some(value) => Some(PathBuf::from(value)),
        None => default.map(Path::to_owned),
    };
    let path = path.filter(|path| path.exists());
    if path.is_none() {
        skipped::say(&format!("{variable} names nothing that is there"));
    }
    path
}
