//! All layers together: O = (Σ o⁴)^¼ of the odds o = α·R/(1 − R), and R_all = O/(1 + O). It merges, is at least the
//! greatest of them, and twenty faint layers do not make a strong one.

/// Layers that are added up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AllLayers {
    fourth_powers: f64,
}

impl AllLayers {
    /// Adds a layer of this weight.
    pub fn add(&mut self, risk: f64, weight: f64) {
        self.fourth_powers += (weight * risk / (1.0 - risk)).powi(4);
    }

    /// R of all.
    pub fn risk(&self) -> f64 {
        let odds = self.fourth_powers.sqrt().sqrt();
        if odds.is_finite() {
            odds / (1.0 + odds)
        } else {
            1.0
        }
    }

    /// R of all layers, less that without the one which has this risk and weight; `others` are the rest.
    pub fn loss_without(others: Self, risk: f64, weight: f64) -> f64 {
        let mut all = others;
        all.add(risk, weight);
        all.risk() - others.risk()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn together(risks: &[f64]) -> f64 {
        let mut all = AllLayers::default();
        for risk in risks {
            all.add(*risk, 1.0);
        }
        all.risk()
    }

    #[test]
    fn twenty_faint_layers_are_not_a_strong_one_and_certainty_is_certain() {
        assert!((together(&[0.2; 20]) - 0.346).abs() < 5e-4);
        assert!((together(&[0.8, 0.8]) - 0.826).abs() < 5e-4);
        assert_eq!(together(&[1.0, 0.3]), 1.0);
        assert_eq!(together(&[]), 0.0);
        assert_eq!(together(&[0.0]), 0.0);
    }

    proptest! {
        #[test]
        fn it_is_at_least_the_greatest(risks in prop::collection::vec(0.0..=1.0_f64, 1..8)) {
            let greatest = risks.iter().copied().fold(0.0, f64::max);
            prop_assert!(together(&risks) >= greatest - 1e-12);
            prop_assert!(together(&risks) <= 1.0);
        }
    }
}
