//! An address in its simplest form: what of it is compared.

use std::collections::BTreeSet;

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::canonical_combining_class;

/// What a house, a lane or a building is numbered with.
const NUMBERED: [char; 4] = ['号', '弄', '巷', '栋'];
const ABBREVIATIONS: [(&str, &str); 7] = [
    ("st", "street"),
    ("rd", "road"),
    ("ave", "avenue"),
    ("blvd", "boulevard"),
    ("ln", "lane"),
    ("dr", "drive"),
    ("sq", "square"),
];

/// An address as it is compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Address {
    /// Pairs of Han characters, single ones, Latin words, numbers.
    pub(super) grams: BTreeSet<String>,
    /// The house number.
    pub(super) number: Option<String>,
}

impl Address {
    pub(super) fn of(text: &str) -> Self {
        let text = simplest(text);
        let (number, rest) = taken_number(&text);
        Self {
            grams: grams(&rest),
            number,
        }
    }
}

/// NFKC, then NFKD without marks, lower case, Han numerals before what is numbered as digits.
fn simplest(text: &str) -> String {
    let decomposed: String = text.nfkc().nfkd().collect();
    let lower = decomposed.to_lowercase();
    let plain = lower
        .chars()
        .filter(|letter| canonical_combining_class(*letter) == 0);
    let mut simplest = String::with_capacity(text.len());
    let mut numeral = String::new();
    for letter in plain {
        if han_value(letter).is_some() {
            numeral.push(letter);
            continue;
        }
        if NUMBERED.contains(&letter) && !numeral.is_empty() {
            simplest.push_str(&han_number(&numeral).to_string());
        } else {
            simplest.push_str(&numeral);
        }
        numeral.clear();
        simplest.push(letter);
    }
    simplest.push_str(&numeral);
    simplest
}

/// 0 to 9 of a digit, 10 and 100 of the two signs of place.
fn han_value(letter: char) -> Option<u128> {
    "〇一二三四五六七八九"
        .chars()
        .position(|digit| digit == letter)
        .map(|digit| digit as u128)
        .or(match letter {
            '十' => Some(10),
            '百' => Some(100),
            _ => None,
        })
}

/// 八 is 8, 十八 is 18, 一百二十 is 120, 一二〇 is 120.
fn han_number(numeral: &str) -> u128 {
    let (mut total, mut current) = (0_u128, 0_u128);
    for value in numeral.chars().filter_map(han_value) {
        if 10 <= value {
            total = total.saturating_add(current.max(1).saturating_mul(value));
            current = 0;
        } else if 0 < current && total == 0 {
            current = current.saturating_mul(10).saturating_add(value);
        } else {
            current = value;
        }
    }
    total.saturating_add(current)
}

/// The digits before 号, else leading digits before a Latin word; and the text without them.
fn taken_number(text: &str) -> (Option<String>, String) {
    for (place, _) in text.match_indices('号') {
        let (before, after) = text.split_at(place);
        let digits = before.len()
            - before
                .trim_end_matches(|letter: char| letter.is_ascii_digit())
                .len();
        if 0 < digits {
            let (before, number) = before.split_at(before.len() - digits);
            let after = after.trim_start_matches('号');
            return (Some(whole(number)), format!("{before} {after}"));
        }
    }
    let trimmed = text.trim_start();
    let rest = trimmed.trim_start_matches(|letter: char| letter.is_ascii_digit());
    let number = trimmed.strip_suffix(rest).unwrap_or_default();
    let word = rest.trim_start();
    let is_before_a_word =
        word.len() < rest.len() && word.starts_with(|letter: char| letter.is_ascii_lowercase());
    if number.is_empty() || !is_before_a_word {
        return (None, text.to_owned());
    }
    (Some(whole(number)), word.to_owned())
}

/// Without leading zeros.
fn whole(digits: &str) -> String {
    let number = digits.trim_start_matches('0');
    if number.is_empty() { "0" } else { number }.to_owned()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Script {
    Han,
    Latin,
    Digit,
}

fn script(letter: char) -> Option<Script> {
    match letter {
        '\u{4e00}'..='\u{9fff}' => Some(Script::Han),
        'a'..='z' => Some(Script::Latin),
        '0'..='9' => Some(Script::Digit),
        _ => None,
    }
}

fn grams(text: &str) -> BTreeSet<String> {
    let letters: Vec<char> = text.chars().collect();
    let mut grams = BTreeSet::new();
    for run in letters.chunk_by(|one, other| script(*one) == script(*other)) {
        match run.first().and_then(|letter| script(*letter)) {
            Some(Script::Han) if 1 < run.len() => grams.extend(run.windows(2).map(String::from_iter)),
            Some(Script::Latin) => {
                let word = String::from_iter(run);
                let long = ABBREVIATIONS.iter().find(|(short, _)| *short == word);
                grams.insert(long.map_or(word, |(_, long)| (*long).to_owned()));
            }
            Some(_) => {
                grams.insert(String::from_iter(run));
            }
            None => {}
        }
    }
    grams
}
