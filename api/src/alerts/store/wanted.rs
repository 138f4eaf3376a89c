//! Which alerts somebody asks for: conditions that the database itself looks at.

use super::alerts::AlertState;
use crate::database::Bound;

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

/// SQL with `$1`, `$2`, … and the values for them.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    conditions: Vec<String>,
    pub(super) values: Vec<Bound>,
}

impl Wanted {
    pub(super) fn of(query: &AlertQuery) -> Self {
        let mut wanted = Self::default();
        if query.is_public {
            wanted.conditions.push("audience = 'public'".to_owned());
        }
        let states = query.states.iter().map(|state| state.name().to_owned());
        wanted.one_of("state", &states.collect::<Vec<_>>());
        wanted.one_of("severity", &query.severities);
        if let Some(rule) = &query.rule {
            let (name, id) = (wanted.text(rule), wanted.text(rule));
            wanted
                .conditions
                .push(format!("(rule = {name} OR rule_id = {id})"));
        }
        for (column, text) in [
            ("layer", &query.layer),
            ("kind", &query.kind),
            ("incident_group", &query.group),
            ("incident", &query.incident),
            ("sensor", &query.sensor),
        ] {
            if let Some(text) = text {
                let place = wanted.text(text);
                wanted.conditions.push(format!("{column} = {place}"));
            }
        }
        if let Some(area) = &query.area {
            // Of a JSON list of ids, in which each stands in quotes.
            let quoted = serde_json::Value::from(area.as_str()).to_string();
            let escaped = quoted.replace('!', "!!").replace('%', "!%").replace('_', "!_");
            let place = wanted.text(&format!("%{escaped}%"));
            wanted.conditions.push(format!("areas LIKE {place} ESCAPE '!'"));
        }
        if let Some(ranges) = &query.cells {
            let ranges = ranges.iter().map(|(first, last)| {
                let (first, last) = (
                    wanted.number(first.cast_signed()),
                    wanted.number(last.cast_signed()),
                );
                format!("cell BETWEEN {first} AND {last}")
            });
            let ranges: Vec<String> = ranges.collect();
            wanted.conditions.push(format!("({})", ranges.join(" OR ")));
        }
        if let Some(from) = query.from {
            let place = wanted.number(from);
            wanted.conditions.push(format!("fired_at >= {place}"));
        }
        if let Some(to) = query.to {
            let place = wanted.number(to);
            wanted.conditions.push(format!("fired_at < {place}"));
        }
        if let Some(held) = query.held {
            let not = if held { "" } else { "NOT " };
            wanted.conditions.push(format!(
                "{not}EXISTS (SELECT 1 FROM transitions WHERE transitions.alert = alerts.id AND notify = 'held')"
            ));
        }
        if let Some((time, id)) = &query.after {
            let (time, id) = (wanted.number(*time), wanted.text(id));
            wanted.conditions.push(format!("(fired_at, id) < ({time}, {id})"));
        }
        wanted
    }

    /// All conditions, as they follow the name of the table.
    pub(super) fn sql(&self) -> String {
        if self.conditions.is_empty() {
            return String::new();
        }
        format!("WHERE {}", self.conditions.join(" AND "))
    }

    fn one_of(&mut self, column: &str, texts: &[String]) {
        if texts.is_empty() {
            return;
        }
        let places: Vec<String> = texts.iter().map(|text| self.text(text)).collect();
        self.conditions
            .push(format!("{column} IN ({})", places.join(", ")));
    }

    fn text(&mut self, text: &str) -> String {
        self.values.push(Bound::Text(text.to_owned()));
        format!("${}", self.values.len())
    }

    fn number(&mut self, number: i64) -> String {
        self.values.push(Bound::Number(number));
        format!("${}", self.values.len())
    }
}
