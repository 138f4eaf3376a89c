//! What a rule says: checked once, when it is made; a [`Rule`] that exists is valid.

use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use super::fields::{FieldProblem, Fields, InvalidRule};

/// The kinds of rules that can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A value over a limit for a duration.
    Threshold,
}

/// What one instance of a rule is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    /// A sensor, judged on each of its readings.
    Sensor,
    /// A cell of the grid, judged on its aggregate over a window.
    Cell,
}

/// Which number of an instance is compared with the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Number of events.
    Count,
    /// Sum of severities of reports, else the count.
    Weight,
    /// Sum of values, in the layer's unit.
    Sum,
    /// Mean of values, in the layer's unit.
    Mean,
    /// Least value, in the layer's unit.
    Min,
    /// Greatest value, in the layer's unit.
    Max,
    /// Newest value, in the layer's unit.
    Last,
    /// Estimated number of distinct sources.
    Sources,
}

impl Metric {
    const ALL: [(&'static str, Self); 8] = [
        ("count", Self::Count),
        ("weight", Self::Weight),
        ("sum", Self::Sum),
        ("mean", Self::Mean),
        ("min", Self::Min),
        ("max", Self::Max),
        ("last", Self::Last),
        ("sources", Self::Sources),
    ];

    /// The name in JSON.
    pub fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(_, metric)| *metric == self)
            .map_or("", |(name, _)| name)
    }

    /// Whether a cell without events has the value 0; of the other metrics it has none.
    pub fn missing_is_zero(self) -> bool {
        matches!(self, Self::Count | Self::Weight | Self::Sum | Self::Sources)
    }
}

/// How grave an alert is, least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// CAP "Minor".
    Minor,
    /// CAP "Moderate".
    Moderate,
    /// CAP "Severe".
    Major,
    /// CAP "Extreme".
    Critical,
}

impl Severity {
    /// All severities with their names in JSON, least first.
    pub const ALL: [(&'static str, Self); 4] = [
        ("minor", Self::Minor),
        ("moderate", Self::Moderate),
        ("major", Self::Major),
        ("critical", Self::Critical),
    ];

    /// The name in JSON.
    pub fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(_, severity)| *severity == self)
            .map_or("", |(name, _)| name)
    }

    /// The severity of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, severity)| *severity)
    }
}

/// The limit, in the unit of the metric, and how a value is compared with it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Over means greater than.
    Above(f64),
    /// Over means greater than or equal.
    AtLeast(f64),
}

impl Limit {
    /// The number itself.
    pub fn value(self) -> f64 {
        match self {
            Self::Above(limit) | Self::AtLeast(limit) => limit,
        }
    }

    /// Whether `value` is over the limit; NaN never is.
    pub fn is_exceeded_by(self, value: f64) -> bool {
        match self {
            Self::Above(limit) => value > limit,
            Self::AtLeast(limit) => value >= limit,
        }
    }

    /// The name of the comparison in JSON.
    pub fn comparison(self) -> &'static str {
        match self {
            Self::Above(_) => "above",
            Self::AtLeast(_) => "at_least",
        }
    }
}

/// What the grid can answer, so that a rule it cannot serve is refused when it is made.
#[derive(Clone, Copy, Debug)]
pub struct RuleBounds {
    /// The resolution that the grid stores: the finest that a rule may ask for.
    pub base_resolution: u8,
    /// The longest window that the grid's retention covers.
    pub longest_window: Duration,
}

impl Default for RuleBounds {
    /// Any H3 resolution, windows of up to ten years: what a stored rule is read with.
    fn default() -> Self {
        Self {
            base_resolution: 15,
            longest_window: Duration::from_secs(3650 * 86_400),
        }
    }
}

/// A valid rule. Serialises as the object that clients see.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rule {
    /// Given by the server; never used twice.
    pub id: String,
    /// Given by the client; unique.
    pub name: String,
    /// Always `threshold` today.
    pub kind: Kind,
    /// The layer it watches.
    pub layer: String,
    /// What an instance is.
    pub per: Per,
    /// Which number is compared.
    pub metric: Metric,
    /// `above` or `at_least`.
    #[serde(flatten)]
    pub limit: Limit,
    /// A firing alert resolves below this; at most the limit.
    pub clear_below: f64,
    /// How long the value must stay over the limit before the alert fires.
    #[serde(rename = "for", serialize_with = "as_humantime")]
    pub hold: Duration,
    /// Rules on cells: the span of event time that is aggregated, whole minutes.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_window")]
    pub window: Option<Duration>,
    /// Rules on cells: the H3 resolution; `None` is the grid's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolution: Option<u8>,
    /// Of its alerts.
    pub severity: Severity,
    /// Names of the webhooks to tell.
    pub webhooks: Vec<String>,
}

impl Rule {
    /// Reads and checks a client's rule.
    ///
    /// # Errors
    /// [`InvalidRule`] with every field that is missing, unknown or out of bounds.
    pub fn from_json(id: &str, json: &Value, bounds: &RuleBounds) -> Result<Self, InvalidRule> {
        let Some(object) = json.as_object() else {
            return Err(one_problem(
                "rule",
                "not a JSON object",
                "an object with name, kind, layer, per, …",
            ));
        };
        match object.get("kind").and_then(Value::as_str) {
            Some("threshold") | None => {}
            Some(other) => {
                return Err(one_problem(
                    "kind",
                    &format!("\"{other}\", not available"),
                    "threshold",
                ));
            }
        }
        let mut fields = Fields::new(object);
        let name = fields.required("name", "1 to 128 characters", |value| {
            value
                .as_str()
                .map(str::trim)
                .filter(|name| (1..=128).contains(&name.chars().count()))
        });
        fields.required("kind", "threshold", Value::as_str);
        let layer = fields.required("layer", "a layer's id, 1 to 64 of a-z, 0-9 and _", |value| {
            value.as_str().filter(|id| is_layer_id(id))
        });
        let per = fields.required("per", "sensor, cell", |value| match value.as_str()? {
            "sensor" => Some(Per::Sensor),
            "cell" => Some(Per::Cell),
            _ => None,
        });
        let metric = read_metric(&mut fields, per);
        let limit = read_limit(&mut fields);
        let clear_below = read_clear_below(&mut fields, limit);
        let hold = fields
            .optional("for", "a duration up to 30d, like 0s, 2m or 1h 30m", |value| {
                humantime::parse_duration(value.as_str()?)
                    .ok()
                    .filter(|hold| *hold <= LONGEST_HOLD)
            })
            .unwrap_or_default();
        let window = read_window(&mut fields, per, bounds);
        let resolution = read_resolution(&mut fields, per, bounds);
        let severity = fields.required("severity", "minor, moderate, major, critical", |value| {
            Severity::from_name(value.as_str()?)
        });
        let webhooks = fields
            .optional(
                "webhooks",
                "a list of at most 16 names of webhooks, each once",
                read_names,
            )
            .unwrap_or_default();
        let problems = fields.finish();
        match (name, layer, per, metric, limit, severity) {
            (Some(name), Some(layer), Some(per), Some(metric), Some(limit), Some(severity))
                if problems.is_empty() =>
            {
                Ok(Self {
                    id: id.to_owned(),
                    name: name.to_owned(),
                    kind: Kind::Threshold,
                    layer: layer.to_owned(),
                    per,
                    metric,
                    limit,
                    clear_below: clear_below.unwrap_or(limit.value()),
                    hold,
                    window,
                    resolution,
                    severity,
                    webhooks,
                })
            }
            _ => Err(InvalidRule { problems }),
        }
    }

    /// Reads a rule as it was serialised, `id` included.
    ///
    /// # Errors
    /// [`InvalidRule`] when the text is not such a rule.
    pub fn from_stored(text: &str) -> Result<Self, InvalidRule> {
        let mut json: Value = serde_json::from_str(text)
            .map_err(|error| one_problem("rule", &error.to_string(), "a stored rule"))?;
        let id = json.as_object_mut().and_then(|object| object.remove("id"));
        match id.as_ref().and_then(Value::as_str) {
            Some(id) => Self::from_json(id, &json, &RuleBounds::default()),
            None => Err(one_problem("id", "missing", "the id of the rule")),
        }
    }

    /// `hold` in microseconds.
    pub fn hold_micros(&self) -> i64 {
        self.hold.as_micros() as i64
    }
}

const LONGEST_HOLD: Duration = Duration::from_secs(30 * 86_400);

fn one_problem(field: &str, found: &str, allowed: &str) -> InvalidRule {
    let problem = FieldProblem {
        field: field.to_owned(),
        found: found.to_owned(),
        allowed: allowed.to_owned(),
    };
    InvalidRule {
        problems: vec![problem],
    }
}

fn is_layer_id(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

fn read_metric(fields: &mut Fields<'_>, per: Option<Per>) -> Option<Metric> {
    if per == Some(Per::Sensor) {
        if fields.value("metric").is_none() {
            return Some(Metric::Last);
        }
        return fields.required("metric", "last, for rules per sensor", |value| {
            (value.as_str()? == "last").then_some(Metric::Last)
        });
    }
    fields.required(
        "metric",
        "count, weight, sum, mean, min, max, last, sources",
        |value| {
            let wanted = value.as_str()?;
            Metric::ALL
                .iter()
                .find(|(name, _)| *name == wanted)
                .map(|(_, metric)| *metric)
        },
    )
}

fn read_limit(fields: &mut Fields<'_>) -> Option<Limit> {
    let above = fields.optional("above", "a number", Value::as_f64);
    let at_least = fields.optional("at_least", "a number", Value::as_f64);
    match (
        fields.value("above").is_some(),
        fields.value("at_least").is_some(),
    ) {
        (true, true) => {
            fields.complain("at_least", "either `above` or `at_least`, not both");
            None
        }
        (false, false) => {
            fields.complain(
                "above",
                "a number, in `above` (greater) or in `at_least` (greater or equal)",
            );
            None
        }
        _ => above.map(Limit::Above).or(at_least.map(Limit::AtLeast)),
    }
}

fn read_clear_below(fields: &mut Fields<'_>, limit: Option<Limit>) -> Option<f64> {
    let clear_below = fields.optional("clear_below", "a number", Value::as_f64)?;
    if let Some(limit) = limit
        && clear_below > limit.value()
    {
        fields.complain(
            "clear_below",
            format!("a number not over the limit, {}", limit.value()),
        );
    }
    Some(clear_below)
}

fn read_window(fields: &mut Fields<'_>, per: Option<Per>, bounds: &RuleBounds) -> Option<Duration> {
    if per == Some(Per::Sensor) {
        if fields.value("window").is_some() {
            fields.complain("window", "none, for rules per sensor");
        }
        return None;
    }
    let allowed = format!(
        "a whole number and m, h or d, like 15m, up to {}",
        humantime::format_duration(bounds.longest_window)
    );
    fields.required("window", &allowed, |value| {
        parse_window(value.as_str()?).filter(|window| *window <= bounds.longest_window)
    })
}

fn read_resolution(fields: &mut Fields<'_>, per: Option<Per>, bounds: &RuleBounds) -> Option<u8> {
    if per == Some(Per::Sensor) {
        if fields.value("resolution").is_some() {
            fields.complain("resolution", "none, for rules per sensor");
        }
        return None;
    }
    let allowed = format!(
        "a whole number from 0 to {}, the resolution of the grid",
        bounds.base_resolution
    );
    fields.optional("resolution", &allowed, |value| {
        u8::try_from(value.as_u64()?)
            .ok()
            .filter(|resolution| *resolution <= bounds.base_resolution)
    })
}

fn read_names(value: &Value) -> Option<Vec<String>> {
    let names: Vec<String> = value
        .as_array()?
        .iter()
        .map(|name| name.as_str().map(str::to_owned))
        .collect::<Option<_>>()?;
    let each_once = names
        .iter()
        .enumerate()
        .all(|(index, name)| !names.iter().take(index).any(|n| n == name));
    (names.len() <= 16 && each_once).then_some(names)
}

fn parse_window(text: &str) -> Option<Duration> {
    let seconds_per_unit: u64 = match text.chars().last()? {
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    let digits = text.get(..text.len() - 1)?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok().filter(|number| *number > 0)?;
    number.checked_mul(seconds_per_unit).map(Duration::from_secs)
}

/// A window as clients write it: `15m`, `24h` as `1d`.
fn print_window(window: Duration) -> String {
    let minutes = window.as_secs() / 60;
    match minutes {
        _ if minutes % 1_440 == 0 => format!("{}d", minutes / 1_440),
        _ if minutes % 60 == 0 => format!("{}h", minutes / 60),
        _ => format!("{minutes}m"),
    }
}

fn as_humantime<S: Serializer>(hold: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_duration(*hold))
}

#[expect(clippy::ref_option, reason = "the signature that serde calls")]
fn as_window<S: Serializer>(window: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    match window {
        Some(window) => serializer.serialize_str(&print_window(*window)),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
#[path = "rule_tests.rs"]
mod tests;
