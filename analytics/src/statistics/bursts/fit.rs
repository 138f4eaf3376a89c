//! What a cell is expected to have: its own past drawn towards that of its group, as far as cells of the group differ.

/// Sums over the past windows of a cell that count: y events at an exposure of e each.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct CellSums {
    /// Σy.
    pub(super) events: f64,
    /// Σy².
    pub(super) squares: f64,
    /// Σye.
    pub(super) products: f64,
    /// Σe.
    pub(super) exposure: f64,
    /// Σe².
    pub(super) exposure_squares: f64,
}

impl CellSums {
    /// Of windows in which nothing happened.
    pub(super) fn of_exposures<'a>(exposures: impl Iterator<Item = &'a f64>) -> Self {
        let mut sums = Self::default();
        for exposure in exposures {
            sums.exposure += exposure;
            sums.exposure_squares += exposure * exposure;
        }
        sums
    }
}

/// How the cells of a group differ, and their windows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct GroupFit {
    /// m: events at an exposure of 1.
    pub(super) mean: f64,
    /// 1/κ: how much more than by chance the windows of one cell differ.
    pub(super) inverse_kappa: f64,
    /// τ²: how much the cells differ.
    pub(super) variance: f64,
}

/// The law of a count: it has the mean exposure · rate.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Law {
    pub(super) rate: f64,
    pub(super) inverse_size: f64,
}

impl GroupFit {
    /// By moments, over the cells of the group in their order.
    pub(super) fn of<'a>(cells: &(impl Iterator<Item = &'a CellSums> + Clone)) -> Self {
        let sum = |of: &dyn Fn(&CellSums) -> f64| cells.clone().map(of).sum::<f64>();
        let (events, exposure) = (sum(&|cell| cell.events), sum(&|cell| cell.exposure));
        let number = cells.clone().count() as f64;
        if exposure <= 0.0 {
            return Self::default();
        }
        let mean = events / exposure;
        let unevenness = |cell: &CellSums| cell.exposure_squares / (cell.exposure * cell.exposure);
        let excess = sum(&|cell| {
            let rate = cell.events / cell.exposure;
            cell.squares - 2.0 * rate * cell.products + rate * rate * cell.exposure_squares
                - cell.events * (1.0 - unevenness(cell))
        });
        let by_chance = sum(&|cell| cell.events * (cell.events - 1.0) * unevenness(cell));
        let inverse_kappa = if by_chance == 0.0 {
            0.0
        } else {
            (excess / by_chance).max(0.0)
        };
        let apart = sum(&|cell| cell.exposure * (cell.events / cell.exposure - mean).powi(2));
        let variance = apart / exposure
            - mean / (exposure / number)
            - mean * mean * inverse_kappa * (sum(&unevenness) / number);
        Self {
            mean,
            inverse_kappa,
            variance: variance.max(0.0),
        }
    }

    /// That of a cell of the group.
    pub(super) fn law(&self, cell: &CellSums) -> Law {
        if self.mean <= 0.0 {
            return Law::of_nothing(cell);
        }
        if self.variance <= 0.0 {
            return Law {
                rate: self.mean,
                inverse_size: self.inverse_kappa,
            };
        }
        let (a, b) = (self.mean * self.mean / self.variance, self.mean / self.variance);
        let psi = 1.0
            + (a + cell.events) / (b + cell.exposure) * cell.exposure_squares / cell.exposure
                * self.inverse_kappa;
        let (a, b) = (a + cell.events / psi, b + cell.exposure / psi);
        Law {
            rate: a / b,
            inverse_size: 1.0 / a + self.inverse_kappa + self.inverse_kappa / a,
        }
    }
}

impl Law {
    /// Where nothing ever happened: half an event in all that time.
    pub(super) fn of_nothing(cell: &CellSums) -> Self {
        const HALF_AN_EVENT: f64 = 0.5;
        Self {
            rate: HALF_AN_EVENT / cell.exposure,
            inverse_size: 1.0 / HALF_AN_EVENT,
        }
    }
}
