//! Making a case: its first row, its texts, its clocks, and the event that tells the grid of it.

use riskgrid_analytics::hotline::moves::{OPEN, State};
use riskgrid_ingest::Channel;
use serde_json::{Map, Value, json};

use super::Desk;
use super::body::{LONGEST_REASON, LONGEST_TEXT, check_text, members};
use super::layers::CaseLayer;
use super::moving::Asked;
use super::once::Once;
use super::place::{PLACE_MEMBERS, Placed};
use super::who::Officer;
use super::work::{Actor, Entry, Work};
use crate::digest::{hex, sha256};
use crate::hotline::store::{
    CaseRow, PendingEvent, add_event, add_text, case, case_id, next_number, splits_of,
};
use crate::problem::Problem;

/// The source of cases that are posted here.
pub(super) const OWN_SOURCE: &str = "//riskgrid/cases";
/// How the sources of cases begin that were posted by Open311; the jurisdiction follows.
pub const OPEN311_SOURCE: &str = "//open311/";
/// What a case may be.
pub(super) const KINDS: [&str; 6] = ["inquiry", "help", "suggestion", "complaint", "tip_off", "other"];
/// Through what one may come.
const CHANNELS: [&str; 8] = [
    "sensor",
    "field_officer",
    "camera",
    "phone",
    "app",
    "web",
    "social",
    "other",
];
/// Cases that are split off one.
const MOST_SPLITS: usize = 10;

/// A case as somebody posts it.
#[derive(Clone, Debug)]
pub struct NewCase {
    /// Who it is from, as the log names it.
    pub source: String,
    /// One of the kinds.
    pub kind: String,
    /// One whose cases are this hotline's.
    pub layer: String,
    /// 0 to 4.
    pub severity: i64,
    /// Through what it came.
    pub channel: String,
    /// Where.
    pub placed: Placed,
    /// What was said.
    pub text: Option<String>,
    /// Answers to what the layer asks, but for free text.
    pub attributes: Map<String, Value>,
    /// Answers in free text.
    pub answers: Vec<(String, String)>,
    /// Whom to call back.
    pub contact: Option<Map<String, Value>>,
    /// Its report, where a client's key does not name it.
    pub report: Option<String>,
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

/// The members of a posted case.
const MEMBERS: [&str; 11] = [
    "kind",
    "layer",
    "severity",
    "channel",
    "text",
    "attributes",
    "contact",
    "lon",
    "lat",
    "address",
    "place",
];

/// A posted case whose form is right.
pub struct PostedCase(Map<String, Value>);

impl PostedCase {
    /// Reads the body.
    ///
    /// # Errors
    /// 400: it cannot be understood.
    pub fn read(body: &Value) -> Result<Self, Problem> {
        let members_of_case = members(body, "a case", &MEMBERS)?;
        if let Some(contact) = members_of_case.get("contact") {
            members(contact, "`contact`", &["phone", "email", "name", "confidential"])?;
        }
        Ok(Self(members_of_case))
    }
}

impl Desk {
    /// Looks at what a posted case says.
    ///
    /// # Errors
    /// 422: what of it cannot be.
    pub fn check_case(&self, posted: PostedCase) -> Result<NewCase, Problem> {
        let PostedCase(mut given) = posted;
        let text = |given: &Map<String, Value>, name: &str| {
            given.get(name).and_then(Value::as_str).map(str::to_owned)
        };
        let layer = text(&given, "layer").unwrap_or_default();
        let layer = self.own_layer(&layer)?;
        let said = text(&given, "text");
        if let Some(said) = &said {
            check_text("text", said, LONGEST_TEXT)?;
        }
        let attributes = match given.remove("attributes") {
            Some(Value::Object(attributes)) => attributes,
            _ => Map::new(),
        };
        let (attributes, answers) = answers_of(layer, attributes).map_err(Problem::unprocessable)?;
        let contact = match given.remove("contact") {
            Some(Value::Object(contact)) => Some(check_contact(contact)?),
            _ => None,
        };
        Ok(NewCase {
            source: OWN_SOURCE.to_owned(),
            kind: one_of("kind", &given, &KINDS, None)?,
            layer: layer.id.clone(),
            severity: severity(&given)?,
            channel: one_of("channel", &given, &CHANNELS, Some("other"))?,
            placed: self.place_of(&given)?,
            text: said,
            attributes,
            answers,
            contact,
            report: None,
        })
    }

    /// The layer of an id, whose cases are this hotline's.
    ///
    /// # Errors
    /// 422: it is none.
    pub fn own_layer(&self, id: &str) -> Result<&CaseLayer, Problem> {
        self.layers.own(id).ok_or_else(|| {
            let own: Vec<&str> = self
                .layers
                .all()
                .map(|layer| layer.id.as_str())
                .filter(|id| self.layers.own(id).is_some())
                .collect();
            let known = if own.is_empty() {
                "no layer has `cases = \"own\"`".to_owned()
            } else {
                format!("those are {}", own.join(", "))
            };
            let shown: String = id.chars().take(64).collect();
            Problem::unprocessable(format!(
                "`layer` is \"{shown}\", which is no layer of this hotline's cases; {known}"
            ))
        })
    }

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

    /// The event of a case that was posted here.
    pub(super) async fn add_open_event(
        &mut self,
        case: &CaseRow,
        reporter: Option<String>,
    ) -> Result<(), Problem> {
        let Some([lon, lat]) = case.position() else {
            return Ok(());
        };
        let mut data = json!({
            "report": case.report, "op": "open", "category": case.layer, "severity": case.severity,
            "lon": lon, "lat": lat, "channel": case.channel,
        });
        if let Some(reporter) = reporter {
            data["reporter"] = json!(reporter);
        }
        let id = case.report.clone();
        self.add_event(case, "open", id, case.opened_at, data).await
    }

    /// The event of a case that is located only now, if the log still takes one of that time.
    pub(super) async fn open_event(&mut self, case: &CaseRow) -> Result<(), Problem> {
        let is_posted = case.source == OWN_SOURCE || case.source.starts_with(OPEN311_SOURCE);
        let is_late = self.now.saturating_sub(case.opened_at) >= self.desk.settings.event_horizon;
        if case.observed != "no" || !is_posted || case.split_of.is_some() || is_late {
            return Ok(());
        }
        sqlx::query("UPDATE cases SET observed = 'pending' WHERE id = $1")
            .bind(&case.id)
            .execute(self.connection())
            .await
            .map_err(crate::hotline::store::StoreError::from)?;
        self.add_open_event(case, None).await
    }

    /// The event of a case's end.
    pub(super) async fn end_event(&mut self, case: &CaseRow, otherwise: &str) -> Result<(), Problem> {
        if case.is_mirrored() || case.observed == "no" || case.split_of.is_some() {
            return Ok(());
        }
        let outcome = match case.result.as_deref() {
            _ if otherwise == "duplicate" => "duplicate",
            Some("resolved") => "confirmed",
            Some("unfounded") => "false",
            _ => otherwise,
        };
        let data = json!({"report": case.report, "op": "close", "outcome": outcome});
        let id = format!("{}/close/{}", case.report, case.version);
        let now = self.now;
        self.add_event(case, "close", id, now, data).await
    }

    async fn add_event(
        &mut self,
        case: &CaseRow,
        op: &str,
        id: String,
        time: i64,
        data: Value,
    ) -> Result<(), Problem> {
        let body = json!({
            "specversion": "1.0", "id": id, "source": case.source, "type": "riskgrid.report.v1",
            "time": riskgrid_ingest::EventTime::from_micros(time).to_string(), "data": data,
        });
        let event = PendingEvent {
            id: format!("{}/{op}/{}", case.id, case.version),
            case_id: case.id.clone(),
            op: op.to_owned(),
            body: body.to_string(),
            created_at: self.now,
        };
        add_event(self.connection(), &event).await?;
        self.has_events();
        Ok(())
    }

    /// Makes the cases that are split off one.
    pub(super) async fn split(
        &mut self,
        case: &CaseRow,
        asked: &Asked<'_>,
        data: &mut Value,
    ) -> Result<(), Problem> {
        let parts = asked.body.members().get("cases").and_then(Value::as_array);
        let parts = parts.map(Vec::as_slice).unwrap_or_default();
        let before = splits_of(self.connection(), &case.id).await?;
        let after = usize::try_from(before)
            .unwrap_or(usize::MAX)
            .saturating_add(parts.len());
        if parts.is_empty() || after > MOST_SPLITS {
            return Err(Problem::unprocessable(format!(
                "`cases` lists 1 to {MOST_SPLITS} cases, and {before} were split off this one before"
            )));
        }
        asked.body.text("reason", LONGEST_REASON)?;
        let mut ids = Vec::with_capacity(parts.len());
        for (number, part) in (before + 2..).zip(parts) {
            let known: Vec<&str> = ["kind", "layer"].into_iter().chain(PLACE_MEMBERS).collect();
            let part = members(part, "a case of `cases`", &known)?;
            let layer = part.get("layer").and_then(Value::as_str).unwrap_or(&case.layer);
            let layer = self.desk.own_layer(layer)?.id.clone();
            let report = format!("{}#{number}", case.report);
            let mut row = self.desk.blank(&case.source, &report, &layer, case.opened_at);
            row.kind = one_of("kind", &part, &KINDS, Some(&case.kind))?;
            row.severity = case.severity;
            row.channel.clone_from(&case.channel);
            row.split_of = Some(case.id.clone());
            "no".clone_into(&mut row.observed);
            let placed = self.desk.place_of(&part)?;
            if PLACE_MEMBERS.iter().any(|name| part.contains_key(*name)) {
                placed.put(&mut row);
            } else {
                (row.lon, row.lat, row.cell) = (case.lon, case.lat, case.cell);
                row.place.clone_from(&case.place);
                row.place_quality.clone_from(&case.place_quality);
                row.areas.clone_from(&case.areas);
            }
            let entry =
                Entry::new(asked.actor, OPEN, State::Accepted, self.now).with(json!({"split_of": case.id}));
            self.open(&mut row, entry).await?;
            ids.push(row.id);
        }
        data["cases"] = json!(ids);
        Ok(())
    }
}

/// A member that is one of some words.
fn one_of(
    name: &str,
    given: &Map<String, Value>,
    words: &[&str],
    otherwise: Option<&str>,
) -> Result<String, Problem> {
    let said = given.get(name).and_then(Value::as_str).or(otherwise);
    match said {
        Some(word) if words.contains(&word) => Ok(word.to_owned()),
        said => {
            let shown: String = said.unwrap_or("").chars().take(64).collect();
            Err(Problem::unprocessable(format!(
                "`{name}` is \"{shown}\"; allowed: {}",
                words.join(", ")
            )))
        }
    }
}

fn severity(given: &Map<String, Value>) -> Result<i64, Problem> {
    let severity = given.get("severity").map_or(Some(0), Value::as_i64);
    severity
        .filter(|severity| (0..=4).contains(severity))
        .ok_or_else(|| Problem::unprocessable("`severity` is 0 (unknown) to 4 (critical)"))
}

/// How a channel of the grid is called.
pub(crate) const fn channel_name(channel: Channel) -> &'static str {
    CHANNELS[channel as usize]
}

fn check_contact(contact: Map<String, Value>) -> Result<Map<String, Value>, Problem> {
    for name in ["phone", "email", "name"] {
        if let Some(text) = contact.get(name).and_then(Value::as_str) {
            check_text(name, text, 256)?;
        }
    }
    Ok(contact)
}

/// Answers to what a layer asks, and, apart, those in free text.
///
/// # Errors
/// What is missing, not asked, or no answer.
#[allow(
    clippy::needless_pass_by_value,
    clippy::type_complexity,
    reason = "what was given becomes two lists of answers"
)]
pub fn answers_of(
    layer: &CaseLayer,
    given: Map<String, Value>,
) -> Result<(Map<String, Value>, Vec<(String, String)>), String> {
    use riskgrid_ingest::AttributeType::{Datetime, MultiValueList, Number, SingleValueList, String, Text};
    if let Some(unknown) = given
        .keys()
        .find(|code| !layer.attributes.iter().any(|asked| asked.code == **code))
    {
        let shown: std::string::String = unknown.chars().take(64).collect();
        return Err(format!("the layer `{}` asks no attribute `{shown}`", layer.id));
    }
    let (mut kept, mut texts) = (Map::new(), Vec::new());
    for asked in layer.attributes.iter().filter(|asked| asked.variable) {
        let code = &asked.code;
        let answers: Vec<&str> = match given.get(code) {
            Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
            Some(Value::String(text)) if !text.is_empty() => vec![text],
            None | Some(Value::Number(_) | Value::Null | Value::String(_)) => Vec::new(),
            Some(_) => return Err(format!("the attribute `{code}` is a text, or a list of texts")),
        };
        let number = given.get(code).and_then(Value::as_f64);
        if answers.is_empty() && number.is_none() {
            if asked.required {
                return Err(format!(
                    "the attribute `{code}` must be answered: {}",
                    asked.description
                ));
            }
            continue;
        }
        let is_known = |answer: &&str| asked.values.iter().any(|value| value.key == **answer);
        match (asked.datatype, answers.as_slice()) {
            (MultiValueList, answers) if !answers.is_empty() && answers.iter().all(is_known) => {
                kept.insert(code.clone(), json!(answers));
            }
            (SingleValueList, [answer]) if is_known(answer) => {
                kept.insert(code.clone(), json!(answer));
            }
            (Number, []) if number.is_some() => {
                kept.insert(code.clone(), json!(number));
            }
            (Number, [answer]) if answer.parse::<f64>().is_ok_and(f64::is_finite) => {
                kept.insert(code.clone(), json!(answer));
            }
            (Datetime, [answer]) if riskgrid_ingest::EventTime::parse_rfc3339(answer).is_some() => {
                kept.insert(code.clone(), json!(answer));
            }
            (String, [answer]) if answer.chars().count() <= 256 && !answer.contains('\0') => {
                kept.insert(code.clone(), json!(answer));
            }
            (Text, [answer]) if answer.chars().count() <= LONGEST_TEXT && !answer.contains('\0') => {
                texts.push((code.clone(), (*answer).to_owned()));
            }
            _ => {
                return Err(format!(
                    "the attribute `{code}` is no {}",
                    asked.datatype.as_str()
                ));
            }
        }
    }
    Ok((kept, texts))
}

/// A UUID of version 7, as RFC 9562 has it: it begins with the time.
fn uuid_v7(now: i64) -> Result<String, Problem> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(crate::hotline::store::StoreError::from)?;
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

    #[test]
    fn channels_are_called_as_events_call_them() {
        for name in CHANNELS {
            assert_eq!(channel_name(Channel::parse(name)), name);
        }
    }
}
