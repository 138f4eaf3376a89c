//! Ids made from names.

/// Longest layer id, in bytes.
const LONGEST_ID: usize = 64;

/// A layer id made from a name: lower case, Latin letters transliterated, every other run of characters one `_`,
/// trimmed, cut at 64; when nothing is left (Chinese, for example) `layer_` and 8 hex digits of the name's hash.
pub fn slug(name: &str) -> String {
    slug_or_hash(name, "layer")
}

/// As [`slug`], with another word before the hash.
pub(crate) fn slug_or_hash(name: &str, nameless: &str) -> String {
    let mut id = String::with_capacity(name.len().min(LONGEST_ID));
    for character in name.chars() {
        let transliterated = match character {
            'A'..='Z' | 'a'..='z' | '0'..='9' => None,
            _ if is_latin_letter(character) => deunicode::deunicode_char(character),
            _ => Some(""),
        };
        let mut buffer = [0; 4];
        let text = transliterated.unwrap_or_else(|| character.encode_utf8(&mut buffer));
        if text.is_empty() && !is_combining_mark(character) && !id.is_empty() && !id.ends_with('_') {
            id.push('_');
        }
        id.extend(
            text.chars()
                .filter(char::is_ascii_alphanumeric)
                .map(|letter| letter.to_ascii_lowercase()),
        );
    }
    id.truncate(LONGEST_ID);
    id.truncate(id.trim_end_matches('_').len());
    if id.is_empty() {
        let hash = twox_hash::XxHash3_64::oneshot(name.as_bytes());
        return format!("{nameless}_{:08x}", hash >> 32);
    }
    id
}

/// The letters of the Unicode blocks Latin-1, Latin Extended-A, -B and Additional, and full-width forms.
const fn is_latin_letter(character: char) -> bool {
    matches!(character,
        '\u{AA}' | '\u{BA}' | '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{24F}'
        | '\u{1E00}'..='\u{1EFF}' | '\u{FF10}'..='\u{FF19}' | '\u{FF21}'..='\u{FF3A}' | '\u{FF41}'..='\u{FF5A}')
}

/// Combining diacritics belong to the letter before them.
const fn is_combining_mark(character: char) -> bool {
    matches!(character, '\u{300}'..='\u{36F}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn slugs() {
        for (name, expected) in [
            ("Street Lights", "street_lights"),
            ("  PM2.5 (µg) ", "pm2_5_g"),
            ("Straßenbeleuchtung", "strassenbeleuchtung"),
            ("Strasseneinlauf - verstopft", "strasseneinlauf_verstopft"),
            ("Wilder Müll", "wilder_mull"),
            ("Mu\u{308}ll", "mull"),
            ("Œuvre d'Art", "oeuvre_d_art"),
            ("water_level", "water_level"),
        ] {
            assert_eq!(slug(name), expected, "{name}");
        }
        assert_eq!(slug(&"ab".repeat(40)).len(), 64);
        let chinese = slug("积水");
        assert!(chinese.starts_with("layer_") && chinese.len() == 14, "{chinese}");
        assert_ne!(chinese, slug("噪声"));
    }

    proptest! {
        #[test]
        fn a_slug_is_a_valid_id_and_its_own_slug(name in ".{0,80}") {
            let id = slug(&name);
            prop_assert!((1..=64).contains(&id.len()));
            prop_assert!(id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'));
            prop_assert_eq!(slug(&id), id);
        }
    }
}
