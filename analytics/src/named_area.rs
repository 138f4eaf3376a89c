//! Areas in queries: by id, or by a name that no other area has.

use riskgrid_ingest::places::{Area, AreaIndex, NoSuchArea};
use riskgrid_ingest::words::{self, Likeness};

/// What an argument that names no area should have been: for a message that has the argument and its value before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotAnArea {
    /// There is none at all.
    #[error("an area's id or name; none is loaded: see [[areas]] in the configuration")]
    NoneLoaded,
    /// The name is that of several.
    #[error("an area's id or name; several areas have this name, say which: {}", quoted(.0))]
    Ambiguous(Vec<String>),
    /// None is called so.
    #[error("an area's id or name; {}", advice(.0))]
    Unknown(Vec<String>),
}

/// The area that `text` means.
///
/// # Errors
/// There is none such, or several.
pub(crate) fn named_area<'a>(areas: &'a AreaIndex, text: &str) -> Result<&'a Area, NotAnArea> {
    areas.find(text).map_err(|why| match why {
        NoSuchArea::NoneLoaded => NotAnArea::NoneLoaded,
        NoSuchArea::Ambiguous(ids) => NotAnArea::Ambiguous(ids.iter().map(ToString::to_string).collect()),
        NoSuchArea::Unknown => {
            NotAnArea::Unknown(nearest(areas, text).into_iter().map(str::to_owned).collect())
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

fn advice(close: &[String]) -> String {
    if close.is_empty() {
        "the table areas lists them".to_owned()
    } else {
        format!("did you mean {}?", quoted(close))
    }
}

fn quoted(ids: &[String]) -> String {
    let ids: Vec<String> = ids.iter().map(|id| format!("'{id}'")).collect();
    ids.join(", ")
}
