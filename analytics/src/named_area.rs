//! Areas in queries: by id, or by a name that no other area has.

use riskgrid_ingest::places::{Area, AreaIndex, NoSuchArea};
use riskgrid_ingest::words::{self, Likeness};

/// The area that `text` means.
///
/// # Errors
/// What would be allowed, for a message that names the argument and its value before.
pub(crate) fn named_area<'a>(areas: &'a AreaIndex, text: &str) -> Result<&'a Area, String> {
    let allowed = "an area's id or name";
    areas.find(text).map_err(|why| match why {
        NoSuchArea::NoneLoaded => format!("{allowed}; none is loaded: see [[areas]] in the configuration"),
        NoSuchArea::Ambiguous(ids) => {
            format!(
                "{allowed}; several areas have this name, say which: {}",
                quoted(ids.iter().map(|id| &**id))
            )
        }
        NoSuchArea::Unknown => {
            let close = nearest(areas, text);
            if close.is_empty() {
                format!("{allowed}; the table areas lists them")
            } else {
                format!("{allowed}; did you mean {}?", quoted(close.into_iter()))
            }
        }
    })
}

/// Those of `known` that are close to `text`, the nearest first.
pub(crate) fn close_ids<'a>(known: impl Iterator<Item = &'a str>, text: &str) -> Vec<&'a str> {
    Likeness::Search.proposals(text, known)
}

/// Ids of the areas whose id or name is close to `text`, the nearest first.
fn nearest<'a>(areas: &'a AreaIndex, text: &str) -> Vec<&'a str> {
    let edits = |known: &str| Likeness::Search.edits(text, known);
    let of_area = |area: &'a Area| {
        let edits = edits(&area.id).into_iter().chain(edits(&area.name)).min()?;
        Some((edits, &*area.id))
    };
    words::nearest(areas.areas().iter().filter_map(of_area))
}

fn quoted<'a>(ids: impl Iterator<Item = &'a str>) -> String {
    let ids: Vec<String> = ids.map(|id| format!("'{id}'")).collect();
    ids.join(", ")
}
