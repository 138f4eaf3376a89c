//! What is kept from surface to surface is what a surface made anew from the grid has.

use proptest::prelude::*;
use riskgrid_ingest::{DAY, EventTime, HOUR, MINUTE, SECOND};

use super::made::{Ingest, Made, START, engine};
use crate::risk::surface::LayerSurface;
use crate::risk::{Conditions, Surface};

/// All numbers of a surface, to compare.
fn same(kept: &Surface, anew: &Surface) -> Result<(), TestCaseError> {
    prop_assert_eq!(kept.layers.len(), anew.layers.len());
    for (kept, anew) in kept.layers.iter().zip(&anew.layers) {
        let cells = |layer: &LayerSurface| layer.rows.iter().map(|row| row.cell).collect::<Vec<_>>();
        prop_assert_eq!(cells(kept), cells(anew));
        for (kept, anew) in kept.rows.iter().zip(&anew.rows) {
            let pairs = [
                (kept.hazard, anew.hazard),
                (kept.corroboration, anew.corroboration),
                (kept.risk.risk, anew.risk.risk),
                (kept.risk.if_true, anew.risk.if_true),
            ];
            for (kept, anew) in pairs {
                prop_assert!((kept - anew).abs() <= 1e-9, "{kept} {anew}");
            }
            if !anew.intensity.is_nan() {
                prop_assert!(
                    (kept.intensity - anew.intensity).abs() <= 1e-9 * anew.intensity.max(1e-9),
                    "{} {}",
                    kept.intensity,
                    anew.intensity
                );
            }
            prop_assert_eq!(
                (kept.sources, kept.channels, kept.is_stale),
                (anew.sources, anew.channels, anew.is_stale)
            );
        }
    }
    prop_assert_eq!(kept.all.len(), anew.all.len());
    Ok(())
}

fn made() -> impl Strategy<Value = Made> {
    (0..3_usize, 0..40_000_i64, 0..4_usize, 0..2_usize, 0..20_u8).prop_map(
        |(layer, seconds, place, partition, reporter)| Made {
            layer,
            seconds,
            place,
            partition,
            reporter,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn kept_as_events_come_it_is_what_it_is_made_anew(
        batches in prop::collection::vec((prop::collection::vec(made(), 0..25), 0..200_000_i64), 1..7),
        is_short in any::<bool>(),
    ) {
        let half_life = if is_short { 10 * MINUTE } else { 2 * HOUR };
        let (mut ingest, mut kept) = (Ingest::new(2), engine(half_life));
        // Time goes on, events come in any order, and buckets become hours, then days.
        let mut now = START;
        for (events, seconds) in batches {
            for event in &events {
                // Around now, so that some are late and some are of buckets that were sealed.
                let around = (now - START) / SECOND - 20_000 + event.seconds / 2;
                ingest.take(&Made { seconds: around, ..event.clone() });
            }
            let snapshot = ingest.snapshot();
            now += seconds * SECOND;
            let at = EventTime::from_micros(now);
            let none = Conditions::default();
            same(&kept.surface(&snapshot, at, &none), &engine(half_life).surface(&snapshot, at, &none))?;
        }
    }

    #[test]
    fn neither_the_order_of_events_nor_their_partition_matters(
        events in prop::collection::vec(made(), 1..40),
        order in any::<prop::sample::Index>(),
    ) {
        let at = EventTime::from_micros(START + 40_000 * SECOND);
        let none = Conditions::default();
        // Minutes are kept: a partition by itself makes hours of them later than all events in one.
        let (mut one, mut other) = (Ingest::keeping(2, DAY), Ingest::keeping(1, DAY));
        // None is too late: the horizon of duplicates is a day.
        for event in &events {
            one.take(event);
        }
        let mut turned = events.clone();
        turned.rotate_left(order.index(events.len()));
        for event in &turned {
            other.take(&Made { partition: 0, ..event.clone() });
        }
        let reports_only = |surface: Surface| Surface {
            layers: surface.layers.into_iter().filter(|layer| layer.layer == 1).collect(),
            ..surface
        };
        let one = reports_only(engine(2 * HOUR).surface(&one.snapshot(), at, &none));
        let other = reports_only(engine(2 * HOUR).surface(&other.snapshot(), at, &none));
        same(&one, &other)?;
    }
}
