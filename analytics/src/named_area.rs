//! Areas in queries: by id, or by a name that no other area has.

use riskgrid_ingest::places::{Area, AreaIndex, NoSuchArea};

/// The furthest that an id or name may be from one that is proposed, in edits.
const CLOSE: usize = 3;
/// Proposals that an error names.
const PROPOSED: usize = 3;

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
    let mut close: Vec<(usize, &str)> = known
        .map(|id| (strsim::damerau_levenshtein(text, id), id))
        .filter(|(edits, id)| *edits <= CLOSE || (!text.is_empty() && id.contains(text)))
        .collect();
    close.sort_unstable();
    close.into_iter().take(PROPOSED).map(|(_, id)| id).collect()
}

/// Ids of the areas whose id or name is close to `text`, the nearest first.
fn nearest<'a>(areas: &'a AreaIndex, text: &str) -> Vec<&'a str> {
    let text = text.to_lowercase();
    let edits = |known: &str| {
        let known = known.to_lowercase();
        let distance = strsim::damerau_levenshtein(&text, &known);
        (distance <= CLOSE || (!text.is_empty() && known.contains(&text))).then_some(distance)
    };
    let mut close: Vec<(usize, &str)> = areas
        .areas()
        .iter()
        .filter_map(|area| {
            Some((
                edits(&area.id).into_iter().chain(edits(&area.name)).min()?,
                &*area.id,
            ))
        })
        .collect();
    close.sort_unstable();
    close.into_iter().take(PROPOSED).map(|(_, id)| id).collect()
}

fn quoted<'a>(ids: impl Iterator<Item = &'a str>) -> String {
    let ids: Vec<String> = ids.map(|id| format!("'{id}'")).collect();
    ids.join(", ")
}
