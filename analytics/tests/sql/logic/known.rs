//! Where the two engines differ and both may, and what is refused here: each with its reason.

/// Words of refusals, and why.
const REFUSALS: [(&str, &str); 4] = [
    (
        "stand in WHERE and HAVING only",
        "IN and EXISTS of a subquery outside of a WHERE",
    ),
    ("has a subquery of its own", "a subquery before NOT IN (SELECT …)"),
    (
        "takes neither HAVING nor LIMIT",
        "IN over one aggregate with HAVING",
    ),
    (
        "Physical plan does not support logical expression",
        "a subquery that depends on the outer row in a way that no join can express",
    ),
];

/// Parts of queries that the two engines answer differently, and why.
const DIFFERENCES: [(&str, &str); 0] = [];

/// Why a query is refused here with this text, if that is known.
pub(super) fn refusal(text: &str) -> Option<&'static str> {
    REFUSALS
        .iter()
        .find(|(words, _)| text.contains(words))
        .map(|(_, reason)| *reason)
}

/// Why a query may differ, if that is known.
pub(super) fn difference(sql: &str) -> Option<&'static str> {
    DIFFERENCES
        .iter()
        .find(|(part, _)| sql.contains(part))
        .map(|(_, reason)| *reason)
}
