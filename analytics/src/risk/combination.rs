//! Risk: the weighted geometric mean of believed hazard, exposure and vulnerability, R = Hg^0.5·E^0.25·V^0.25. It is 0
//! without hazard, and additive in logarithms, so that its parts can be told apart.

use super::exposure::exposure;
use super::vulnerability::vulnerability;
use super::{LEAST_PART, UNKNOWN_PART};

/// How far a hazard counts of which nobody else tells.
pub const LEAST_TRUST: f64 = 0.5;

/// g of a corroboration.
pub fn trust(corroboration: f64) -> f64 {
    LEAST_TRUST + (1.0 - LEAST_TRUST) * corroboration
}

/// R of its parts.
pub fn risk(believed_hazard: f64, exposure: f64, vulnerability: f64) -> f64 {
    believed_hazard.sqrt() * share_of_stakes(exposure, vulnerability)
}

/// E^0.25·V^0.25.
fn share_of_stakes(exposure: f64, vulnerability: f64) -> f64 {
    (exposure * vulnerability).sqrt().sqrt()
}

/// What is known of the people and things in a cell; each `None` is missing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reference {
    /// e_pop.
    pub population: Option<f64>,
    /// e_1.
    pub facilities: Option<f64>,
    /// e_2.
    pub infrastructure: Option<f64>,
    /// S.
    pub susceptibility: Option<f64>,
    /// Q.
    pub lack_of_coping: Option<f64>,
}

/// Exposure and vulnerability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stakes {
    /// E.
    pub exposure: f64,
    /// V.
    pub vulnerability: f64,
    /// S.
    pub susceptibility: f64,
    /// Q.
    pub lack_of_coping: f64,
}

impl Reference {
    /// With the usual stand-ins for what is missing.
    pub fn stakes(&self) -> Stakes {
        self.with([UNKNOWN_PART, 0.0, 0.0, UNKNOWN_PART, UNKNOWN_PART])
    }

    /// With all that is missing at its least.
    pub fn least(&self) -> Stakes {
        self.with([LEAST_PART; 5])
    }

    /// With all that is missing at its most.
    pub fn most(&self) -> Stakes {
        self.with([1.0; 5])
    }

    /// Whether nothing is missing.
    pub const fn is_whole(&self) -> bool {
        self.population.is_some()
            && self.facilities.is_some()
            && self.infrastructure.is_some()
            && self.susceptibility.is_some()
            && self.lack_of_coping.is_some()
    }

    fn with(
        &self,
        [
            population,
            facilities,
            infrastructure,
            susceptibility,
            lack_of_coping,
        ]: [f64; 5],
    ) -> Stakes {
        let susceptibility = self.susceptibility.unwrap_or(susceptibility);
        let lack_of_coping = self.lack_of_coping.unwrap_or(lack_of_coping);
        Stakes {
            exposure: exposure(
                self.population.unwrap_or(population),
                self.facilities.unwrap_or(facilities),
                self.infrastructure.unwrap_or(infrastructure),
            ),
            vulnerability: vulnerability(susceptibility, lack_of_coping),
            susceptibility,
            lack_of_coping,
        }
    }
}

/// E^0.25·V^0.25 of a cell, the same for all its layers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SharesOfStakes {
    usual: f64,
    /// With all that is missing at its least, and at its most; none where nothing is.
    bounds: Option<(f64, f64)>,
}

impl SharesOfStakes {
    /// Of what is known of a cell.
    pub fn of(reference: &Reference) -> Self {
        let share = |stakes: Stakes| share_of_stakes(stakes.exposure, stakes.vulnerability);
        Self {
            usual: share(reference.stakes()),
            bounds: (!reference.is_whole()).then(|| (share(reference.least()), share(reference.most()))),
        }
    }
}

impl Default for SharesOfStakes {
    fn default() -> Self {
        Self::of(&Reference::default())
    }
}

/// The risk of a cell and layer, and what it would be otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Risk {
    /// R.
    pub risk: f64,
    /// With all that is missing at its least.
    pub low: f64,
    /// With all that is missing at its most.
    pub high: f64,
    /// If the hazard were certain.
    pub if_true: f64,
}

impl Risk {
    /// Of a hazard, a corroboration and what is there.
    pub fn of(hazard: f64, corroboration: f64, shares: &SharesOfStakes) -> Self {
        let believed = (hazard * trust(corroboration)).sqrt();
        let now = believed * shares.usual;
        let (low, high) = shares
            .bounds
            .map_or((now, now), |(least, most)| (believed * least, believed * most));
        Self {
            risk: now,
            low,
            high,
            if_true: hazard.sqrt() * shares.usual,
        }
    }
}

/// R less what it would be with one part at its reference: how much of the risk is due to that part.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LeaveOneOut {
    /// The hazard as the cell's past has it; none without a baseline.
    pub hazard: Option<f64>,
    /// Exposure one half.
    pub exposure: f64,
    /// Vulnerability one half.
    pub vulnerability: f64,
    /// Nobody else tells of it.
    pub trust: f64,
}

impl LeaveOneOut {
    /// `as_expected` is the hazard index of a cell in which all is as expected.
    pub fn of(hazard: f64, as_expected: Option<f64>, corroboration: f64, stakes: Stakes) -> Self {
        let trust = trust(corroboration);
        let (e, v) = (stakes.exposure, stakes.vulnerability);
        let whole = risk(hazard * trust, e, v);
        Self {
            hazard: as_expected.map(|expected| whole - risk(expected * trust, e, v)),
            exposure: whole - risk(hazard * trust, UNKNOWN_PART, v),
            vulnerability: whole - risk(hazard * trust, e, UNKNOWN_PART),
            trust: whole - risk(hazard * LEAST_TRUST, e, v),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn three_halves_are_one_half_and_no_hazard_is_no_risk() {
        assert!((risk(0.5, 0.5, 0.5) - 0.5).abs() < 1e-12);
        assert_eq!(risk(0.0, 1.0, 1.0), 0.0);
        assert_eq!(risk(1.0, 1.0, 1.0), 1.0);
    }

    proptest! {
        #[test]
        fn what_is_missing_lies_between_low_and_high(
            hazard in 0.0..=1.0_f64, corroboration in 0.0..=1.0_f64,
            parts in prop::array::uniform5(prop::option::of(0.0..=1.0_f64)),
        ) {
            let [population, facilities, infrastructure, susceptibility, lack_of_coping] = parts;
            let reference = Reference { population, facilities, infrastructure, susceptibility, lack_of_coping };
            let risk = Risk::of(hazard, corroboration, &SharesOfStakes::of(&reference));
            prop_assert!(risk.low <= risk.high + 1e-12);
            prop_assert!(risk.risk <= risk.high + 1e-12);
            // Facilities that are not known count as none, so only then may it lie below.
            if facilities.is_some() && infrastructure.is_some() {
                prop_assert!(risk.low <= risk.risk + 1e-12);
            }
            prop_assert!(risk.risk <= risk.if_true + 1e-12);
            prop_assert_eq!(reference.is_whole(), parts.iter().all(Option::is_some));
        }
    }
}
