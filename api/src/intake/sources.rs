//! Which sources a key may bring: one event outside, and nothing of its request is kept.

use std::borrow::Cow;

use riskgrid_ingest::{EventKind, Refusal};
use serde::Deserialize;

use super::NotTaken;
use crate::access::Ingest;

/// Letters of a source that are shown again.
const SHOWN: usize = 80;

/// Looks at each event of a request in turn.
pub(super) struct SourceCheck<'a> {
    bringer: &'a Ingest,
    next: usize,
    outside: Option<NotTaken>,
}

impl<'a> SourceCheck<'a> {
    /// Of what this one brings.
    pub(super) fn of(bringer: &'a Ingest) -> Self {
        Self {
            bringer,
            next: 0,
            outside: None,
        }
    }

    /// Looks at the next event, as it was judged. Of one that was refused the source may not have been read: then it is read
    /// here, and one that cannot be is outside.
    pub(super) fn add(&mut self, bytes: &[u8], judged: &Result<(EventKind, String), Refusal>) {
        let index = self.next;
        self.next += 1;
        if self.bringer.sources.is_empty() || self.outside.is_some() {
            return;
        }
        let source = match judged {
            Ok((_, source)) => Some(Cow::Borrowed(source.as_str())),
            Err(_) => source_of(bytes),
        };
        if source
            .as_deref()
            .is_some_and(|source| self.bringer.is_for(source))
        {
            return;
        }
        let what = source.map_or_else(
            || "has no `source` that can be read".to_owned(),
            |source| format!("is of `{}`", source.chars().take(SHOWN).collect::<String>()),
        );
        self.outside = Some(NotTaken::ForbiddenSource {
            index,
            detail: format!(
                "event {index} {what}; this key may bring what begins with {}. Nothing of this request is kept",
                self.bringer.sources.join(", ")
            ),
        });
    }

    /// The first event outside, if there was one.
    pub(super) fn finish(self) -> Result<(), NotTaken> {
        self.outside.map_or(Ok(()), Err)
    }
}

fn source_of(bytes: &[u8]) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Sourced<'a> {
        #[serde(borrow)]
        source: Cow<'a, str>,
    }
    serde_json::from_slice::<Sourced<'_>>(bytes)
        .ok()
        .map(|event| event.source)
}

#[cfg(test)]
mod tests {
    use riskgrid_ingest::RefusalReason;

    use super::*;

    fn check(sources: &[&str], events: &[&str]) -> Option<usize> {
        let bringer = Ingest {
            sources: sources.iter().map(|source| (*source).to_owned()).collect(),
            key: None,
        };
        let mut check = SourceCheck::of(&bringer);
        for event in events {
            let refused = Err(Refusal::new(RefusalReason::Malformed, "as a test"));
            check.add(event.as_bytes(), &refused);
        }
        match check.finish() {
            Err(NotTaken::ForbiddenSource { index, .. }) => Some(index),
            _ => None,
        }
    }

    #[test]
    fn refused_events_are_of_a_source_too() {
        let inside = r#"{"source": "//sensors/7", "data": 1}"#;
        assert_eq!(check(&[], &["no event"]), None);
        assert_eq!(check(&["//other", "//sensors/"], &[inside, inside]), None);
        for outside in [
            r#"{"source": "//sensor/7"}"#,
            r#"{"source": "x//sensors/7"}"#,
            r#"{"data": {"source": "//sensors/7"}}"#,
            r#"{"source": "//sensors/7", "source": "//other"}"#,
            r#"{"source": "//sensors/7""#,
            r#"{"source": 7}"#,
            "//sensors/7",
        ] {
            assert_eq!(
                check(&["//sensors/"], &[inside, outside, inside]),
                Some(1),
                "{outside}"
            );
        }
    }
}
