//! Whether the rows of an audit hang together, looked at from the newest to the oldest, one at a time.

use super::record::Link;
use super::store::AuditRow;

/// What was seen so far.
#[derive(Debug)]
pub struct Verification {
    /// Where it is known to have stood.
    head: Option<Link>,
    /// Whether that row was seen as it was.
    has_head: bool,
    newest: Option<Link>,
    rows: u64,
    /// The row seen last, as the one before it must be.
    wanted: Option<Link>,
    /// The oldest row that does not fit, of those seen.
    first_misfit: Option<i64>,
}

/// A whole audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// How many rows.
    pub rows: u64,
    /// The newest.
    pub newest: Link,
}

/// An audit that is not what was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// A row does not hang on the one before, or was changed.
    #[error(
        "row {0} does not fit: it or the one before was changed, or rows are missing. Compare with a backup or the log of the \
         server from before"
    )]
    Row(i64),
    /// It stood elsewhere once.
    #[error("row {} is not as --head has it: the audit was written anew or cut off since", .0.seq)]
    Head(Link),
    /// That row is trimmed by now.
    #[error("row {} of --head was trimmed; the oldest that is there hangs on row {base}: give a newer head", .head.seq)]
    Trimmed {
        /// What was asked for.
        head: Link,
        /// On which the oldest row hangs.
        base: i64,
    },
}

impl Verification {
    /// Of an audit that is known to have stood at this row, if at any.
    pub const fn new(head: Option<Link>) -> Self {
        Self {
            head,
            has_head: false,
            newest: None,
            rows: 0,
            wanted: None,
            first_misfit: None,
        }
    }

    /// Looks at the next older row.
    pub fn add(&mut self, row: &AuditRow) {
        let link = Link {
            seq: row.seq,
            hash: row.hash.clone(),
        };
        if let Some(wanted) = self.wanted.take()
            && wanted != link
        {
            self.first_misfit = Some(wanted.seq + 1);
        }
        let before = Link {
            seq: row.seq - 1,
            hash: row.prev.clone(),
        };
        if row.after(&before).is_none() {
            self.first_misfit = Some(row.seq);
        }
        self.has_head |= self.head.as_ref() == Some(&link);
        self.rows += 1;
        self.newest.get_or_insert(link);
        self.wanted = Some(before);
    }

    /// What all rows come to, with what the oldest must hang on.
    ///
    /// # Errors
    /// The first row that does not fit.
    pub fn finish(self, base: &Link) -> Result<Verified, Misfit> {
        if let Some(wanted) = self.wanted
            && wanted != *base
        {
            return Err(Misfit::Row(wanted.seq + 1));
        }
        if let Some(row) = self.first_misfit {
            return Err(Misfit::Row(row));
        }
        match self.head {
            Some(head) if !self.has_head && head != *base => Err(if head.seq < base.seq {
                Misfit::Trimmed { head, base: base.seq }
            } else {
                Misfit::Head(head)
            }),
            _ => Ok(Verified {
                rows: self.rows,
                newest: self.newest.unwrap_or_else(|| base.clone()),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::audit::{Deed, Record};

    fn chain(length: i64) -> Vec<AuditRow> {
        let mut link = Link::nothing();
        let mut rows = Vec::new();
        for seq in 1..=length {
            let deed = Deed::of_the_system("server.start").times(seq).with(json!({}));
            let record = Record {
                seq,
                at: seq,
                deed,
                prev: link.hash.clone(),
            };
            link = Link {
                seq,
                hash: record.hash(),
            };
            rows.push(AuditRow::new(record, link.hash.clone()));
        }
        rows
    }

    fn verify(rows: &[AuditRow], head: Option<Link>, base: &Link) -> Result<Verified, Misfit> {
        let mut verification = Verification::new(head);
        rows.iter().rev().for_each(|row| verification.add(row));
        verification.finish(base)
    }

    fn link(row: &AuditRow) -> Link {
        Link {
            seq: row.seq,
            hash: row.hash.clone(),
        }
    }

    #[test]
    fn a_whole_chain_fits_and_one_that_was_trimmed_too() {
        let rows = chain(5);
        let whole = verify(&rows, Some(link(&rows[2])), &Link::nothing()).unwrap();
        assert_eq!(
            whole,
            Verified {
                rows: 5,
                newest: link(&rows[4])
            }
        );
        assert_eq!(verify(&rows[2..], None, &link(&rows[1])).unwrap().rows, 3);
        assert_eq!(verify(&[], None, &Link::nothing()).unwrap().rows, 0);
    }

    #[test]
    fn the_first_row_that_does_not_fit_is_told() {
        let rows = chain(6);
        let nothing = Link::nothing();
        let mut changed = rows.clone();
        changed[2].count = 99;
        changed[4].who = "nobody".to_owned();
        assert_eq!(verify(&changed, None, &nothing), Err(Misfit::Row(3)));
        let mut without = rows.clone();
        without.remove(2);
        assert_eq!(verify(&without, None, &nothing), Err(Misfit::Row(4)));
        assert_eq!(verify(&rows[1..], None, &nothing), Err(Misfit::Row(2)));
    }

    #[test]
    fn a_chain_that_was_cut_off_or_written_anew_is_told_by_its_head() {
        let rows = chain(6);
        let (nothing, head) = (Link::nothing(), link(&rows[5]));
        assert_eq!(
            verify(&rows[..5], Some(head.clone()), &nothing),
            Err(Misfit::Head(head.clone()))
        );
        let other = Link {
            seq: 2,
            hash: "0".repeat(64),
        };
        assert_eq!(
            verify(&rows, Some(other.clone()), &nothing),
            Err(Misfit::Head(other))
        );
        let trimmed = link(&rows[0]);
        assert_eq!(
            verify(&rows[3..], Some(trimmed.clone()), &link(&rows[2])),
            Err(Misfit::Trimmed {
                head: trimmed,
                base: 3
            })
        );
    }
}
