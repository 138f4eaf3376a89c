//! A day is judged of what the grid keeps, by each method, once it is over.

use riskgrid_ingest::grid::{Span, Step};
use riskgrid_ingest::{EventTime, HOUR};

use super::made::{Ingest, Made, START, engine};
use crate::risk::evaluation::{Method, scores_of_day};

#[test]
fn a_day_is_judged_by_each_method_of_what_was_before_it() {
    let mut ingest = Ingest::new(2);
    // Every half hour for two days in one place, now and then in another.
    for number in 0..96_i64 {
        for place in [0, 2] {
            if place == 0 || number % 8 == 0 {
                ingest.take(&Made {
                    layer: 1,
                    seconds: number * 1800 - 2 * 86_400,
                    place,
                    partition: place / 2,
                    reporter: (number % 20) as u8,
                });
            }
        }
    }
    let snapshot = ingest.snapshot();
    let day = snapshot
        .calendar
        .span(Step::Day, EventTime::from_micros(START - 24 * HOUR));
    let scores = scores_of_day(&mut engine(2 * HOUR).without_classes(), &snapshot, "noise", day);
    let methods: Vec<Method> = scores.iter().map(|score| score.method).collect();
    assert_eq!(methods, Method::ALL);
    let of = |method: Method| {
        &scores
            .iter()
            .find(|score| score.method == method)
            .unwrap()
            .summary
    };
    for score in &scores {
        assert_eq!(
            (score.day, score.summary.events, score.cells),
            (day.start, 54.0, 2)
        );
    }
    assert!(of(Method::Even).gain.abs() < 1e-12);
    assert!(of(Method::LongRunMean).gain > 0.1);
    assert!(of(Method::Risk).gain > 0.0);
    // Neither a layer that nobody knows nor one of sensors is forecast, nor a day before all events.
    let before = Span {
        start: day.start.plus(-240 * HOUR),
        end: day.start.plus(-216 * HOUR),
    };
    for (layer, day) in [("nothing", day), ("water", day), ("noise", before)] {
        assert!(scores_of_day(&mut engine(2 * HOUR), &snapshot, layer, day).is_empty());
    }
}
