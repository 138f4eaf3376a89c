//! A table of places, found by what their names have in common with a query.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use riskgrid_ingest::places::great_circle_metres;
use serde::{Deserialize, Serialize};

use super::address::Address;

/// Longest query, in characters.
pub(super) const LONGEST_QUERY: usize = 256;
/// How many candidates are listed.
const MOST: usize = 10;
const MILLION: u32 = 1_000_000;
/// The least score of a candidate, in millionths.
const LEAST: u32 = 500_000;
/// The least score of a place that is taken to be meant.
const SURE: u32 = 800_000;
/// How much better it must be than any other that is not close by.
const AHEAD: u32 = 100_000;
/// How close another one may be to be the same place.
const SAME_METRES: f64 = 50.0;

/// What a place is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlaceKind {
    /// A house.
    Address,
    /// Where streets meet.
    Crossing,
    /// Something that has a name.
    Poi,
    /// A street.
    Street,
    /// An area.
    Area,
}

/// A row of the table.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// Its name in cases.
    pub id: String,
    /// What it is.
    pub kind: PlaceKind,
    /// What it is called.
    pub names: Vec<String>,
    /// The names of the areas that it lies in.
    #[serde(default)]
    pub chain: Vec<String>,
    /// Its postal code.
    #[serde(default)]
    pub postcode: Option<String>,
    /// Degrees.
    pub lon: f64,
    /// Degrees.
    pub lat: f64,
}

/// How well a query was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Quality {
    /// The first is meant.
    Exact,
    /// Several may be, or the first may not: none is chosen.
    Ambiguous,
    /// Nothing fits.
    None,
}

/// A place that fits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate<'a> {
    /// The place.
    pub place: &'a Place,
    millionths: u32,
}

impl Candidate<'_> {
    /// 0.5 to 1, to a millionth.
    pub fn score(&self) -> f64 {
        f64::from(self.millionths) / f64::from(MILLION)
    }
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found<'a> {
    /// How well.
    pub quality: Quality,
    /// The best ten.
    pub candidates: Vec<Candidate<'a>>,
}

impl<'a> Found<'a> {
    /// The place that is meant.
    pub fn exact(&self) -> Option<&'a Place> {
        self.candidates
            .first()
            .filter(|_| self.quality == Quality::Exact)
            .map(|candidate| candidate.place)
    }
}

/// A query longer than any address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an address has at most {LONGEST_QUERY} characters")]
pub struct QueryTooLong;

struct Entry {
    place: Place,
    names: Vec<Address>,
    chain: BTreeSet<String>,
}

/// The places of a city.
#[derive(Default)]
pub struct Gazetteer {
    entries: Vec<Entry>,
    /// Which places have a gram in a name, in order.
    by_gram: HashMap<String, Vec<u32>>,
    /// Which place has an id.
    by_id: HashMap<String, u32>,
}

impl fmt::Debug for Gazetteer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places = self.entries.len();
        formatter
            .debug_struct("Gazetteer")
            .field("places", &places)
            .finish_non_exhaustive()
    }
}

impl Gazetteer {
    /// Of these places.
    pub fn of(places: Vec<Place>) -> Self {
        let mut gazetteer = Self::default();
        for place in places {
            let names: Vec<Address> = place.names.iter().map(|name| Address::of(name)).collect();
            let chain = place
                .chain
                .iter()
                .flat_map(|name| Address::of(name).grams)
                .collect();
            let number = gazetteer.entries.len() as u32;
            let grams: BTreeSet<&String> = names.iter().flat_map(|name| &name.grams).collect();
            for gram in grams {
                gazetteer.by_gram.entry(gram.clone()).or_default().push(number);
            }
            gazetteer.by_id.insert(place.id.clone(), number);
            gazetteer.entries.push(Entry { place, names, chain });
        }
        gazetteer
    }

    /// The place of an id.
    pub fn get(&self, id: &str) -> Option<&Place> {
        let number = *self.by_id.get(id)?;
        self.entries.get(number as usize).map(|entry| &entry.place)
    }

    /// How many places there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What fits a query, the best first, then by id.
    ///
    /// # Errors
    /// [`QueryTooLong`].
    pub fn find(&self, query: &str) -> Result<Found<'_>, QueryTooLong> {
        if query.chars().nth(LONGEST_QUERY).is_some() {
            return Err(QueryTooLong);
        }
        let query = Address::of(query);
        let numbers: BTreeSet<u32> = query
            .grams
            .iter()
            .filter_map(|gram| self.by_gram.get(gram))
            .flatten()
            .copied()
            .collect();
        let mut candidates: Vec<Candidate<'_>> = numbers
            .into_iter()
            .filter_map(|number| self.entries.get(number as usize))
            .map(|entry| Candidate {
                place: &entry.place,
                millionths: entry.score(&query),
            })
            .filter(|candidate| LEAST <= candidate.millionths)
            .collect();
        candidates.sort_by(|one, other| {
            let by_score = other.millionths.cmp(&one.millionths);
            by_score.then_with(|| one.place.id.cmp(&other.place.id))
        });
        let quality = quality(&candidates);
        candidates.truncate(MOST);
        Ok(Found { quality, candidates })
    }
}

fn quality(candidates: &[Candidate<'_>]) -> Quality {
    let Some((first, others)) = candidates.split_first() else {
        return Quality::None;
    };
    let at = |place: &Place| [place.lon, place.lat];
    let is_rival = |other: &Candidate<'_>| {
        first.millionths - other.millionths < AHEAD
            && SAME_METRES < great_circle_metres(at(first.place), at(other.place))
    };
    if SURE <= first.millionths && !others.iter().any(is_rival) {
        Quality::Exact
    } else {
        Quality::Ambiguous
    }
}

impl Entry {
    /// By its best name.
    fn score(&self, query: &Address) -> u32 {
        let scores = self.names.iter().map(|name| self.score_of(name, query));
        scores.max().unwrap_or(0)
    }

    fn score_of(&self, name: &Address, query: &Address) -> u32 {
        let (mut known, mut shared) = (0_u32, 0_u32);
        for gram in &query.grams {
            let is_in_name = name.grams.contains(gram);
            shared += u32::from(is_in_name);
            known += u32::from(is_in_name || self.chain.contains(gram));
        }
        if shared == 0 {
            return 0;
        }
        let of_query = f64::from(known) / query.grams.len() as f64;
        let of_name = f64::from(shared) / name.grams.len() as f64;
        let harmonic = 2.0 * of_query * of_name / (of_query + of_name);
        let numbers = match (&query.number, &name.number) {
            (one, other) if one == other => 1.0,
            (None, _) => 0.85,
            (_, None) => 0.7,
            _ => 0.3,
        };
        (harmonic * numbers * f64::from(MILLION) + 0.5).floor() as u32
    }
}
