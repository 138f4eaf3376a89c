//! Rules that stand in files: the same keys and values as over HTTP, a `[[rules]]` each.

use std::io;
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Format as _, Toml};
use riskgrid_analytics::rules::{InvalidRule, Rule, RuleBounds};
use serde_json::Value;

/// Bytes of one file.
const MAX_FILE: u64 = 16 << 20;

/// A rule of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct FileRule {
    /// The file, as it was found.
    pub origin: String,
    /// The rule, as JSON.
    pub json: Value,
}

/// Why the files of rules cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RuleFileError {
    /// The pattern names no files in a way that is understood.
    #[error("alerts.rules: `{0}`: one `*` may stand in the last part of a path")]
    Pattern(String),
    /// The folder that a pattern names cannot be read.
    #[error("alerts.rules: `{pattern}`: {}: {error}", folder.display())]
    Folder {
        /// The pattern.
        pattern: String,
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// A file cannot be read.
    #[error("{file}: {error}")]
    Read {
        /// The file.
        file: String,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// A file is too large.
    #[error("{file}: {bytes} bytes; a file of rules may have {MAX_FILE}")]
    TooLarge {
        /// The file.
        file: String,
        /// How large it is.
        bytes: u64,
    },
    /// A file is no TOML.
    #[error("{file}: {error}")]
    NoToml {
        /// The file.
        file: String,
        /// Why.
        #[source]
        error: Box<figment::Error>,
    },
    /// A file has something else than rules.
    #[error("{file}: `{key}` means nothing here; a file of rules has [[rules]] alone")]
    OtherKey {
        /// The file.
        file: String,
        /// The key.
        key: String,
    },
    /// A rule cannot be.
    #[error("{file}: {rule}: {error}")]
    Rule {
        /// The file.
        file: String,
        /// Which, by its name or its number.
        rule: String,
        /// Why.
        #[source]
        error: InvalidRule,
    },
    /// Two rules have one name.
    #[error("alerts.rules: two rules are named \"{name}\", in {} and in {}", files[0], files[1])]
    SameName {
        /// The name.
        name: String,
        /// Where both stand.
        files: [String; 2],
    },
}

/// Reads the rules of all files that the patterns name: a path, in whose last part one `*` may stand; below `folder`, where it
/// is not absolute.
///
/// # Errors
/// Which file is wrong, and how.
pub fn read(patterns: &[String], folder: &Path, bounds: &RuleBounds) -> Result<Vec<FileRule>, RuleFileError> {
    let mut found: Vec<FileRule> = Vec::new();
    for pattern in patterns {
        for path in files_of(pattern, folder)? {
            read_file(&path, bounds, &mut found)?;
        }
    }
    for (number, rule) in found.iter().enumerate() {
        let name = rule.json.get("name");
        if let Some(twin) = found
            .iter()
            .take(number)
            .find(|twin| twin.json.get("name") == name)
        {
            let name = name.and_then(Value::as_str).unwrap_or_default();
            return Err(RuleFileError::SameName {
                name: name.to_owned(),
                files: [twin.origin.clone(), rule.origin.clone()],
            });
        }
    }
    Ok(found)
}

fn files_of(pattern: &str, folder: &Path) -> Result<Vec<PathBuf>, RuleFileError> {
    let path = folder.join(pattern);
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let Some((begins, ends)) = name.split_once('*') else {
        return Ok(vec![path]);
    };
    let parent = path.parent().unwrap_or(folder);
    if ends.contains('*') || parent.to_string_lossy().contains('*') {
        return Err(RuleFileError::Pattern(pattern.to_owned()));
    }
    let failed = |error| RuleFileError::Folder {
        pattern: pattern.to_owned(),
        folder: parent.to_owned(),
        error,
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(parent).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let fits =
            name.len() >= begins.len() + ends.len() && name.starts_with(begins) && name.ends_with(ends);
        if fits && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read_file(path: &Path, bounds: &RuleBounds, found: &mut Vec<FileRule>) -> Result<(), RuleFileError> {
    let file = path.display().to_string();
    let failed = |error| RuleFileError::Read {
        file: file.clone(),
        error,
    };
    let bytes = std::fs::metadata(path).map_err(failed)?.len();
    if bytes > MAX_FILE {
        return Err(RuleFileError::TooLarge { file, bytes });
    }
    let text = std::fs::read_to_string(path).map_err(failed)?;
    let read: Value =
        Figment::from(Toml::string(&text))
            .extract()
            .map_err(|error| RuleFileError::NoToml {
                file: file.clone(),
                error: Box::new(error),
            })?;
    let mut members = read.as_object().into_iter().flatten();
    if let Some((key, _)) = members.find(|(name, _)| *name != "rules") {
        return Err(RuleFileError::OtherKey {
            file,
            key: key.clone(),
        });
    }
    let rules = read.get("rules").and_then(Value::as_array);
    for (number, json) in rules.into_iter().flatten().enumerate() {
        Rule::from_json("", json, bounds).map_err(|error| {
            let name = json.get("name").and_then(Value::as_str);
            let rule = name.map_or_else(
                || format!("rule {}", number + 1),
                |name| format!("rule \"{name}\""),
            );
            RuleFileError::Rule {
                file: file.clone(),
                rule,
                error,
            }
        })?;
        found.push(FileRule {
            origin: file.clone(),
            json: json.clone(),
        });
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn the_rules_of_all_files_of_a_pattern_are_read_and_what_is_wrong_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        let river = |name: &str| {
            format!(
                "[[rules]]\nname = \"{name}\"\nkind = \"threshold\"\nlayer = \"water_level\"\nper = \"sensor\"\nabove = 3.5\n\
                 clear_below = 3.2\nfor = \"2m\"\nseverity = \"major\"\n"
            )
        };
        put("b.toml", &river("second"));
        put("a.toml", &format!("{}{}", river("first"), river("another")));
        put("notes.txt", "not rules");
        let read = |pattern: &str| read(&[pattern.to_owned()], folder.path(), &RuleBounds::default());
        let names: Vec<Value> = read("*.toml")
            .unwrap()
            .iter()
            .map(|rule| rule.json["name"].clone())
            .collect();
        assert_eq!(names, ["first", "another", "second"]);
        put("c.toml", &river("first"));
        assert!(
            read("*.toml")
                .unwrap_err()
                .to_string()
                .contains("two rules are named \"first\"")
        );
        put(
            "c.toml",
            "[[rules]]\nname = \"x\"\nkind = \"threshold\"\nlayer = \"a\"\nper = \"sensor\"\nseverity = \"major\"\n",
        );
        let wrong = read("c.toml").unwrap_err().to_string();
        assert!(
            wrong.contains("c.toml: rule \"x\": `above` is missing"),
            "{wrong}"
        );
        put("c.toml", "rule = 1");
        assert!(
            read("c.toml")
                .unwrap_err()
                .to_string()
                .contains("`rule` means nothing here")
        );
        assert!(read("none.toml").unwrap_err().to_string().contains("none.toml"));
        assert!(read("*/*.toml").unwrap_err().to_string().contains("one `*`"));
    }
}
