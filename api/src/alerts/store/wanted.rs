//! Which alerts somebody asks for: conditions that the database itself looks at.

use riskgrid_analytics::rules::Audience;

use super::alerts::AlertState;
use crate::database::{Bound, Conditions};

/// Which alerts to list. What says nothing lets all through.
#[derive(Clone, Debug, Default)]
pub struct AlertQuery {
    /// Only those of one of these states.
    pub states: Vec<AlertState>,
    /// Only those for the public.
    pub is_public: bool,
    /// Only those of one of these severities, by their names.
    pub severities: Vec<String>,
    /// Only those of the rule of this name or id.
    pub rule: Option<String>,
    /// Only those of a rule on this layer.
    pub layer: Option<String>,
    /// Only those of a rule of this kind.
    pub kind: Option<String>,
    /// Only those of this group.
    pub group: Option<String>,
    /// Only those of this incident.
    pub incident: Option<String>,
    /// Only those that lie in the area of this id.
    pub area: Option<String>,
    /// Only those of this sensor.
    pub sensor: Option<String>,
    /// Only those that lie in this cell: its index, and the ids of all cells of the finest resolution within.
    pub cells: Option<Vec<(u64, u64)>>,
    /// Only those that fired then or later, µs.
    pub from: Option<i64>,
    /// Only those that fired before, µs.
    pub to: Option<i64>,
    /// Only those whose beginning is held back, or only those where it is not.
    pub held: Option<bool>,
    /// At most so many.
    pub limit: u32,
    /// After this one: firing time and id.
    pub after: Option<(i64, String)>,
}

impl AlertQuery {
    /// What must hold of an alert.
    pub(super) fn conditions(&self) -> Conditions {
        let mut conditions = Conditions::default();
        conditions.has("audience", self.is_public.then(|| Audience::Public.name()));
        conditions.has_one_of("state", self.states.iter().map(|state| state.name()));
        conditions.has_one_of("severity", self.severities.iter().map(String::as_str));
        if let Some(rule) = &self.rule {
            let either = [Bound::Text(rule.clone()), Bound::Text(rule.clone())];
            conditions.add("(rule = ? OR rule_id = ?)", either);
        }
        for (column, text) in [
            ("layer", &self.layer),
            ("kind", &self.kind),
            ("incident_group", &self.group),
            ("incident", &self.incident),
            ("sensor", &self.sensor),
        ] {
            conditions.has(column, text.as_deref());
        }
        conditions.lists("areas", self.area.as_deref());
        if let Some(ranges) = &self.cells {
            let any = vec!["cell BETWEEN ? AND ?"; ranges.len()].join(" OR ");
            let ends = ranges.iter().flat_map(|(first, last)| [*first, *last]);
            let ends = ends.map(|end| Bound::Number(end.cast_signed()));
            conditions.add(format!("({any})"), ends);
        }
        conditions.number("fired_at >= ?", self.from);
        conditions.number("fired_at < ?", self.to);
        if let Some(held) = self.held {
            let not = if held { "" } else { "NOT " };
            conditions.add(
                format!(
                    "{not}EXISTS (SELECT 1 FROM transitions WHERE transitions.alert = alerts.id AND notify = 'held')"
                ),
                [],
            );
        }
        if let Some((time, id)) = &self.after {
            let place = [Bound::Number(*time), Bound::Text(id.clone())];
            conditions.add("(fired_at, id) < (?, ?)", place);
        }
        conditions
    }
}
