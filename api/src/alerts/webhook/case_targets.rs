//! Of which cases a webhook is told.

use serde::{Deserialize, Serialize};

/// Which cases a webhook is told of; what is empty is all.
/// These are members of the filter of a webhook, whose others are of alerts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CaseTargets {
    /// `case.moved`, `case.card`, `case.card_withdrawn`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<String>,
    /// Of these offices.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub offices: Vec<String>,
    /// Of these layers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<String>,
    /// Of cards: `yellow`, `red`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cards: Vec<String>,
}

/// What is told of a case, as far as filters look at it.
#[derive(Clone, Copy, Debug)]
pub struct CaseTold<'a> {
    /// `case.moved`, `case.card`, `case.card_withdrawn`.
    pub kind: &'a str,
    /// The case's layer.
    pub layer: &'a str,
    /// Whose it is.
    pub office: Option<&'a str>,
    /// Of a card.
    pub card: Option<&'a str>,
}

impl CaseTargets {
    /// Whether it is told.
    pub fn wants(&self, told: CaseTold<'_>) -> bool {
        let holds = |list: &[String], what: Option<&str>| {
            list.is_empty() || what.is_some_and(|what| list.iter().any(|one| one == what))
        };
        holds(&self.types, Some(told.kind))
            && holds(&self.offices, told.office)
            && holds(&self.layers, Some(told.layer))
            // Moves have no card, and whoever asks for some cards asks for no fewer moves.
            && (told.card.is_none() || holds(&self.cards, told.card))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_is_told_of_what_its_filter_holds() {
        let told = |kind, office, card| CaseTold {
            kind,
            layer: "noise",
            office,
            card,
        };
        let filter = |json: &str| serde_json::from_str::<CaseTargets>(json).unwrap();
        let moved = told("case.moved", Some("roads"), None);
        let red = told("case.card", Some("roads"), Some("red"));
        for (wanted, of_moves, of_cards) in [
            ("{}", true, true),
            (r#"{"types":["alert.firing"]}"#, false, false),
            (r#"{"types":["case.card"]}"#, false, true),
            (r#"{"offices":["roads"],"layers":["noise"]}"#, true, true),
            (r#"{"offices":["parks"]}"#, false, false),
            (r#"{"layers":["light"]}"#, false, false),
            (r#"{"cards":["yellow"]}"#, true, false),
        ] {
            assert_eq!(
                (filter(wanted).wants(moved), filter(wanted).wants(red)),
                (of_moves, of_cards),
                "{wanted}"
            );
        }
        assert!(!filter(r#"{"offices":["roads"]}"#).wants(told("case.moved", None, None)));
    }
}
