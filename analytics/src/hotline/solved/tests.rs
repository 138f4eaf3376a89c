//! The numbers of the contract's examples, and the two laws against scipy's.

use super::*;

const A0: [u64; 8] = [14, 11, 17, 12, 9, 15, 13, 10];
const A1: [u64; 8] = [5, 7, 4, 6, 8, 3, 6, 5];
const C0: [u64; 8] = [210, 198, 225, 207, 190, 216, 231, 203];
const C1: [u64; 8] = [215, 190, 221, 214, 199, 208, 226, 197];
const B0: [u64; 8] = [22, 25, 19, 24, 20, 27, 23, 21];
const B1: [u64; 8] = [24, 21, 26, 23, 29, 22, 25, 20];

fn counts<'a>(before: &'a [u64], after: &'a [u64]) -> WeeklyCounts<'a> {
    WeeklyCounts { before, after }
}

fn is_near(found: f64, expected: f64) {
    assert!(
        ((found - expected) / expected).abs() < 1e-11,
        "{found} {expected}"
    );
}

#[test]
fn a_hotspot_that_was_solved() {
    let outcome = outcome(counts(&A0, &A1), counts(&B0, &B1), counts(&C0, &C1));
    is_near(outcome.ratio.theta, 0.438_252_208_454);
    is_near(outcome.ratio.nu, 15.023_297_490_5);
    is_near(outcome.ratio.t, -4.485_715_010_81);
    is_near(outcome.ratio.p, 4.339_364_222_4e-4);
    is_near(outcome.around.theta, 1.056_009_527_91);
    is_near(outcome.around.p, 0.624_937_627_321);
    is_near(outcome.wdq.unwrap(), -0.178_680_738_786);
    is_near(outcome.tne.unwrap(), 46.321_428_571_429);
    assert_eq!(outcome.verdict, Verdict::Solved);
}

#[test]
fn counts_in_bursts_are_no_proof() {
    let (before, after) = ([2, 31, 4, 25, 6, 1, 22, 10], [5, 12, 20, 3, 1, 9, 2, 4]);
    let outcome = outcome(counts(&before, &after), counts(&B0, &B1), counts(&C0, &C1));
    is_near(outcome.ratio.phi, 8.324_206_910_49);
    is_near(outcome.ratio.p, 0.245_603_274_531);
    assert_eq!(outcome.verdict, Verdict::Unclear);
}

#[test]
fn few_counts_are_judged_by_the_exact_test() {
    let (before, after) = ([3, 1, 2, 2, 1, 2, 0, 1], [0; 8]);
    let ratio = rate_ratio(&before, &after, &C0, &C1);
    is_near(ratio.theta, 0.040_239_449_266_7);
    is_near(ratio.t, -2.227_111_520_84);
    is_near(ratio.p, 0.042_841_640_284_4);
}

#[test]
fn each_verdict_has_its_numbers() {
    let verdict = |a0: &[u64], a1: &[u64], b1: &[u64]| {
        outcome(counts(a0, a1), counts(&B0, b1), counts(&C0, &C1)).verdict
    };
    assert_eq!(verdict(&[1; 8], &A1, &B1), Verdict::TooFew);
    assert_eq!(verdict(&A1, &[20; 8], &B1), Verdict::Worse);
    assert_eq!(verdict(&A0, &A1, &[60; 8]), Verdict::Moved);
    assert_eq!(verdict(&A0, &A0, &B1), Verdict::Unclear);
    let nothing = outcome(
        counts(&[0; 8], &[0; 8]),
        counts(&[0; 8], &[0; 8]),
        counts(&[0; 8], &[0; 8]),
    );
    assert_eq!(
        (nothing.verdict, nothing.wdq, nothing.tne),
        (Verdict::TooFew, None, None)
    );
    assert!(nothing.ratio.p.is_finite());
}

#[test]
fn the_laws_are_scipys() {
    let text = include_str!("../../../../fixtures/reference/hotline_p_values.csv");
    let mut rows = csv::Reader::from_reader(text.as_bytes());
    let (mut students, mut fishers) = (0, 0);
    for row in rows.records() {
        let row = row.unwrap();
        let number = |place: usize| row[place].parse::<f64>().unwrap();
        let expected = number(5);
        let found = if &row[0] == "student" {
            students += 1;
            student_p(number(1), number(2))
        } else {
            fishers += 1;
            let count = |place: usize| row[place].parse::<u64>().unwrap();
            fisher_p(count(1), count(2), count(3), count(4))
        };
        // A p so small that nobody tells it from zero is compared by its size alone.
        let near = if expected < 1e-100 {
            found < 1e-90
        } else {
            ((found - expected) / expected).abs() < 1e-9
        };
        assert!(near, "{row:?}: {found}");
    }
    assert_eq!((students, fishers), (88, 135));
}
