//! Rule sets and calendars that are part of the program.

use serde_json::Value;

use super::data::RuleSet;
use crate::hotline::calendar::Calendar;
use crate::hotline::{DocumentError, read_document};

/// A text of `fixtures/hotline/`.
#[derive(Clone, Copy, Debug)]
pub struct Shipped {
    /// Its name in configuration and rules.
    pub name: &'static str,
    text: &'static str,
}

macro_rules! shipped {
    ($folder:literal, $name:literal) => {
        Shipped {
            name: $name,
            text: include_str!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../fixtures/hotline/",
                $folder,
                "/",
                $name,
                ".toml"
            )),
        }
    };
}

/// The calendars, by name.
pub const SHIPPED_CALENDARS: [Shipped; 5] = [
    shipped!("calendars", "boston"),
    shipped!("calendars", "cn"),
    shipped!("calendars", "cn_office"),
    shipped!("calendars", "new_york"),
    shipped!("calendars", "ny_night"),
];

/// The rule sets, by name.
pub const SHIPPED_RULES: [Shipped; 4] = [
    shipped!("rules", "beijing"),
    shipped!("rules", "guangdong"),
    shipped!("rules", "shandong"),
    shipped!("rules", "shandong_complaint"),
];

impl Shipped {
    /// As `PUT` would take it.
    ///
    /// # Errors
    /// [`DocumentError`], which a test rules out.
    pub fn body(&self) -> Result<Value, DocumentError> {
        read_document(self.text)
    }
}

impl Calendar {
    /// The shipped calendar of that name.
    pub fn shipped(name: &str) -> Option<Self> {
        let shipped = SHIPPED_CALENDARS.iter().find(|shipped| shipped.name == name)?;
        Self::from_json(&shipped.body().ok()?).ok()
    }
}

impl RuleSet {
    /// The shipped rule set of that name.
    pub fn shipped(name: &str) -> Option<Self> {
        let shipped = SHIPPED_RULES.iter().find(|shipped| shipped.name == name)?;
        let has_calendar = |name: &str| SHIPPED_CALENDARS.iter().any(|calendar| calendar.name == name);
        Self::from_json(&shipped.body().ok()?, has_calendar).ok()
    }
}
