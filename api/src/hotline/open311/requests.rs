//! Requests: cases, listed, shown and made.

use riskgrid_analytics::hotline::moves::Duty;
use serde_json::{Map, Value, json};

use super::answers::{promise, request, status_of};
use super::asked::{Asker, Pairs, Wrong, only, time};
use crate::hotline::desk::{
    Actor, Desk, LONGEST_TEXT, NewCase, OPEN311_SOURCE, Officer, Once, PLACE_MEMBERS, answers_of, check_text,
};
use crate::hotline::store::{CaseFilter, CasePlace, CaseRow, case, clocks_of, list_cases};

/// Longest span of one list, in microseconds.
const LONGEST_SPAN: i64 = 90 * riskgrid_ingest::DAY;
/// Requests of a list.
const MOST: usize = 1_000;
/// Requests that are asked for by their ids.
const MOST_IDS: usize = 100;
/// Cases that are read at once.
const READ_AT_ONCE: u32 = 500;

/// What a list asks for.
struct Listed {
    from: i64,
    before: i64,
    updated_from: Option<i64>,
    updated_before: Option<i64>,
    codes: Vec<String>,
    status: Vec<String>,
    bbox: Option<[f64; 4]>,
    page: usize,
    page_size: usize,
}

impl Listed {
    fn read(pairs: &Pairs, now: i64) -> Result<Self, Wrong> {
        let (start, end) = (time(pairs, "start_date")?, time(pairs, "end_date")?);
        let (from, before) = match (start, end) {
            (Some(start), Some(end)) => (start, end),
            (Some(start), None) => (start, now.min(start.saturating_add(LONGEST_SPAN)).max(start)),
            (None, Some(end)) => (end.saturating_sub(LONGEST_SPAN), end),
            (None, None) => (now.saturating_sub(LONGEST_SPAN), i64::MAX),
        };
        let is_default = start.is_none() && end.is_none();
        if !is_default && (before < from || before - from > LONGEST_SPAN) {
            return Err(Wrong::bad(
                "start_date to end_date is 90 days at most, and in this order",
            ));
        }
        let words = |name: &str| -> Result<Vec<String>, Wrong> {
            let list = only(pairs, name)?.unwrap_or_default();
            Ok(list
                .split(',')
                .filter(|word| !word.is_empty())
                .map(str::to_owned)
                .collect())
        };
        let status = words("status")?;
        if status.iter().any(|status| status != "open" && status != "closed") {
            return Err(Wrong::bad("status is open, closed or open,closed"));
        }
        Ok(Self {
            from,
            before: before.saturating_add(i64::from(end.is_some())),
            updated_from: time(pairs, "updated_after")?,
            updated_before: time(pairs, "updated_before")?,
            codes: words("service_code")?,
            status,
            bbox: only(pairs, "bbox")?.map(read_box).transpose()?,
            page: number(pairs, "page", 1_000_000)?.unwrap_or(1),
            page_size: number(pairs, "page_size", MOST)?.unwrap_or(MOST),
        })
    }

    fn wants(&self, desk: &Desk, case: &CaseRow) -> bool {
        // Boxes would find a place that is not shown.
        let is_sensitive = desk
            .layers
            .get(&case.layer)
            .is_none_or(|layer| layer.is_sensitive);
        let is_in_box = |[west, south, east, north]: [f64; 4]| {
            case.position().is_some_and(|[lon, lat]| {
                let is_between = if west <= east {
                    (west..=east).contains(&lon)
                } else {
                    lon >= west || lon <= east
                };
                is_between && (south..=north).contains(&lat)
            })
        };
        (self.codes.is_empty() || self.codes.contains(&case.layer))
            && (self.status.is_empty() || self.status.iter().any(|status| status == status_of(&case.state)))
            && self
                .bbox
                .is_none_or(|degrees| !is_sensitive && is_in_box(degrees))
    }
}

fn number(pairs: &Pairs, name: &str, most: usize) -> Result<Option<usize>, Wrong> {
    let Some(text) = only(pairs, name)? else {
        return Ok(None);
    };
    let number = text.parse().ok().filter(|number| (1..=most).contains(number));
    number
        .map(Some)
        .ok_or_else(|| Wrong::bad(format!("{name} is a whole number from 1 to {most}")))
}

fn read_box(text: &str) -> Result<[f64; 4], Wrong> {
    let degrees: Result<Vec<f64>, _> = text.split(',').map(|part| part.trim().parse()).collect();
    degrees
        .ok()
        .and_then(|degrees| <[f64; 4]>::try_from(degrees).ok())
        .filter(|degrees| degrees.iter().all(|degree| degree.is_finite()) && degrees[1] <= degrees[3])
        .ok_or_else(|| Wrong::bad("bbox is west,south,east,north in degrees"))
}

/// A list, and the number of the page that follows, if one does.
pub(super) async fn list(desk: &Desk, asker: &Asker, pairs: &Pairs) -> Result<(Value, Option<usize>), Wrong> {
    let is_extended = only(pairs, "extensions")? == Some("true");
    let mut reader = desk.reader().await?;
    if let Some(ids) = only(pairs, "service_request_id")? {
        let ids: Vec<&str> = ids.split(',').filter(|id| !id.is_empty()).collect();
        if ids.len() > MOST_IDS {
            return Err(Wrong::bad(format!("service_request_id lists {MOST_IDS} at most")));
        }
        let mut shown = Vec::with_capacity(ids.len());
        for id in ids {
            if let Some(found) = case(&mut reader, id).await?
                && is_shown(desk, asker, &found)
            {
                shown.push(shown_request(desk, &found, is_extended).await?);
            }
        }
        return Ok((shown.into(), None));
    }
    let listed = Listed::read(pairs, (desk.clock)())?;
    let filter = CaseFilter {
        opened_from: Some(listed.from),
        opened_before: Some(listed.before),
        updated_from: listed.updated_from,
        updated_before: listed.updated_before,
        ..CaseFilter::default()
    };
    let skipped = (listed.page - 1).saturating_mul(listed.page_size);
    let (mut seen, mut shown) = (0, Vec::new());
    let mut after: Option<CasePlace> = None;
    let more = 'pages: loop {
        let page = list_cases(&mut reader, &filter, after.as_ref(), READ_AT_ONCE).await;
        let page = page?;
        after = page.last().map(|last| CasePlace {
            opened_at: last.opened_at,
            id: last.id.clone(),
        });
        let is_last = page.len() < READ_AT_ONCE as usize;
        for found in page {
            if !is_shown(desk, asker, &found) || !listed.wants(desk, &found) {
                continue;
            }
            seen += 1;
            if seen <= skipped {
                continue;
            }
            if shown.len() == listed.page_size {
                break 'pages true;
            }
            shown.push(found);
        }
        if is_last {
            break false;
        }
    };
    drop(reader);
    let mut requests = Vec::with_capacity(shown.len());
    for case in &shown {
        requests.push(shown_request(desk, case, is_extended).await?);
    }
    Ok((requests.into(), more.then_some(listed.page + 1)))
}

fn is_shown(desk: &Desk, asker: &Asker, case: &CaseRow) -> bool {
    desk.layers.own(&case.layer).is_some() && asker.sees(case)
}

async fn shown_request(desk: &Desk, case: &CaseRow, is_extended: bool) -> Result<Value, Wrong> {
    let mut reader = desk.reader().await?;
    let clocks = clocks_of(&mut reader, &case.id).await?;
    Ok(request(desk, case, &clocks, is_extended))
}

/// One.
pub(super) async fn show(desk: &Desk, asker: &Asker, id: &str, pairs: &Pairs) -> Result<Value, Wrong> {
    let is_extended = only(pairs, "extensions")? == Some("true");
    let mut reader = desk.reader().await?;
    let found = case(&mut reader, id).await?;
    drop(reader);
    let found = found
        .filter(|case| is_shown(desk, asker, case))
        .ok_or_else(|| Wrong::not_found("there is no request of this service_request_id"))?;
    Ok(json!([shown_request(desk, &found, is_extended).await?]))
}

/// Members of a form that are known; what is said of attributes is apart.
const KNOWN: [&str; 16] = [
    "api_key",
    "jurisdiction_id",
    "service_code",
    "lat",
    "long",
    "address_string",
    "address_id",
    "email",
    "device_id",
    "account_id",
    "first_name",
    "last_name",
    "phone",
    "description",
    "media_url",
    "updated_datetime",
];

/// Makes a case of what somebody posts.
pub(super) async fn create(
    desk: &Desk,
    officer: &Officer,
    (jurisdiction, form): (&str, &Pairs),
    once: Option<Once>,
) -> Result<Value, Wrong> {
    let may = [Duty::Operator, Duty::Caller];
    officer.must_be(&may)?;
    let duty = may
        .into_iter()
        .find(|duty| officer.duties.contains(duty))
        .unwrap_or(Duty::Supervisor);
    let code = only(form, "service_code")?.ok_or_else(|| Wrong::bad("service_code is missing"))?;
    let layer = desk
        .layers
        .own(code)
        .ok_or_else(|| Wrong::not_found("there is no service of this service_code"))?;
    let mut given = Map::new();
    for (name, value) in form {
        let attribute = name.strip_prefix("attribute[").and_then(|rest| {
            let (code, rest) = rest.split_once(']')?;
            matches!(rest, "" | "[]").then_some((code, rest == "[]"))
        });
        match attribute {
            Some((code, true)) => {
                let list = given.entry(code).or_insert_with(|| json!([]));
                match list.as_array_mut() {
                    Some(list) => list.push(json!(value)),
                    None => return Err(Wrong::bad(format!("{name} is there twice"))),
                }
            }
            Some((code, false)) => {
                if given.insert(code.to_owned(), json!(value)).is_some() {
                    return Err(Wrong::bad(format!("{name} is there twice")));
                }
            }
            None if KNOWN.contains(&name.as_str()) => {}
            None => {
                let shown: String = name.chars().take(64).collect();
                return Err(Wrong::bad(format!("there is no parameter {shown}")));
            }
        }
    }
    let (attributes, answers) = answers_of(layer, given).map_err(Wrong::bad)?;
    let text = only(form, "description")?;
    if let Some(text) = text {
        check_text("description", text, LONGEST_TEXT)?;
    }
    let new = NewCase {
        source: format!("{OPEN311_SOURCE}{jurisdiction}"),
        kind: "complaint".to_owned(),
        layer: layer.id.clone(),
        severity: 0,
        channel: "web".to_owned(),
        placed: desk.place_of(&place_of(form)?)?,
        text: text.map(str::to_owned),
        attributes,
        answers,
        contact: contact_of(form)?,
        report: None,
    };
    if !officer.sees_place(&new.layer, new.placed.position) {
        return Err(Wrong::forbidden("this key does not bring requests from there"));
    }
    let actor = Actor {
        who: officer.who().to_owned(),
        duty,
    };
    let made = desk.post_case(officer, Ok(new), once, &actor).await?;
    let mut reader = desk.reader().await?;
    let clocks = clocks_of(&mut reader, &made.id).await?;
    Ok(json!([{
        "service_request_id": made.id, "service_notice": promise(desk, &clocks), "account_id": null,
    }]))
}

/// Where: coordinates are exact, and words are looked up.
fn place_of(form: &Pairs) -> Result<Map<String, Value>, Wrong> {
    let degrees = |name: &str| -> Result<Option<f64>, Wrong> {
        let Some(text) = only(form, name)? else {
            return Ok(None);
        };
        let degrees = text.parse::<f64>().ok().filter(|degrees| degrees.is_finite());
        degrees
            .map(Some)
            .ok_or_else(|| Wrong::bad(format!("{name} is a number of degrees")))
    };
    let mut place = Map::new();
    match (degrees("lat")?, degrees("long")?) {
        (Some(lat), Some(lon)) => {
            place.insert("lon".to_owned(), json!(lon));
            place.insert("lat".to_owned(), json!(lat));
        }
        (None, None) => {
            if let Some(id) = only(form, "address_id")? {
                place.insert("place".to_owned(), json!(id));
            } else if let Some(words) = only(form, "address_string")? {
                place.insert("address".to_owned(), json!(words));
            }
        }
        _ => return Err(Wrong::bad("lat and long go together")),
    }
    debug_assert!(place.keys().all(|name| PLACE_MEMBERS.contains(&name.as_str())));
    Ok(place)
}

fn contact_of(form: &Pairs) -> Result<Option<Map<String, Value>>, Wrong> {
    let mut contact = Map::new();
    for name in ["phone", "email"] {
        if let Some(value) = only(form, name)? {
            check_text(name, value, 256)?;
            contact.insert(name.to_owned(), json!(value));
        }
    }
    let names = [only(form, "first_name")?, only(form, "last_name")?];
    let name = names.into_iter().flatten().collect::<Vec<_>>().join(" ");
    if !name.is_empty() {
        check_text("first_name and last_name", &name, 256)?;
        contact.insert("name".to_owned(), json!(name));
    }
    Ok((!contact.is_empty()).then_some(contact))
}
