//! Names that somebody may have meant who wrote another one.

/// The furthest that a name may be from what was searched for, in edits.
const CLOSE: usize = 3;
/// Names that a message proposes.
const PROPOSED: usize = 3;

/// Which names are near enough to be proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Likeness {
    /// One that was misspelt: one edit, and one more for each three letters.
    Spelling,
    /// One that was searched for: a few edits, or it holds what was written. Case does not matter.
    Search,
}

impl Likeness {
    /// How many edits (Damerau 1964: a letter more, less, another, or two exchanged) are between two names; none when they are
    /// not alike.
    pub fn edits(self, written: &str, known: &str) -> Option<usize> {
        match self {
            Self::Spelling => {
                let edits = strsim::damerau_levenshtein(written, known);
                (edits <= 1 + known.len().max(written.len()) / 3).then_some(edits)
            }
            Self::Search => {
                let (written, known) = (written.to_lowercase(), known.to_lowercase());
                let edits = strsim::damerau_levenshtein(&written, &known);
                let is_part = !written.is_empty() && known.contains(&written);
                (edits <= CLOSE || is_part).then_some(edits)
            }
        }
    }

    /// A few of the known names that may be meant, the nearest first.
    pub fn proposals<'k>(self, written: &str, known: impl IntoIterator<Item = &'k str>) -> Vec<&'k str> {
        let known = known.into_iter();
        nearest(known.filter_map(|name| Some((self.edits(written, name)?, name))))
    }
}

/// A few names of these, those of the fewest edits first.
pub fn nearest<'k>(edits: impl Iterator<Item = (usize, &'k str)>) -> Vec<&'k str> {
    let mut close: Vec<(usize, &str)> = edits.collect();
    close.sort_unstable();
    close.into_iter().take(PROPOSED).map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_names_come_first_and_others_not_at_all() {
        let known = ["revolution", "resolution", "grid", "Old Town"];
        assert_eq!(
            Likeness::Spelling.proposals("resoluton", known),
            ["resolution", "revolution"]
        );
        assert!(Likeness::Spelling.proposals("town", known).is_empty());
        assert_eq!(Likeness::Search.proposals("town", known), ["Old Town"]);
        assert_eq!(Likeness::Search.proposals("gird", known), ["grid"]);
        assert!(Likeness::Search.proposals("harbour", known).is_empty());
    }
}
