//! What of a snapshot a permission shows, where several tables ask the same.

use riskgrid_ingest::grid::{GridSnapshot, Place};
use riskgrid_ingest::{Layer, LayerIndex};

use crate::permission::Permission;

/// The layers that are seen, in the order in which they became known. A layer that was learnt from events is not known to who
/// may see none of these, unless it is named to them.
pub fn visible_layers<'a>(
    snapshot: &'a GridSnapshot,
    permission: &'a Permission,
) -> impl Iterator<Item = (LayerIndex, &'a Layer)> {
    let all = snapshot.layers.iter().map(|(index, layer)| (index, &**layer));
    all.filter(|(index, layer)| is_visible(snapshot, permission, *index, layer))
}

/// The layer of this id, if it is seen.
pub fn visible_layer(snapshot: &GridSnapshot, permission: &Permission, id: &str) -> Option<LayerIndex> {
    let index = snapshot.layers.find(id)?;
    let layer = snapshot.layers.get(index)?;
    is_visible(snapshot, permission, index, layer).then_some(index)
}

fn is_visible(snapshot: &GridSnapshot, permission: &Permission, index: LayerIndex, layer: &Layer) -> bool {
    let is_told =
        !permission.has_all_layers() || permission.has_all_areas() || snapshot.layers.is_configured(index);
    permission.admits_layer(Some(&layer.id))
        && (is_told || snapshot.totals_within(index, permission.cells()).is_some())
}

/// Whether a row of this layer at this place is seen.
pub(crate) fn is_row_visible(permission: &Permission, layer: Option<&str>, place: Option<&Place>) -> bool {
    permission.admits_layer(layer) && permission.admits_place(place.map(|place| [place.lon, place.lat]))
}
