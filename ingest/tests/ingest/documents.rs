//! The documents say what is there: every test that they name exists, and every file that they link to.
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A name in backquotes with at least this many words is a test's.
const WORDS_OF_A_TEST: usize = 5;

#[test]
fn every_test_that_a_document_names_exists() {
    let functions: BTreeSet<String> = sources()
        .iter()
        .flat_map(|path| functions_of(&read(path)))
        .collect();
    assert!(functions.len() > 1_000, "the sources are found");
    let mut missing = Vec::new();
    let mut named = 0;
    for document in documents() {
        for word in backquoted(&read(&document)).filter(|word| is_a_test(word)) {
            named += 1;
            if !functions.contains(word.as_str()) {
                missing.push(format!("{}: {word}", document.display()));
            }
        }
    }
    assert!(named > 100, "the documents name tests");
    assert!(
        missing.is_empty(),
        "there is no such test:\n{}",
        missing.join("\n")
    );
}

#[test]
fn every_file_that_a_document_links_to_is_there() {
    let mut missing = Vec::new();
    for document in documents() {
        let folder = document.parent().expect("a document lies in a folder");
        for target in links(&read(&document)) {
            if !folder.join(&target).exists() {
                missing.push(format!("{}: {target}", document.display()));
            }
        }
    }
    assert!(
        missing.is_empty(),
        "there is no such file:\n{}",
        missing.join("\n")
    );
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate lies in the workspace")
        .to_path_buf()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The pages of the root and of `docs/`.
fn documents() -> Vec<PathBuf> {
    [root(), root().join("docs")]
        .iter()
        .flat_map(|folder| files_of(folder))
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect()
}

/// Everything in Rust that is ours.
fn sources() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = ["ingest", "analytics", "api", "fixtures", "benches"]
        .iter()
        .map(|name| root().join(name))
        .collect();
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)
            .expect("a folder of the workspace")
            .flatten()
        {
            let path = entry.path();
            if path.is_dir() && !path.ends_with("target") && !path.ends_with("node_modules") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found
}

fn files_of(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder)
        .expect("a folder of the repository")
        .flatten()
        .map(|entry| entry.path())
        .collect()
}

fn functions_of(source: &str) -> Vec<String> {
    source
        .split("fn ")
        .skip(1)
        .map(|rest| rest.chars().take_while(|&letter| is_of_a_name(letter)).collect())
        .collect()
}

fn backquoted(text: &str) -> impl Iterator<Item = String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned)
}

fn is_a_test(word: &str) -> bool {
    word.chars().all(is_of_a_name)
        && !["riskgrid_", "h3_", "st_"]
            .iter()
            .any(|prefix| word.starts_with(prefix))
        && word.split('_').filter(|part| !part.is_empty()).count() >= WORDS_OF_A_TEST
}

const fn is_of_a_name(letter: char) -> bool {
    letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_'
}

/// The targets of links within the repository, without their anchors.
fn links(text: &str) -> Vec<String> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target.split('#').next().unwrap_or_default().to_owned())
        .filter(|target| !target.is_empty() && !target.contains("://") && !target.contains(' '))
        .collect()
}
