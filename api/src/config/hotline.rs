//! `[hotline]` and `[open311]`: cases, their deadlines, and who asks by Open311.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use riskgrid_analytics::hotline::geocoder::{Gazetteer, read_places};
use serde::{Deserialize, Serialize};

use super::ConfigError;
use super::values::Span;

const DAY: u64 = 24 * 3600;
/// The largest table of places, in bytes.
const LARGEST_PLACES: u64 = 512 << 20;

/// `[hotline]`. Reports become cases where a layer says `cases = "own"` or `"mirror"`. What is marked † is an expert's setting,
/// not measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HotlineSection {
    /// The shipped rules in force until others are put to /v1/hotline/rules: `shandong`, `shandong_complaint`, `guangdong`,
    /// `beijing`. Empty: none. Default `shandong`.
    pub rules: String,
    /// The office of the hotline itself. Default `hotline`.
    pub own_office: String,
    /// The calendar by which duty tells open from closed hours and months are frozen. Default `cn`.
    pub duty_calendar: String,
    /// Which condition of the duty table is looked at first: `duty` (what a case is about) or `area`. Default `duty`.
    pub order: DutyOrder,
    /// The table of places that addresses are looked up in: CSV of `id`, `kind`, `names`, `chain`, `postcode`, `lon`, `lat`, or a
    /// JSON list of the same. Default none.
    pub places: Option<PathBuf>,
    /// Keys of rating links, `number hex` a line, for their owner alone; made at the first start. Default `rating.key` in
    /// `storage.data_dir`.
    pub rating_key_file: Option<PathBuf>,
    /// Master keys of contacts, likewise: keep it apart from backups. Default `contact.key` in `storage.data_dir`.
    pub contact_key_file: Option<PathBuf>,
    /// † How often a case is redone at most. Default 2.
    pub max_redos: u32,
    /// † How long after its closing a case may be redone or reopened. Default `30d`.
    pub redo_window: Span,
    /// † How often a caller who is not reached is called. Default 3.
    pub max_calls: u32,
    /// † How long callers are called back, as the terms of rules are written. Default `5wd`.
    pub call_back: String,
    /// † After so many returns a case goes to a fallback. Default 2.
    pub max_returns: u32,
    /// † A case is paused no longer. Default `60d`.
    pub longest_pause: Span,
    /// † Working dates after the last one until the supervision unit is told. Default 3.
    pub supervision_after: u32,
    /// † Clocks that were stopped since then tell of the risk of others. Default `180d`.
    pub risk_window: Span,
    /// † The working date of the next month at which a month is frozen. Default 10.
    pub freeze_on: u32,
    /// † How long after closing a rating link is good. Default `14d`.
    pub rating_link: Span,
    /// † How long after a case ended what people said, and whom to call, is kept. Default `180d`.
    pub erase_after: Span,
}

/// What of the duty table counts first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DutyOrder {
    /// What a case is about.
    #[default]
    Duty,
    /// Where it lies.
    Area,
}

impl Default for HotlineSection {
    fn default() -> Self {
        Self {
            rules: "shandong".to_owned(),
            own_office: "hotline".to_owned(),
            duty_calendar: "cn".to_owned(),
            order: DutyOrder::Duty,
            places: None,
            rating_key_file: None,
            contact_key_file: None,
            max_redos: 2,
            redo_window: Span::seconds(30 * DAY),
            max_calls: 3,
            call_back: "5wd".to_owned(),
            max_returns: 2,
            longest_pause: Span::seconds(60 * DAY),
            supervision_after: 3,
            risk_window: Span::seconds(180 * DAY),
            freeze_on: 10,
            rating_link: Span::seconds(14 * DAY),
            erase_after: Span::seconds(180 * DAY),
        }
    }
}

impl HotlineSection {
    /// The table of places; a relative path starts at `folder`. One of none, where there is no file.
    ///
    /// # Errors
    /// The file cannot be read, or a place of it cannot be.
    pub fn read_places(&self, folder: &Path) -> Result<Gazetteer, ConfigError> {
        let Some(path) = &self.places else {
            return Ok(Gazetteer::default());
        };
        let path = folder.join(path);
        let what = format!("`hotline.places`: {}", path.display());
        let file = File::open(&path).map_err(|error| ConfigError::of(what.as_str(), error))?;
        let mut text = String::new();
        file.take(LARGEST_PLACES + 1)
            .read_to_string(&mut text)
            .map_err(|error| ConfigError::of(what.as_str(), error))?;
        if text.len() as u64 > LARGEST_PLACES {
            return Err(ConfigError::Value(format!(
                "{what}: it has more than 512 MiB; leave out what nobody reports from"
            )));
        }
        let places = read_places(&text).map_err(|error| ConfigError::of(what, error))?;
        Ok(Gazetteer::of(places))
    }

    /// Whether its keys can be.
    ///
    /// # Errors
    /// The first that cannot.
    pub fn check(&self) -> Result<(), ConfigError> {
        let wrong = |text: String| Err(ConfigError::Value(text));
        for (key, name) in [
            ("own_office", &self.own_office),
            ("duty_calendar", &self.duty_calendar),
        ] {
            if name.is_empty() || name.len() > 128 {
                return wrong(format!("`hotline.{key}` must have 1 to 128 bytes"));
            }
        }
        for (key, number) in [
            ("max_calls", self.max_calls),
            ("supervision_after", self.supervision_after),
            ("freeze_on", self.freeze_on),
        ] {
            if !(1..=100).contains(&number) {
                return wrong(format!("`hotline.{key}` is {number}; allowed: 1 to 100"));
            }
        }
        Ok(())
    }
}

/// `[open311]`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Open311Section {
    /// Requests are listed for everybody, without a key: never texts, contacts, or places of sensitive layers. Default false.
    pub public: bool,
    /// Ids of jurisdictions; empty: requests name none. Default empty.
    pub jurisdictions: Vec<String>,
}
