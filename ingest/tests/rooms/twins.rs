//! No public function takes two arguments of one primitive type side by side: whoever calls it can swap them, and nothing says
//! so. What an argument means is said by a type, or by the fields of a struct.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::HOUSES;
use crate::arrows::{end_of_item, is_only_for_tests};

const PRIMITIVES: &[&str] = &[
    "bool",
    "f32",
    "f64",
    "i16",
    "i32",
    "i64",
    "i128",
    "u8",
    "u16",
    "u32",
    "u64",
    "u128",
    "usize",
    "isize",
    "char",
    "String",
    "&str",
    "&'static str",
];

/// Symbols of formulas and coordinates, in the order in which everybody writes them: functions, and whole folders.
const AS_EVERYBODY_WRITES_THEM: &[&str] = &[
    "analytics/hotline/solved/",
    "analytics/risk/",
    "analytics/statistics/",
    "api/tiles/request: parse",
    "api/tiles/tile_id: new",
    "api/tiles/tile_set: etag",
    "api/tiles/tile_set: tile",
    "ingest/globe/wkb: point_wkb",
];

/// Others that are still there. This list can only get shorter.
const STILL_TO_MEND: &[&str] = &[
    "api/access/access: refused",
    "api/access/identity: count",
    "api/hotline/desk/",
    "api/hotline/store/",
    "api/tiles/tile_set: new",
    "ingest/checkpoint/numbered: new",
    "ingest/words/likeness: edits",
];

#[test]
fn no_public_function_takes_two_of_one_primitive_side_by_side() {
    let mut found = BTreeSet::new();
    for house in &HOUSES {
        let src = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("..")
            .join(house.name)
            .join("src");
        read_folder(&src, house.name, &mut found);
    }
    assert!(!found.is_empty(), "the sources are read");
    let known: Vec<&str> = [AS_EVERYBODY_WRITES_THEM, STILL_TO_MEND].concat();
    let covers = |entry: &str, name: &str| name == entry || (entry.ends_with('/') && name.starts_with(entry));
    let is_known = |name: &String| known.iter().any(|entry| covers(entry, name));
    let new: Vec<_> = found.iter().filter(|name| !is_known(name)).collect();
    assert!(new.is_empty(), "two of one primitive side by side: {new:#?}");
    let is_there = |entry: &&&str| found.iter().any(|name| covers(entry, name));
    let gone: Vec<_> = known.iter().filter(|entry| !is_there(entry)).collect();
    assert!(gone.is_empty(), "mended; take it off the list: {gone:#?}");
}

fn read_folder(folder: &Path, place: &str, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("it is read").path();
        let name = path
            .file_stem()
            .expect("it has a name")
            .to_string_lossy()
            .into_owned();
        if path.is_dir() {
            read_folder(&path, &format!("{place}/{name}"), found);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !name.ends_with("tests") {
            let source = fs::read_to_string(&path).expect("it is text");
            let tokens: TokenStream = source.parse().expect("it is Rust");
            read_tokens(tokens, &format!("{place}/{name}"), found);
        }
    }
}

fn read_tokens(tokens: TokenStream, place: &str, found: &mut BTreeSet<String>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        match token {
            TokenTree::Punct(punct) if punct.as_char() == '#' && is_only_for_tests(tokens.get(at + 1)) => {
                at = end_of_item(&tokens, at + 2);
                continue;
            }
            TokenTree::Ident(word) if word == "pub" => {
                if let Some((name, arguments)) = function(&tokens[at + 1..])
                    && has_twins(arguments)
                {
                    found.insert(format!("{place}: {name}"));
                }
            }
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                read_tokens(group.stream(), place, found);
            }
            _ => {}
        }
        at += 1;
    }
}

/// The name and arguments of a function that begins after `pub`.
fn function(tokens: &[TokenTree]) -> Option<(String, TokenStream)> {
    let is_word = |token: &TokenTree, words: &[&str]| matches!(token, TokenTree::Ident(word) if words.iter().any(|it| word == it));
    let before = tokens
        .iter()
        .take_while(|token| is_word(token, &["const", "async", "unsafe"]))
        .count();
    if !is_word(tokens.get(before)?, &["fn"]) {
        return None;
    }
    let name = tokens.get(before + 1)?.to_string();
    let arguments = tokens.iter().skip(before + 2).find_map(|token| match token {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Parenthesis => Some(group.stream()),
        _ => None,
    })?;
    Some((name, arguments))
}

fn has_twins(arguments: TokenStream) -> bool {
    let types = types_of(arguments);
    types
        .windows(2)
        .any(|pair| pair[0] == pair[1] && PRIMITIVES.contains(&pair[0].as_str()))
}

/// The types of arguments, as they are written; commas between angle brackets are within one.
fn types_of(arguments: TokenStream) -> Vec<String> {
    let (mut types, mut depth) = (vec![String::new()], 0_i32);
    let mut is_type = false;
    for token in arguments {
        let text = token.to_string();
        match text.as_str() {
            "<" => depth += 1,
            ">" => depth -= 1,
            "," if depth == 0 => {
                types.push(String::new());
                is_type = false;
                continue;
            }
            ":" if !is_type => {
                is_type = true;
                continue;
            }
            _ => {}
        }
        if is_type && let Some(last) = types.last_mut() {
            if last.ends_with(|letter: char| letter.is_alphanumeric()) {
                last.push(' ');
            }
            last.push_str(&text);
        }
    }
    types
}

#[test]
fn twins_are_seen_where_they_stand() {
    let twins = |arguments: &str| has_twins(arguments.parse().expect("Rust"));
    assert!(twins("&self, from: i64, to: i64"));
    assert!(twins("name: &str, value: &str,"));
    assert!(!twins("&self, from: i64, to: u64"));
    assert!(!twins("from: EventTime, to: EventTime"));
    assert!(!twins("one: HashMap<String, String>, other: String"));
    assert!(!twins("from: i64, name: &str, to: i64"));
}
