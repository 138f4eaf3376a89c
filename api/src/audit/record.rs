//! One row of the audit, and how it hangs on the one before: its hash covers all its members, that of the row before too.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::digest::{canonical, hex, sha256};

/// What stands in the place of the hash before the first row.
pub const NOTHING_BEFORE: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// A deed, before it has its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deed {
    /// `key:ID`, `oidc:ISS#SUB`, `cert:SAN`, `cli`, `anonymous`, `system`.
    pub who: String,
    /// The role in which it was done; empty where there is none.
    pub role: String,
    /// `http`, `cli`, `system`; `legacy` of rows from before there was a chain.
    pub via: String,
    /// From where; empty where that means nothing.
    pub address: String,
    /// What was done, as `keys.create`.
    pub action: String,
    /// To what: an id, or empty.
    pub object: String,
    /// To how many.
    pub count: i64,
    /// What else is worth knowing. Never keys, tokens, contacts.
    pub detail: Value,
}

impl Deed {
    /// One that riskgrid does by itself.
    pub fn of_the_system(action: &str) -> Self {
        Self::of("system", "", "system", action)
    }

    /// One of whoever has this machine's files in hand.
    pub fn of_the_command_line(action: &str) -> Self {
        Self::of("cli", "admin", "cli", action)
    }

    fn of(who: &str, role: &str, via: &str, action: &str) -> Self {
        Self {
            who: who.to_owned(),
            role: role.to_owned(),
            via: via.to_owned(),
            address: String::new(),
            action: action.to_owned(),
            object: String::new(),
            count: 1,
            detail: json!({}),
        }
    }

    /// The same, done to this.
    #[must_use]
    pub fn to(mut self, object: &str) -> Self {
        object.clone_into(&mut self.object);
        self
    }

    /// The same, to so many.
    #[must_use]
    pub const fn times(mut self, count: i64) -> Self {
        self.count = count;
        self
    }

    /// That it failed, after a row had said that it begins.
    #[must_use]
    pub fn failed(mut self) -> Self {
        self.action.push_str(".failed");
        self
    }

    /// The same, with this to be known of it.
    #[must_use]
    pub fn with(mut self, detail: Value) -> Self {
        self.detail = detail;
        self
    }
}

/// A row in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Grows by one from row to row.
    pub seq: i64,
    /// When, microseconds since 1970 UTC.
    pub at: i64,
    /// What was done.
    pub deed: Deed,
    /// The hash of the row before.
    pub prev: String,
}

impl Record {
    /// SHA-256 of all members in the one form of JSON that is hashed (JCS), in hex.
    pub fn hash(&self) -> String {
        let deed = &self.deed;
        let members = json!({
            "seq": self.seq, "at": self.at, "who": deed.who, "role": deed.role, "via": deed.via,
            "address": deed.address, "action": deed.action, "object": deed.object, "count": deed.count,
            "detail": deed.detail, "prev": self.prev,
        });
        hex(&sha256(canonical(&members).as_bytes()))
    }
}

/// Where a chain stands: a row and its hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Its number; 0 before the first.
    pub seq: i64,
    /// Its hash.
    pub hash: String,
}

impl Link {
    /// What the first row of an installation hangs on.
    pub fn nothing() -> Self {
        Self {
            seq: 0,
            hash: NOTHING_BEFORE.to_owned(),
        }
    }

    /// The next link, if the row hangs on this one and its hash is what is stored with it.
    pub fn then(&self, record: &Record, stored_hash: &str) -> Option<Self> {
        let fits = record.seq == self.seq + 1 && record.prev == self.hash;
        let hash = record.hash();
        (fits && hash == stored_hash).then_some(Self {
            seq: record.seq,
            hash,
        })
    }

    /// Reads `SEQ:HASH`, as the log of the process has it.
    pub fn parse(text: &str) -> Option<Self> {
        let (seq, hash) = text.split_once(':')?;
        let seq = seq.parse().ok().filter(|seq| *seq >= 0)?;
        let is_hash = hash.len() == NOTHING_BEFORE.len() && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hash.then(|| Self {
            seq,
            hash: hash.to_ascii_lowercase(),
        })
    }
}

impl std::fmt::Display for Link {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}:{}", self.seq, self.hash)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn golden() -> Vec<Record> {
        let installation = json!({"installation": "0f8fad5b-d9cb-469f-a165-70867728950e"});
        let made = json!({"name": "first", "role": "admin"});
        let looked = json!({"reason": "invalid_time", "note": "\u{66b4}\u{96e8} \"9\"\n"});
        let mut raw = Deed::of("key:Gold3nKey001", "admin", "http", "dead_letters.raw");
        "192.0.2.7".clone_into(&mut raw.address);
        let deeds = [
            (
                1_795_334_400_000_000,
                Deed::of_the_system("audit.start").times(0).with(installation),
            ),
            (
                1_795_334_460_000_000,
                Deed::of_the_command_line("keys.create")
                    .to("Gold3nKey001")
                    .with(made),
            ),
            (1_795_334_520_000_001, raw.times(12).with(looked)),
        ];
        let mut records: Vec<Record> = Vec::new();
        for (seq, (at, deed)) in (1..).zip(deeds) {
            let prev = records.last().map_or(NOTHING_BEFORE.to_owned(), Record::hash);
            records.push(Record { seq, at, deed, prev });
        }
        records
    }

    #[test]
    fn the_golden_chain_is_hashed() {
        let hashes: Vec<_> = golden().iter().map(Record::hash).collect();
        assert_eq!(
            hashes,
            [
                "7df54cfc7f1f97a682864906840e10f1441034003a0fa4302a8916bcaade89b9",
                "aa86672b9259c5108a5cea8edd506b07caee22e1141ee9cfa8af1f8569cf1d4e",
                "99da39b0c98c5b69288a719199936c17d81d257295cf7afa62f83a75d492f804",
            ]
        );
    }

    #[test]
    fn a_chain_is_followed_link_by_link() {
        let end = golden()
            .iter()
            .try_fold(Link::nothing(), |link, record| link.then(record, &record.hash()));
        assert_eq!(end.unwrap().seq, 3);
        assert_eq!(Link::parse("x:00"), None);
        let link = Link {
            seq: 7,
            hash: "ab".repeat(32),
        };
        assert_eq!(Link::parse(&link.to_string()), Some(link));
    }

    proptest! {
        #[test]
        fn whatever_is_changed_in_a_row_breaks_the_chain(row in 0_usize..3, member in 0_usize..9) {
            let mut records = golden();
            let hashes: Vec<_> = records.iter().map(Record::hash).collect();
            let changed = &mut records[row];
            match member {
                0 => changed.seq += 1,
                1 => changed.at += 1,
                2 => changed.deed.who.push('x'),
                3 => changed.deed.role.push('x'),
                4 => changed.deed.via.push('x'),
                5 => changed.deed.address.push('x'),
                6 => changed.deed.action.push('x'),
                7 => changed.deed.count += 1,
                _ => changed.deed.detail = json!({"x": 1}),
            }
            let chain = |hashes: &[String]| {
                let mut rows = records.iter().zip(hashes);
                rows.try_fold(Link::nothing(), |link, (record, hash)| link.then(record, hash)).is_some()
            };
            prop_assert!(!chain(&hashes));
            // Nor does it help to hash that row anew.
            let anew: Vec<_> = records.iter().map(Record::hash).collect();
            prop_assert!(row == 2 && member > 0 || !chain(&anew));
        }
    }
}
