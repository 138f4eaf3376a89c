//! Exposure: the people, facilities and infrastructure that are there. Residents only, never positions of persons.

use super::LEAST_PART;

/// Persons per km² at which the logarithm begins to rise.
const FIRST_DENSITY: f64 = 100.0;
/// Persons per km² of the densest quarters: exposure 1.
const DENSEST: f64 = 200_000.0;
/// The weight of facilities that counts one half.
const HALF_FACILITIES: f64 = 5.0;
/// How much facilities, and infrastructure, add at most.
const SHARE_OF_FACILITIES: f64 = 0.5;

/// e_pop of a density in persons per km²; the logarithm, as densities span decades.
pub fn of_density(persons_per_km2: f64) -> f64 {
    ((1.0 + persons_per_km2 / FIRST_DENSITY).ln() / (1.0 + DENSEST / FIRST_DENSITY).ln()).min(1.0)
}

/// e_k of a weight of facilities or infrastructure.
pub fn of_facilities(weight: f64) -> f64 {
    weight / (weight + HALF_FACILITIES)
}

/// E of its three parts.
pub fn exposure(population: f64, facilities: f64, infrastructure: f64) -> f64 {
    let spared = (1.0 - population)
        * (1.0 - SHARE_OF_FACILITIES * facilities)
        * (1.0 - SHARE_OF_FACILITIES * infrastructure);
    (1.0 - spared).max(LEAST_PART)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_in_a_cell_counts_more_than_one_among_thousands() {
        assert_eq!(of_density(0.0), 0.0);
        assert!((of_density(200_000.0) - 1.0).abs() < 1e-12);
        assert_eq!(of_density(1e9), 1.0);
        assert!(of_density(100.0) > 0.09);
    }

    #[test]
    fn nowhere_is_nobody() {
        assert_eq!(exposure(0.0, 0.0, 0.0), 0.05);
        assert_eq!(exposure(1.0, 0.0, 0.0), 1.0);
        assert!((exposure(0.0, of_facilities(5.0), 0.0) - 0.25).abs() < 1e-12);
    }
}
