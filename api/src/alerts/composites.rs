//! What composites may be made of: rules that are there, none of which is made of the composite itself, and not too deep.

use riskgrid_analytics::rules::{FieldProblem, InvalidRule, Rule, What};

/// Composites of composites: how deep.
const MOST_DEEP: usize = 3;

/// Whether a composite may be made of its members among `others`; any other rule may.
///
/// # Errors
/// What is wrong with its members.
pub(super) fn check_composite(rule: &Rule, others: &[&Rule]) -> Result<(), InvalidRule> {
    let depth = depth_of(rule, rule, others, 1);
    let problem = match depth {
        Ok(depth) if depth <= MOST_DEEP => return Ok(()),
        Ok(_) => format!("composites of composites up to {MOST_DEEP} deep"),
        Err(problem) => problem,
    };
    let field = match &rule.what {
        What::Composite(composite)
            if matches!(composite.members, riskgrid_analytics::rules::Members::Any(_)) =>
        {
            "any"
        }
        _ => "all",
    };
    let found = match &rule.what {
        What::Composite(composite) => composite.members.names().join(", "),
        _ => String::new(),
    };
    Err(InvalidRule {
        problems: vec![FieldProblem {
            field: field.to_owned(),
            found,
            allowed: problem,
        }],
    })
}

fn depth_of(top: &Rule, rule: &Rule, others: &[&Rule], depth: usize) -> Result<usize, String> {
    let What::Composite(composite) = &rule.what else {
        return Ok(depth - 1);
    };
    if depth > MOST_DEEP {
        return Ok(depth);
    }
    let mut deepest = depth;
    for name in composite.members.names() {
        if *name == top.name {
            return Err(format!("rules that are not made of \"{name}\" itself"));
        }
        let member = others.iter().find(|other| other.name == *name);
        let member =
            member.ok_or_else(|| format!("names of rules; there is no rule \"{name}\", make it first"))?;
        deepest = deepest.max(depth_of(top, member, others, depth + 1)?);
    }
    Ok(deepest)
}
