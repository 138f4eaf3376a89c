//! Rules are made, changed and deleted: as somebody sends them, or as files have them.

use std::sync::Arc;

use riskgrid_analytics::permission::{Permission, Scope};
use riskgrid_analytics::rules::{FieldProblem, InvalidRule, Rule, Seen, What};
use riskgrid_ingest::EventTime;
use serde_json::Value;

use super::{Alerting, sight_of, with_sight};
use crate::alerts::composites::check_composite;
use crate::alerts::evaluation::{QueryFailure, rows_of_query};
use crate::alerts::rule_files::FileRule;
use crate::alerts::store::{Authorship, BY_HTTP, DecisionsError, ENDED_AT_ONCE, StoredRule, random_hex};
use crate::audit::Deed;

/// How a rule stands to its layer.
enum OnItsLayer {
    /// It can fire, as far as is known.
    Fits,
    /// There is no such layer yet.
    NotKnown,
    /// The layer has not what it asks for.
    Never(InvalidRule),
}

/// A rule could not be made.
#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    /// It says something that is not allowed.
    #[error(transparent)]
    Invalid(#[from] InvalidRule),
    /// It could not be stored.
    #[error(transparent)]
    Decisions(#[from] DecisionsError),
    /// It is not its maker's to watch.
    #[error("{0}")]
    Forbidden(String),
    /// Its query could not be tried.
    #[error("the query of the rule could not be tried: {0}")]
    NotNow(String),
    /// There is none.
    #[error("there is no rule of this id; GET /v1/rules lists them")]
    NotFound,
}

/// Who makes or changes a rule, and what they see.
#[derive(Clone, Copy, Debug)]
pub struct Maker<'a> {
    /// As people know them.
    pub author: &'a str,
    /// What they see.
    pub permission: &'a Permission,
    /// For the audit.
    pub deed: &'a Deed,
}

impl Alerting {
    /// Checks a client's rule as somebody sends it: `id` is the one that it has or will have.
    ///
    /// # Errors
    /// [`RuleError::Invalid`] or [`RuleError::Forbidden`].
    pub fn check_rule(&self, id: &str, json: &Value, by: &Maker<'_>) -> Result<Rule, RuleError> {
        let mut rule = Rule::from_json(id, json, &self.bounds)?;
        // First: whether there is such a layer is not told to whom it is none of.
        if let Some(layer) = rule.layer()
            && !by.permission.admits_layer(Some(layer))
        {
            return Err(RuleError::Forbidden(format!(
                "`{layer}` is not a layer of your scope; a rule sees what its maker sees"
            )));
        }
        if let OnItsLayer::Never(problem) = self.on_its_layer(&rule) {
            return Err(problem.into());
        }
        self.check_areas(&rule)?;
        rule.seen = self.sight_of(by.permission.scope());
        Ok(rule)
    }

    fn sight_of(&self, scope: &Scope) -> Seen {
        sight_of(&self.permissions, scope)
    }

    /// Asks the query of a rule once: one that cannot be asked, or takes too long, is refused when it is made.
    async fn try_query(&self, rule: &Rule) -> Result<(), RuleError> {
        let (What::Sql(watch), Some(sight), Some(grid)) = (&rule.what, self.sight.get(), self.grid.get())
        else {
            return Ok(());
        };
        let now = EventTime::from_micros((self.clock)());
        let snapshot = grid.snapshot();
        let at = now.floor(snapshot.calendar.bucket());
        let problem = match rows_of_query(sight, &snapshot, rule, watch, at).await {
            Ok(_) => return Ok(()),
            Err(QueryFailure::Unusable {
                field,
                found,
                allowed,
            }) => FieldProblem {
                field: field.to_owned(),
                found,
                allowed,
            },
            Err(QueryFailure::TooLong(timeout)) => FieldProblem {
                field: "sql".to_owned(),
                found: format!(
                    "a query that runs longer than `timeout`, {}",
                    humantime::format_duration(timeout)
                ),
                allowed: "one that ends in that time; ask for a shorter span or fewer layers".to_owned(),
            },
            Err(QueryFailure::NotNow(message)) => return Err(RuleError::NotNow(message)),
        };
        Err(InvalidRule {
            problems: vec![problem],
        }
        .into())
    }

    /// Each area and level that a rule names must be there.
    fn check_areas(&self, rule: &Rule) -> Result<(), InvalidRule> {
        let areas = &self.decisions.places().areas;
        let mut problems = Vec::new();
        let mut named: Vec<(&str, &str)> = rule.areas.iter().map(|id| ("in", id.as_str())).collect();
        named.extend(
            rule.sets_mode
                .iter()
                .map(|sets| ("sets_mode.area", sets.area.as_str())),
        );
        for (field, id) in named {
            if areas.get(id).is_none() {
                problems.push(FieldProblem {
                    field: field.to_owned(),
                    found: format!("\"{id}\", no area"),
                    allowed: "ids of areas; GET /v1/areas lists them".to_owned(),
                });
            }
        }
        let level = match &rule.what {
            What::Threshold(threshold) => threshold.level.as_deref(),
            What::Composite(composite) => composite.level.as_deref(),
            _ => None,
        };
        if let Some(level) = level
            && !areas.areas().iter().any(|area| &*area.level == level)
        {
            let levels: std::collections::BTreeSet<&str> =
                areas.areas().iter().map(|area| &*area.level).collect();
            let levels: Vec<&str> = levels.into_iter().collect();
            let known = if levels.is_empty() {
                "none, for no areas are loaded: see [[areas]] in the configuration".to_owned()
            } else {
                levels.join(", ")
            };
            problems.push(FieldProblem {
                field: "level".to_owned(),
                found: format!("\"{level}\""),
                allowed: known,
            });
        }
        if problems.is_empty() {
            Ok(())
        } else {
            Err(InvalidRule { problems })
        }
    }

    /// Checks a client's rule, stores it as somebody's deed and hands the new set to the evaluators.
    ///
    /// # Errors
    /// Any [`RuleError`].
    pub async fn create_rule(&self, json: &Value, by: &Maker<'_>) -> Result<Rule, RuleError> {
        let rule = self.check_rule(&random_hex().map_err(RuleError::Decisions)?, json, by)?;
        self.try_query(&rule).await?;
        let _announced_in_order = self.rule_changes.lock().await;
        self.check_members(&rule)?;
        self.decisions.create_rule(&rule, &self.authorship(by)).await?;
        let rules = self
            .on_rules_changed
            .borrow()
            .iter()
            .cloned()
            .chain([rule.clone()])
            .collect();
        self.on_rules_changed.send_replace(rules);
        Ok(rule)
    }

    /// Makes the rules of files those of the store: new ones are made, changed ones changed, and those that stand in no file
    /// any more deleted. Rules that were made by requests stay.
    ///
    /// # Errors
    /// A rule that is not acceptable beside the others, or the database's.
    pub async fn take_files(&self, mut files: Vec<FileRule>) -> Result<(), RuleError> {
        let deed = Deed::of_the_system("rule.file");
        let everything = Permission::admin();
        let by = Maker {
            author: "system",
            permission: &everything,
            deed: &deed,
        };
        let _announced_in_order = self.rule_changes.lock().await;
        // Composites come after what they are made of, and go before it.
        files.sort_by_key(|file| file.json["kind"] == "composite");
        let mut stored = self.decisions.rules().await?;
        stored.sort_by_key(|stored| !matches!(stored.rule.what, What::Composite(_)));
        let is_there = |name: &str| files.iter().any(|file| file.json["name"] == name);
        for gone in stored
            .iter()
            .filter(|known| known.origin != BY_HTTP && !is_there(&known.rule.name))
        {
            let deleted = self
                .decisions
                .delete_rule(&gone.rule.id, None, &self.authorship(&by))
                .await?;
            if let Some(recorded) = deleted {
                self.announce(recorded);
            }
        }
        for file in &files {
            let name = file.json["name"].as_str().unwrap_or_default();
            let by_file = Authorship {
                origin: &file.origin,
                ..self.authorship(&by)
            };
            let known = stored.iter().find(|known| known.rule.name == name);
            let id = match known {
                Some(known) => known.rule.id.clone(),
                None => random_hex().map_err(RuleError::Decisions)?,
            };
            let rule = self.check_rule(&id, &file.json, &by)?;
            match known {
                None => self.decisions.create_rule(&rule, &by_file).await?,
                Some(known) if known.origin == BY_HTTP => {
                    return Err(DecisionsError::Conflict(format!(
                        "{}: there is a rule named \"{name}\" that was made by a request; delete it, or give this one \
                         another name",
                        file.origin
                    ))
                    .into());
                }
                Some(known) => {
                    let same = Rule {
                        version: known.rule.version,
                        seen: Seen::default(),
                        ..rule.clone()
                    };
                    if same != known.rule {
                        let ends = ends_of(&known.rule, &rule);
                        self.decisions
                            .update_rule(&rule, known.rule.version, ends, &by_file)
                            .await?;
                    }
                }
            }
        }
        let rules = self.decisions.rules().await?;
        let rules: Arc<[Rule]> = rules
            .into_iter()
            .map(|stored| with_sight(&self.permissions, stored))
            .collect();
        for rule in rules.iter() {
            let others: Vec<&Rule> = rules.iter().filter(|other| other.id != rule.id).collect();
            check_composite(rule, &others)?;
        }
        self.on_rules_changed.send_replace(rules);
        self.rule_gone.notify_one();
        Ok(())
    }

    /// Puts another version in the place of the one that its author has seen.
    ///
    /// # Errors
    /// Any [`RuleError`].
    pub async fn update_rule(
        &self,
        id: &str,
        expected: i64,
        json: &Value,
        by: &Maker<'_>,
    ) -> Result<Rule, RuleError> {
        let mut rule = self.check_rule(id, json, by)?;
        self.try_query(&rule).await?;
        let _announced_in_order = self.rule_changes.lock().await;
        let stored = self.decisions.rule(id).await?.ok_or(RuleError::NotFound)?;
        Self::may_change(&stored, by)?;
        // It sees what its maker saw, whoever changes it.
        rule.seen = self.sight_of(&stored.scope);
        if rule.name != stored.rule.name {
            self.is_free_of_composites(&stored.rule.name)?;
        }
        self.check_members(&rule)?;
        let ends = ends_of(&stored.rule, &rule);
        let version = self
            .decisions
            .update_rule(&rule, expected, ends, &self.authorship(by))
            .await?
            .ok_or(RuleError::NotFound)?;
        rule.version = version;
        let known = self.on_rules_changed.borrow().clone();
        let rules = known
            .iter()
            .map(|known| if known.id == id { &rule } else { known });
        let rules = rules.cloned().collect();
        self.on_rules_changed.send_replace(rules);
        if ends.is_some() {
            let ended = self
                .decisions
                .end_alerts_of_gone_rules(ENDED_AT_ONCE, (self.clock)())
                .await;
            self.rule_gone.notify_one();
            self.announce(ended?);
        } else if rule.severity != stored.rule.severity || rule.emergency != stored.rule.emergency {
            self.update_open(Some(id)).await?;
        }
        Ok(rule)
    }

    /// Whether somebody may change or delete a rule: it is in their scope, and no file has it.
    fn may_change(stored: &StoredRule, by: &Maker<'_>) -> Result<(), RuleError> {
        if !by.permission.admits_layer(stored.rule.layer()) {
            return Err(RuleError::NotFound);
        }
        if stored.origin != BY_HTTP {
            return Err(DecisionsError::Conflict(format!(
                "the rule is in the file {}; change it there and start riskgrid again",
                stored.origin
            ))
            .into());
        }
        Ok(())
    }

    fn is_free_of_composites(&self, name: &str) -> Result<(), DecisionsError> {
        let rules = self.on_rules_changed.borrow();
        let part_of = rules.iter().find(|rule| {
            let What::Composite(composite) = &rule.what else {
                return false;
            };
            composite.members.names().iter().any(|member| member == name)
        });
        part_of.map_or(Ok(()), |composite| {
            Err(DecisionsError::Conflict(format!(
                "the rule is a part of \"{}\", which knows it by its name; change or delete that one first",
                composite.name
            )))
        })
    }

    /// The rules that a composite is made of are there, are no part of themselves, and it is not too deep.
    fn check_members(&self, rule: &Rule) -> Result<(), InvalidRule> {
        let rules = self.on_rules_changed.borrow();
        let others: Vec<&Rule> = rules.iter().filter(|other| other.id != rule.id).collect();
        check_composite(rule, &others)
    }

    fn authorship<'a>(&self, by: &Maker<'a>) -> Authorship<'a> {
        Authorship {
            author: by.author,
            scope: by.permission.scope(),
            origin: BY_HTTP,
            now: (self.clock)(),
            deed: by.deed,
        }
    }

    /// Why a rule does nothing at present, for whoever made it; none when it does.
    pub fn warning_of(&self, rule: &Rule) -> Option<String> {
        match self.on_its_layer(rule) {
            OnItsLayer::Fits => None,
            OnItsLayer::NotKnown => Some(format!(
                "there is no layer `{}` yet: the rule is judged from the first event of that layer on. GET /v1/layers lists \
                 those that are known",
                rule.layer().unwrap_or_default()
            )),
            OnItsLayer::Never(problem) => Some(format!("the rule never fires: {problem}")),
        }
    }

    fn on_its_layer(&self, rule: &Rule) -> OnItsLayer {
        let (Some(grid), Some(layer)) = (self.grid.get(), rule.layer()) else {
            return OnItsLayer::Fits;
        };
        let snapshot = grid.snapshot();
        let layer = snapshot
            .layers
            .find(layer)
            .and_then(|index| snapshot.layers.get(index));
        match layer.map(|layer| rule.fits(layer)) {
            None => OnItsLayer::NotKnown,
            Some(Ok(())) => OnItsLayer::Fits,
            Some(Err(problem)) => OnItsLayer::Never(problem),
        }
    }

    /// Deletes a rule and ends its open alerts: the first of them before this returns, the others soon after, piece by
    /// piece, so that others can write meanwhile.
    ///
    /// # Errors
    /// Any [`RuleError`].
    pub async fn delete_rule(
        &self,
        id: &str,
        expected: Option<i64>,
        by: &Maker<'_>,
    ) -> Result<(), RuleError> {
        let _announced_in_order = self.rule_changes.lock().await;
        let stored = self.decisions.rule(id).await?.ok_or(RuleError::NotFound)?;
        Self::may_change(&stored, by)?;
        let deleted = self
            .decisions
            .delete_rule(id, expected, &self.authorship(by))
            .await;
        let is_kept = matches!(
            deleted,
            Ok(None) | Err(DecisionsError::OtherVersion { .. } | DecisionsError::Conflict(_))
        );
        if !is_kept {
            let known = self.on_rules_changed.borrow().clone();
            let rules = known.iter().filter(|rule| rule.id != id).cloned().collect();
            self.on_rules_changed.send_replace(rules);
            self.rule_gone.notify_one();
        }
        self.announce(deleted?.ok_or(RuleError::NotFound)?);
        Ok(())
    }
}

/// Why a change ends open alerts, where it does.
fn ends_of(before: &Rule, after: &Rule) -> Option<&'static str> {
    if before.enabled && !after.enabled {
        Some("rule_off")
    } else if after.is_same_watch(before) {
        None
    } else {
        Some("rule_changed")
    }
}
