//! Which alert keeps which quiet: one that is graver, or larger, or was first. The order is total, so there is no circle. Pure.

use riskgrid_analytics::incidents::{Cover, Spot};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;

use super::silence::{Matches, Subject, known_kinds};

/// `[[alerts.inhibit]]`, as it is written.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InhibitSettings {
    /// What keeps quiet.
    pub source: Matches,
    /// What is kept quiet.
    pub target: Matches,
    /// How the two must lie: `contained`, `incident`, `area:<level>` or `anywhere`. Default `contained`.
    pub r#where: String,
}

/// How two alerts must lie for one to keep the other quiet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Where {
    /// Each place of the target is one of the source's.
    Contained,
    /// They are of one incident.
    Incident,
    /// They lie in the same area of a level.
    Area(String),
    /// Wherever they are.
    Anywhere,
}

/// A checked one.
#[derive(Clone, Debug)]
pub struct Inhibition {
    /// What keeps quiet.
    pub source: Matches,
    /// What is kept quiet.
    pub target: Matches,
    /// How they must lie.
    pub lies: Where,
}

impl InhibitSettings {
    /// Checks it; `levels` are those of the loaded areas.
    ///
    /// # Errors
    /// What cannot be, with what is allowed.
    pub fn compile(&self, levels: &std::collections::BTreeSet<&str>) -> Result<Inhibition, String> {
        if self.source == Matches::default() || self.target == Matches::default() {
            return Err(
                "`alerts.inhibit`: `source` and `target` each need one of rule, layer, kind, severity, labels".to_owned(),
            );
        }
        for kind in self.source.kind.iter().chain(&self.target.kind) {
            if !known_kinds().contains(&kind.as_str()) {
                return Err(format!(
                    "`alerts.inhibit`: `kind` has \"{kind}\"; allowed: {}",
                    known_kinds().join(", ")
                ));
            }
        }
        let lies = match self.r#where.as_str() {
            "" | "contained" => Where::Contained,
            "incident" => Where::Incident,
            "anywhere" => Where::Anywhere,
            other => match other.strip_prefix("area:") {
                Some(level) if levels.contains(level) => Where::Area(level.to_owned()),
                _ => {
                    let known: Vec<&str> = levels.iter().copied().collect();
                    return Err(format!(
                        "`alerts.inhibit`: `where` is \"{other}\"; allowed: contained, incident, anywhere, or area: and a \
                         level of the loaded areas ({})",
                        known.join(", ")
                    ));
                }
            },
        };
        Ok(Inhibition {
            source: self.source.clone(),
            target: self.target.clone(),
            lies,
        })
    }
}

/// An alert as inhibition sees it.
#[derive(Clone, Debug)]
pub struct Candidate<'a> {
    /// What it is.
    pub subject: Subject<'a>,
    /// Its id.
    pub id: &'a str,
    /// When it fired, µs.
    pub fired_at: i64,
    /// How grave it is, as a number.
    pub severity: i64,
    /// Its places.
    pub cover: &'a Cover,
    /// Of its incident.
    pub incident: Option<&'a str>,
    /// What it is gathered by.
    pub group: Option<&'a str>,
    /// Its areas, as level and id.
    pub areas: &'a [(String, String)],
    /// Its key within its rule.
    pub instance: &'a str,
    /// Names of the rules that its rule is composed of.
    pub members: &'a [String],
    /// The feed that it tells of, or whose sensor.
    pub feed: Option<&'a str>,
}

impl Candidate<'_> {
    /// The order in which alerts keep others quiet.
    fn order(&self) -> impl Ord {
        (
            Reverse(self.severity),
            Reverse(self.cover.spots().len()),
            self.fired_at,
            self.id.to_owned(),
        )
    }

    fn is_of_kind(&self, kinds: &[&str]) -> bool {
        kinds.contains(&self.subject.kind)
    }

    fn has_no_place(&self) -> bool {
        matches!(self.cover.spots(), [Spot::Rule(_)])
    }
}

/// Kinds whose alerts speak of more than one value over a limit.
const OVER_THRESHOLD: [&str; 3] = ["clusters", "burst", "risk"];
/// Kinds that can be a source without any configuration.
pub const BUILT_IN_SOURCES: [&str; 5] = ["clusters", "burst", "risk", "composite", "no_data"];

/// Whether `source` keeps `target` quiet while it is open.
pub fn inhibits(source: &Candidate<'_>, target: &Candidate<'_>, configured: &[Inhibition]) -> bool {
    source.id != target.id
        && source.order() < target.order()
        && (is_built_in(source, target) || configured.iter().any(|rule| rule.applies(source, target)))
}

fn is_built_in(source: &Candidate<'_>, target: &Candidate<'_>) -> bool {
    let contains = target.cover.is_within(source.cover);
    if source.is_of_kind(&OVER_THRESHOLD) {
        return target.is_of_kind(&["threshold"]) && source.group == target.group && contains;
    }
    if source.is_of_kind(&["composite"]) {
        let is_member = source.members.iter().any(|name| name == target.subject.rule);
        return is_member && (contains || source.has_no_place());
    }
    // A feed that is silent explains its sensors.
    source.is_of_kind(&["no_data"])
        && target.is_of_kind(&["no_data"])
        && target.feed.is_some()
        && target.feed == Some(source.instance)
}

/// A rule, by the words that an inhibition has for its source.
#[derive(Clone, Copy, Debug)]
pub struct RuleWords<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its id.
    pub id: &'a str,
    /// Its layer; empty where it watches none.
    pub layer: &'a str,
    /// Its kind.
    pub kind: &'a str,
}

impl Inhibition {
    fn applies(&self, source: &Candidate<'_>, target: &Candidate<'_>) -> bool {
        let lies = match &self.lies {
            Where::Contained => target.cover.is_within(source.cover),
            Where::Incident => target.incident.is_some() && source.incident == target.incident,
            Where::Area(level) => source
                .areas
                .iter()
                .any(|area| area.0 == *level && target.areas.contains(area)),
            Where::Anywhere => true,
        };
        lies && self.source.admits(&source.subject) && self.target.admits(&target.subject)
    }

    /// Whether alerts of a rule can be its source.
    pub fn may_begin_with(&self, rule: &RuleWords<'_>) -> bool {
        let has = |names: &[String], name: &str| names.is_empty() || names.iter().any(|known| known == name);
        let Matches {
            rule: rules,
            layer: layers,
            kind: kinds,
            ..
        } = &self.source;
        (has(rules, rule.name) || has(rules, rule.id)) && has(layers, rule.layer) && has(kinds, rule.kind)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
mod tests {
    use std::collections::BTreeSet;

    use h3o::{CellIndex, Resolution};

    use super::*;

    fn cover(cells: &[&str]) -> Cover {
        let cells: Vec<CellIndex> = cells.iter().map(|cell| cell.parse().unwrap()).collect();
        Cover::of_cells(&cells, Resolution::Seven).unwrap()
    }

    fn candidate<'a>(id: &'a str, kind: &'a str, severity: i64, cover: &'a Cover) -> Candidate<'a> {
        Candidate {
            subject: Subject {
                rule: id,
                rule_id: id,
                layer: "flooding",
                kind,
                severity: "major",
                labels: &NO_LABELS,
                cell: None,
            },
            id,
            fired_at: 0,
            severity,
            cover,
            incident: Some("inc_1"),
            group: Some("flood"),
            areas: &[],
            instance: id,
            members: &[],
            feed: None,
        }
    }

    static NO_LABELS: std::collections::BTreeMap<String, String> = std::collections::BTreeMap::new();
    const A: &str = "87411ca1bffffff";
    const B: &str = "87411ca18ffffff";

    #[test]
    fn a_burst_keeps_quiet_what_lies_in_it_and_nothing_else_or_graver() {
        let (large, small, beside) = (cover(&[A, B]), cover(&[A]), cover(&["87411ca02ffffff"]));
        let burst = candidate("burst", "burst", 3, &large);
        assert!(inhibits(&burst, &candidate("river", "threshold", 3, &small), &[]));
        assert!(!inhibits(
            &burst,
            &candidate("river", "threshold", 4, &small),
            &[]
        ));
        assert!(!inhibits(
            &burst,
            &candidate("river", "threshold", 3, &beside),
            &[]
        ));
        assert!(!inhibits(&burst, &candidate("other", "burst", 3, &small), &[]));
        let elsewhere = Candidate {
            group: Some("noise"),
            ..candidate("river", "threshold", 3, &small)
        };
        assert!(!inhibits(&burst, &elsewhere, &[]));
    }

    #[test]
    fn a_composite_keeps_its_members_quiet_and_a_silent_feed_its_sensors() {
        let (large, small, none) = (cover(&[A, B]), cover(&[A]), Cover::of_rule("composite"));
        let members = ["river".to_owned()];
        let river = candidate("river", "threshold", 3, &small);
        for of in [&large, &none] {
            let composite = Candidate {
                members: &members,
                fired_at: -1,
                ..candidate("composite", "composite", 4, of)
            };
            assert!(inhibits(&composite, &river, &[]));
            assert!(!inhibits(
                &composite,
                &candidate("other", "threshold", 3, &small),
                &[]
            ));
        }
        let silent = candidate("gauges", "no_data", 3, &none);
        let of = |feed| Candidate {
            feed,
            fired_at: 1,
            ..candidate("gauge 1", "no_data", 2, &small)
        };
        assert!(inhibits(&silent, &of(Some("gauges")), &[]));
        assert!(!inhibits(&silent, &of(Some("others")), &[]) && !inhibits(&silent, &of(None), &[]));
    }

    #[test]
    fn what_is_configured_keeps_quiet_where_it_says_and_never_in_a_circle() {
        let levels = BTreeSet::from(["district"]);
        let made = |lies: &str| {
            let severity =
                |name: &str| serde_json::from_value(serde_json::json!({ "severity": [name] })).unwrap();
            InhibitSettings {
                source: severity("major"),
                target: severity("major"),
                r#where: lies.to_owned(),
            }
            .compile(&levels)
        };
        let (a, b) = (cover(&[A]), cover(&[B]));
        let (first, second) = (
            candidate("a", "threshold", 3, &a),
            candidate("b", "threshold", 3, &b),
        );
        let both = |lies| {
            let rule = [made(lies).unwrap()];
            (inhibits(&first, &second, &rule), inhibits(&second, &first, &rule))
        };
        assert_eq!(both("anywhere"), (true, false), "the order is total");
        assert_eq!(both("incident"), (true, false));
        assert_eq!(both("contained"), (false, false));
        assert_eq!(both("area:district"), (false, false));
        let of_area = [("district".to_owned(), "nanshan".to_owned())];
        let (first, second) = (
            Candidate {
                areas: &of_area,
                ..first
            },
            Candidate {
                areas: &of_area,
                ..second
            },
        );
        assert!(inhibits(&first, &second, &[made("area:district").unwrap()]));
        assert!(made("area:village").unwrap_err().contains("district"));
        assert!(InhibitSettings::default().compile(&levels).is_err());
    }
}
