//! Rules that stand in files: the same keys and values as over HTTP, a `[[rules]]` each.

use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Format as _, Toml};
use riskgrid_analytics::rules::{Rule, RuleBounds};
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

/// Reads the rules of all files that the patterns name: a path, in whose last part one `*` may stand; below `folder`, where it
/// is not absolute.
///
/// # Errors
/// Which file is wrong, and how.
pub fn read(patterns: &[String], folder: &Path, bounds: &RuleBounds) -> Result<Vec<FileRule>, String> {
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
            return Err(format!(
                "alerts.rules: two rules are named \"{name}\", in {} and in {}",
                twin.origin, rule.origin
            ));
        }
    }
    Ok(found)
}

fn files_of(pattern: &str, folder: &Path) -> Result<Vec<PathBuf>, String> {
    let path = folder.join(pattern);
    let wrong = |why: String| format!("alerts.rules: `{pattern}`: {why}");
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let Some((begins, ends)) = name.split_once('*') else {
        return Ok(vec![path]);
    };
    let parent = path.parent().unwrap_or(folder);
    if ends.contains('*') || parent.to_string_lossy().contains('*') {
        return Err(wrong("one `*` may stand in the last part of a path".to_owned()));
    }
    let entries =
        std::fs::read_dir(parent).map_err(|error| wrong(format!("{}: {error}", parent.display())))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| wrong(error.to_string()))?.path();
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

fn read_file(path: &Path, bounds: &RuleBounds, found: &mut Vec<FileRule>) -> Result<(), String> {
    let shown = path.display().to_string();
    let wrong = |why: String| format!("{shown}: {why}");
    let bytes = std::fs::metadata(path)
        .map_err(|error| wrong(error.to_string()))?
        .len();
    if bytes > MAX_FILE {
        return Err(wrong(format!(
            "{bytes} bytes; a file of rules may have {MAX_FILE}"
        )));
    }
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let read: Value = Figment::from(Toml::string(&text))
        .extract()
        .map_err(|error| wrong(error.to_string()))?;
    let members = read.as_object().into_iter().flatten();
    if let Some((name, _)) = members.clone().find(|(name, _)| *name != "rules") {
        return Err(wrong(format!(
            "`{name}` means nothing here; a file of rules has [[rules]] alone"
        )));
    }
    let rules = read.get("rules").and_then(Value::as_array);
    for (number, json) in rules.into_iter().flatten().enumerate() {
        Rule::from_json("", json, bounds).map_err(|invalid| {
            let name = json.get("name").and_then(Value::as_str);
            let rule = name.map_or_else(
                || format!("rule {}", number + 1),
                |name| format!("rule \"{name}\""),
            );
            wrong(format!("{rule}: {invalid}"))
        })?;
        found.push(FileRule {
            origin: shown.clone(),
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
                .contains("two rules are named \"first\"")
        );
        put(
            "c.toml",
            "[[rules]]\nname = \"x\"\nkind = \"threshold\"\nlayer = \"a\"\nper = \"sensor\"\nseverity = \"major\"\n",
        );
        let wrong = read("c.toml").unwrap_err();
        assert!(
            wrong.contains("c.toml: rule \"x\": `above` is missing"),
            "{wrong}"
        );
        put("c.toml", "rule = 1");
        assert!(read("c.toml").unwrap_err().contains("`rule` means nothing here"));
        assert!(read("none.toml").unwrap_err().contains("none.toml"));
        assert!(read("*/*.toml").unwrap_err().contains("one `*`"));
    }
}
