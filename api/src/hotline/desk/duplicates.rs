//! Which open cases may be of the same thing: those near in place and time, of the same layer or hazard. Nothing of what people
//! said, nor who they are, is looked at.

use riskgrid_analytics::hotline::duplicates::{
    DegreeBox, LONGEST_APART, PlaceQuality, Sighting, boxes_around, duplicates,
};
use riskgrid_ingest::EventTime;
use serde_json::{Value, json};

use super::Desk;
use super::work::Work;
use crate::hotline::store::{CaseRow, Connection, StoreError, cases_around};
use crate::problem::Problem;

impl Desk {
    /// The possible duplicates of a case, of those that are seen.
    ///
    /// # Errors
    /// The database's.
    pub async fn duplicates_of(
        &self,
        case: &CaseRow,
        is_seen: impl Fn(&CaseRow) -> bool,
    ) -> Result<Vec<Value>, Problem> {
        let mut reader = self.reader().await?;
        Ok(self.look_for_duplicates(&mut reader, case, is_seen).await?)
    }

    pub(super) async fn look_for_duplicates(
        &self,
        connection: &mut Connection,
        case: &CaseRow,
        is_seen: impl Fn(&CaseRow) -> bool,
    ) -> Result<Vec<Value>, StoreError> {
        let Some([lon, lat]) = case.position() else {
            return Ok(Vec::new());
        };
        let radius = self
            .layers
            .get(&case.layer)
            .map_or(100.0, |layer| layer.dup_radius);
        let from = case.opened_at.saturating_sub(LONGEST_APART);
        let to = case.opened_at.saturating_add(LONGEST_APART);
        let mut others: Vec<CaseRow> = Vec::new();
        for DegreeBox {
            west,
            south,
            east,
            north,
        } in boxes_around([lon, lat], radius)
        {
            let found = cases_around(
                connection,
                [west, south, east, north],
                case.place.as_deref(),
                (from, to),
            )
            .await?;
            others.extend(found);
        }
        others.sort_by(|one, other| one.id.cmp(&other.id));
        others.dedup_by(|one, other| one.id == other.id);
        let seen = others.iter().filter(|other| is_seen(other));
        let found = self.sighting(case).map_or_else(Vec::new, |asked| {
            duplicates(&asked, radius, seen.filter_map(|other| self.sighting(other)))
        });
        Ok(found
            .iter()
            .map(|found| json!({"case": found.id, "score": found.score}))
            .collect())
    }

    fn sighting<'a>(&'a self, case: &'a CaseRow) -> Option<Sighting<'a>> {
        let [lon, lat] = case.position()?;
        Some(Sighting {
            id: &case.id,
            opened_at: EventTime::from_micros(case.opened_at),
            lon,
            lat,
            place: case.place.as_deref(),
            quality: PlaceQuality::from_name(&case.place_quality)?,
            layer: &case.layer,
            group: self.layers.group_of(&case.layer),
        })
    }
}

impl Work<'_> {
    /// Those of a case that is about to be made, of those that are seen.
    pub(super) async fn possible_duplicates(
        &mut self,
        case: &CaseRow,
        is_seen: impl Fn(&CaseRow) -> bool,
    ) -> Result<Vec<Value>, Problem> {
        let desk = self.desk;
        Ok(desk.look_for_duplicates(self.connection(), case, is_seen).await?)
    }
}
