//! Which module names which, read from the sources: `use` declarations and the paths in code. What is only built for tests
//! is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A module by its path from the crate's root; the root itself is empty.
pub(crate) type Module = Vec<String>;

/// A module names something in another one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Arrow {
    pub(crate) from: Module,
    pub(crate) to: Module,
    /// As it is written.
    pub(crate) path: String,
}

/// The modules of a crate and the arrows between them.
pub(crate) struct Sources {
    pub(crate) modules: BTreeSet<Module>,
    pub(crate) arrows: BTreeSet<Arrow>,
}

/// Reads a crate from its `src` folder.
pub(crate) fn read(src: &Path) -> Sources {
    let mut crate_read = Reader::default();
    crate_read.file(&src.join("lib.rs"), &Module::new(), src);
    let Reader { modules, paths } = crate_read;
    let reexports = reexports(&modules, &paths);
    let arrows = paths
        .iter()
        .flat_map(|written| arrows_of(&modules, &reexports, written))
        .collect();
    Sources { modules, arrows }
}

/// A path that stands in a module.
struct Written {
    from: Module,
    path: Vec<String>,
    /// It is a `pub use`.
    is_reexport: bool,
}

#[derive(Default)]
struct Reader {
    modules: BTreeSet<Module>,
    paths: Vec<Written>,
}

impl Reader {
    /// Reads a module's file; the files of its children lie in `folder`.
    fn file(&mut self, file: &Path, module: &Module, folder: &Path) {
        let source = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let tokens: TokenStream = source
            .parse()
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        self.modules.insert(module.clone());
        self.tokens(tokens, module, folder);
    }

    fn tokens(&mut self, tokens: TokenStream, module: &Module, folder: &Path) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            match token {
                TokenTree::Punct(punct)
                    if punct.as_char() == '#' && is_only_for_tests(tokens.get(at + 1)) =>
                {
                    at = end_of_item(&tokens, at + 2);
                    continue;
                }
                TokenTree::Ident(word) if word == "mod" => {
                    if let (Some(TokenTree::Ident(name)), Some(next)) =
                        (tokens.get(at + 1), tokens.get(at + 2))
                    {
                        self.child(&name.to_string(), next, module, folder);
                        at += 3;
                        continue;
                    }
                }
                TokenTree::Ident(word) if word == "use" => {
                    let end = at
                        + tokens[at..]
                            .iter()
                            .take_while(|token| !is_punct(token, ';'))
                            .count();
                    let mut found = Vec::new();
                    use_tree(&tokens[at + 1..end], &Module::new(), &mut found);
                    self.paths.extend(found.into_iter().map(|path| Written {
                        from: module.clone(),
                        path,
                        is_reexport: is_public(&tokens, at),
                    }));
                    at = end;
                }
                TokenTree::Ident(_) if !(at >= 1 && is_punct(&tokens[at - 1], '.')) => {
                    let (path, next) = path_at(&tokens, at);
                    if path.len() > 1 {
                        self.paths.push(Written {
                            from: module.clone(),
                            path,
                            is_reexport: false,
                        });
                        at = next;
                        continue;
                    }
                }
                TokenTree::Group(group) => {
                    self.tokens(group.stream(), module, folder);
                }
                _ => {}
            }
            at += 1;
        }
    }

    fn child(&mut self, name: &str, body: &TokenTree, module: &Module, folder: &Path) {
        let child = [module.as_slice(), &[name.to_owned()]].concat();
        let inner = folder.join(name);
        if let TokenTree::Group(group) = body {
            self.modules.insert(child.clone());
            self.tokens(group.stream(), &child, &inner);
            return;
        }
        let candidates: [PathBuf; 2] = [folder.join(format!("{name}.rs")), inner.join("mod.rs")];
        let file = candidates.iter().find(|file| file.exists());
        let file = file.unwrap_or_else(|| panic!("no file of module {}", child.join("::")));
        self.file(file, &child, &inner);
    }
}

fn is_punct(token: &TokenTree, sign: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == sign)
}

/// Whether the item whose first word stands here is for others: `pub`, or `pub(…)`.
fn is_public(tokens: &[TokenTree], at: usize) -> bool {
    let before = |places: usize| at.checked_sub(places).and_then(|place| tokens.get(place));
    let is_pub = |token: Option<&TokenTree>| matches!(token, Some(TokenTree::Ident(word)) if word == "pub");
    is_pub(before(1)) || (matches!(before(1), Some(TokenTree::Group(_))) && is_pub(before(2)))
}

/// `[cfg(test)]`, and what asks for more beside it.
pub(crate) fn is_only_for_tests(attribute: Option<&TokenTree>) -> bool {
    let Some(TokenTree::Group(group)) = attribute else {
        return false;
    };
    let text: String = group.stream().to_string().split_whitespace().collect();
    text == "cfg(test)" || text.starts_with("cfg(all(test,")
}

/// The place after the item that begins here: its body in braces, or its semicolon.
pub(crate) fn end_of_item(tokens: &[TokenTree], from: usize) -> usize {
    for (place, token) in tokens.iter().enumerate().skip(from) {
        let is_body = matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace);
        let is_of_use = tokens[from..place]
            .iter()
            .any(|token| matches!(token, TokenTree::Ident(word) if word == "use"));
        if (is_body && !is_of_use) || is_punct(token, ';') {
            return place + 1;
        }
    }
    tokens.len()
}

/// The paths of a `use` tree, without the names that they get.
fn use_tree(tokens: &[TokenTree], before: &Module, found: &mut Vec<Vec<String>>) {
    for branch in tokens.split(|token| is_punct(token, ',')) {
        let mut path = before.clone();
        for token in branch {
            match token {
                TokenTree::Ident(word) if word == "as" => break,
                TokenTree::Ident(word) if word == "self" && !path.is_empty() => {}
                TokenTree::Ident(word) => path.push(word.to_string()),
                TokenTree::Group(group) => {
                    let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                    use_tree(&inner, &path, found);
                    path.clear();
                }
                _ => {}
            }
        }
        if !path.is_empty() {
            found.push(path);
        }
    }
}

/// The words that `::` joins from here on, and the place after them.
fn path_at(tokens: &[TokenTree], from: usize) -> (Vec<String>, usize) {
    let mut path = Vec::new();
    let mut at = from;
    while let Some(TokenTree::Ident(word)) = tokens.get(at) {
        path.push(word.to_string());
        at += 1;
        let is_joined = tokens.get(at).is_some_and(|token| is_punct(token, ':'))
            && tokens.get(at + 1).is_some_and(|token| is_punct(token, ':'));
        if !is_joined {
            break;
        }
        at += 2;
    }
    (path, at.max(from + 1))
}

/// Where the names live that modules hand on: by the whole path under which they do.
fn reexports(modules: &BTreeSet<Module>, paths: &[Written]) -> BTreeMap<Module, Module> {
    let handed_on = paths.iter().filter(|written| written.is_reexport);
    handed_on
        .filter_map(|written| {
            let owner = absolute(modules, &written.from, &written.path)?;
            let handed_on = [written.from.as_slice(), &[owner.last()?.clone()]].concat();
            (handed_on != owner).then_some((handed_on, owner))
        })
        .collect()
}

/// The path from the crate's root; none for what is not of this crate.
fn absolute(modules: &BTreeSet<Module>, from: &Module, path: &[String]) -> Option<Module> {
    let mut base = match path.first()?.as_str() {
        "crate" => Module::new(),
        "self" | "super" => from.clone(),
        first => {
            let child = [from.as_slice(), &[first.to_owned()]].concat();
            return modules
                .contains(&child)
                .then(|| [child.as_slice(), &path[1..]].concat());
        }
    };
    for word in path {
        match word.as_str() {
            "crate" | "self" => {}
            "super" => {
                base.pop()?;
            }
            name => base.push(name.to_owned()),
        }
    }
    Some(base)
}

/// To the module that is named, and to those that a name which it hands on comes from.
fn arrows_of(
    modules: &BTreeSet<Module>,
    reexports: &BTreeMap<Module, Module>,
    written: &Written,
) -> Vec<Arrow> {
    let mut found = Vec::new();
    let mut named = absolute(modules, &written.from, &written.path);
    while let Some(path) = named {
        let to = (0..=path.len())
            .rev()
            .map(|length| path[..length].to_vec())
            .find(|to| modules.contains(to));
        let to = to.unwrap_or_default();
        // A door hands on what its own rooms make.
        let is_of_door = written.is_reexport && to.starts_with(&written.from);
        if !to.is_empty() && !written.from.is_empty() && !is_of_door {
            found.push(Arrow {
                from: written.from.clone(),
                to: to.clone(),
                path: written.path.join("::"),
            });
        }
        named = path
            .get(..=to.len())
            .and_then(|name| reexports.get(name).cloned());
    }
    found
}

#[test]
fn what_code_names_is_found_and_what_tests_name_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let files = [
        ("lib.rs", "mod ground;\nmod upper;\npub use ground::Stone;\n"),
        ("ground/mod.rs", "mod stone;\npub use stone::Stone;\n"),
        (
            "ground/stone.rs",
            "pub struct Stone;\n#[cfg(test)]\nmod tests { use crate::upper::Roof; }\n",
        ),
        (
            "upper.rs",
            "use crate::{Stone, ground::{self as floor, Stone as _}};\n// crate::nowhere::Thing\n\
             fn roof() -> &'static str { super::ground::stone(); \"crate::nothing::Else\" }\n",
        ),
    ];
    for (name, source) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, source).expect("written");
    }
    let read = read(folder.path());
    let module = |path: &str| -> Module { path.split('/').map(str::to_owned).collect() };
    assert!(read.modules.contains(&module("ground/stone")));
    assert!(read.arrows.iter().all(|arrow| arrow.from == module("upper")));
    let seen: BTreeSet<(String, &str)> = read
        .arrows
        .iter()
        .map(|arrow| (arrow.to.join("/"), arrow.path.as_str()))
        .collect();
    // To the door that is named, and to the room behind it.
    let expected = [
        ("ground", "crate::Stone"),
        ("ground/stone", "crate::Stone"),
        ("ground", "crate::ground"),
        ("ground", "crate::ground::Stone"),
        ("ground/stone", "crate::ground::Stone"),
        ("ground/stone", "super::ground::stone"),
    ];
    assert_eq!(seen, expected.map(|(to, path)| (to.to_owned(), path)).into());
}
