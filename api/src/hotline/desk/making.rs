//! Making a case: its first row, its texts, its clocks, and the event that tells the grid of it.

use riskgrid_analytics::hotline::moves::{OPEN, State};
use serde_json::{Value, json};

use super::Desk;
use super::once::Once;
use super::posted::NewCase;
use super::who::Officer;
use super::work::{Actor, Entry, Work};
use crate::digest::{hex, sha256};
use crate::hotline::store::{CaseRow, StoreError, add_text, case, case_id, next_number};
use crate::problem::Problem;

/// The source of cases that are posted here.
pub(super) const OWN_SOURCE: &str = "//riskgrid/cases";
/// How the sources of cases begin that were posted by Open311; the jurisdiction follows.
pub const OPEN311_SOURCE: &str = "//open311/";

/// Whether cases of this source are posted here: their events come after them.
pub fn is_posted(source: &str) -> bool {
    source == OWN_SOURCE || source.starts_with(OPEN311_SOURCE)
}

/// A case that was made, or had been by the same request.
#[derive(Clone, Debug)]
pub struct Made {
    /// The case.
    pub id: String,
    /// The answer.
    pub body: Value,
    /// Its version in the answer.
    pub version: i64,
    /// It is the answer that was given before.
    pub is_replay: bool,
}

impl Desk {
    /// Makes a case, once for each key; it and its event are durable when this returns.
    ///
    /// # Errors
    /// Why it could not be made; 503, if it was and its event is not in the log yet.
    pub async fn post_case(
        &self,
        officer: &Officer,
        new: Result<NewCase, Problem>,
        once: Option<Once>,
        actor: &Actor,
    ) -> Result<Made, Problem> {
        let running = once.as_ref().map(|once| self.run_alone(officer.who(), once));
        let _running = running.transpose()?;
        let mut work = Work::begin(self).await?;
        if let Some(once) = &once
            && let Some(answered) = work.answered(officer.who(), once).await?
        {
            drop(work);
            let body: Value = serde_json::from_str(&answered.body).unwrap_or_default();
            let id = body
                .get("id")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned();
            // A crash may have come between the case and its event.
            self.put_events_into_log(Some(&id)).await?;
            return Ok(Made {
                id,
                body,
                version: answered.version,
                is_replay: true,
            });
        }
        let new = new?;
        let report = match (&new.report, &once) {
            (Some(report), _) => report.clone(),
            (None, Some(once)) => {
                let date = work.data.local_date(self, work.now);
                let named = [officer.who(), &once.key, &date].join("\0");
                hex(&sha256(named.as_bytes())).chars().take(32).collect()
            }
            (None, None) => uuid_v7(work.now)?,
        };
        let contact = new.contact.clone();
        let id = case_id(&new.source, &report);
        let made = self
            .make_posted(&mut work, new, &report, (officer, actor))
            .await?;
        if let Some(once) = &once {
            work.note(officer.who(), once, 201, made.version, &made.body)
                .await?;
        }
        if let Some(contact) = &contact {
            self.keep_contact(&id, contact).await?;
        }
        if let Err(problem) = work.commit().await {
            if contact.is_some() {
                self.forget_contact(&id).await;
            }
            return Err(problem);
        }
        self.put_events_into_log(Some(&id)).await?;
        Ok(made)
    }

    async fn make_posted(
        &self,
        work: &mut Work<'_>,
        new: NewCase,
        report: &str,
        (officer, actor): (&Officer, &Actor),
    ) -> Result<Made, Problem> {
        let mut row = self.blank(&new.source, report, &new.layer, work.now);
        row.kind = new.kind;
        row.severity = new.severity;
        row.channel = new.channel;
        row.attributes = Value::Object(new.attributes).to_string();
        new.placed.put(&mut row);
        if case(work.connection(), &row.id).await?.is_some() {
            return Err(Problem::conflict(
                "there is a case of this report already; send another Idempotency-Key with another case",
            ));
        }
        let duplicates = work
            .possible_duplicates(&row, |other| officer.sees(other))
            .await?;
        let (mut data, mut text_id) = (json!({}), None);
        if let Some(text) = &new.text {
            let (id, digest) = add_text(work.connection(), &row.id, "description", text).await?;
            data["digest"] = json!(digest);
            text_id = Some(id);
        }
        for (code, answer) in &new.answers {
            let kind = format!("attribute:{code}");
            add_text(work.connection(), &row.id, &kind, answer).await?;
        }
        let is_located = new.placed.position.is_some();
        (if is_located { "pending" } else { "no" }).clone_into(&mut row.observed);
        let entry = Entry {
            text_id,
            ..Entry::new(actor, OPEN, State::New, work.now).with(data)
        };
        work.open(&mut row, entry).await?;
        if is_located {
            let reporter = new.contact.as_ref().and_then(|contact| {
                let by = contact.get("phone").or_else(|| contact.get("email"))?.as_str()?;
                Some(format!("{:016x}", self.reporter_key.hash(by)))
            });
            work.add_open_event(&row, reporter).await?;
        }
        let body = json!({
            "id": row.id, "number": row.number, "state": row.state, "version": row.version,
            "place": new.placed.shown(), "duplicates": duplicates,
        });
        Ok(Made {
            id: row.id,
            body,
            version: row.version,
            is_replay: false,
        })
    }

    /// A case of nothing but its report.
    #[allow(clippy::unused_self, reason = "the desk makes cases")]
    pub(crate) fn blank(&self, source: &str, report: &str, layer: &str, opened_at: i64) -> CaseRow {
        CaseRow {
            id: case_id(source, report),
            number: String::new(),
            version: 0,
            state: String::new(),
            mode: "own".to_owned(),
            source: source.to_owned(),
            report: report.to_owned(),
            kind: "other".to_owned(),
            layer: layer.to_owned(),
            severity: 0,
            channel: "other".to_owned(),
            lon: None,
            lat: None,
            cell: None,
            place: None,
            place_quality: "unlocated".to_owned(),
            areas: "[]".to_owned(),
            attributes: "{}".to_owned(),
            labels: "[]".to_owned(),
            office: None,
            duty_version: None,
            duty_rule: None,
            why: "{}".to_owned(),
            excluded: "[]".to_owned(),
            returns: 0,
            parent: None,
            split_of: None,
            round: 1,
            paused_at: None,
            result: None,
            public_text: None,
            observed: "yes".to_owned(),
            opened_at,
            updated_at: opened_at,
            closed_at: None,
        }
    }
}

impl Work<'_> {
    /// Writes the first row of a case, and starts its clocks.
    pub(super) async fn open(&mut self, case: &mut CaseRow, entry: Entry<'_>) -> Result<(), Problem> {
        let (at, to) = (entry.at, entry.to);
        let date = self.data.local_date(self.desk, self.now);
        case.number = next_number(self.connection(), &date).await?;
        self.append(case, entry).await?;
        match to {
            State::New => self.start_clocks(case, &["accept"], at).await?,
            State::Accepted => self.start_clocks(case, &["dispatch"], at).await?,
            _ => return Ok(()),
        }
        let opened_at = case.opened_at;
        self.start_clocks(case, &["citizen"], opened_at).await
    }
}

/// A UUID of version 7, as RFC 9562 has it: it begins with the time.
fn uuid_v7(now: i64) -> Result<String, Problem> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(StoreError::from)?;
    let random = u128::from_be_bytes(bytes) & ((1 << 80) - 1);
    let millis = u128::from(now.div_euclid(1_000).cast_unsigned()) & ((1 << 48) - 1);
    let number = millis << 80 | random & !(0xf << 76) & !(0x3 << 62) | 0x7 << 76 | 0x2 << 62;
    let hex = format!("{number:032x}");
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| hex.get(part).unwrap_or_default());
    Ok(parts.join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_of_version_7_begins_with_the_time() {
        let uuid = uuid_v7(1_795_348_800_123_456).unwrap();
        assert_eq!(&uuid[14..15], "7");
        assert!("89ab".contains(&uuid[19..20]));
        let millis = u64::from_str_radix(&uuid[..13].replace('-', ""), 16).unwrap();
        assert_eq!(millis, 1_795_348_800_123);
        assert_ne!(uuid, uuid_v7(1_795_348_800_123_456).unwrap());
    }
}
