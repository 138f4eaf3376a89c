//! Rules that most plans do not need. One walk over a plan tells which of them it does, instead of one walk for each.

use std::fmt;
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;

/// A rule, and what a plan must have for it to do anything.
pub(crate) struct RareRule {
    pub(crate) rule: Arc<dyn AnalyzerRule + Send + Sync>,
    pub(crate) needed_for: Need,
}

/// What a plan, or a subquery of it, must have.
pub(crate) enum Need {
    /// Such a node.
    Node(fn(&LogicalPlan) -> bool),
    /// An expression with such a part.
    Expression(fn(&Expr) -> bool),
}

/// The rules that a plan needs, in their order.
pub(crate) struct RareRules(pub(crate) Vec<RareRule>);

impl fmt::Debug for RareRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.0.iter().map(|rare| rare.rule.name());
        f.debug_list().entries(names).finish()
    }
}

impl AnalyzerRule for RareRules {
    fn name(&self) -> &'static str {
        "rare_rules"
    }

    fn analyze(&self, mut plan: LogicalPlan, options: &ConfigOptions) -> Result<LogicalPlan> {
        let mut rules = self.0.as_slice();
        // A rule may bring what a later one looks for, so that the rest is looked for anew.
        while let Some(needed) = first_needed(rules, &plan)? {
            let (run, later) = rules.split_at(needed + 1);
            if let Some(rare) = run.last() {
                plan = rare.rule.analyze(plan, options)?;
            }
            rules = later;
        }
        Ok(plan)
    }
}

/// The place of the first rule that the plan needs.
fn first_needed(rules: &[RareRule], plan: &LogicalPlan) -> Result<Option<usize>> {
    let mut open = rules.len();
    plan.apply_with_subqueries(|node| {
        for (place, rare) in rules.iter().enumerate().take(open) {
            if matches!(rare.needed_for, Need::Node(is_such) if is_such(node)) {
                open = place;
                break;
            }
        }
        node.apply_expressions(|expr| {
            expr.apply(|part| {
                for (place, rare) in rules.iter().enumerate().take(open) {
                    if matches!(rare.needed_for, Need::Expression(is_such) if is_such(part)) {
                        open = place;
                        break;
                    }
                }
                Ok(after(open))
            })
        })?;
        Ok(after(open))
    })?;
    Ok((open < rules.len()).then_some(open))
}

/// Nothing is left to look for once the first rule is needed.
fn after(open: usize) -> TreeNodeRecursion {
    if open == 0 {
        TreeNodeRecursion::Stop
    } else {
        TreeNodeRecursion::Continue
    }
}
