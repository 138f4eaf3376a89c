//! INTERSECT ALL and EXCEPT ALL: reports 12955 and 12956.

use super::{guarded, right};

const LEFT: &str = "SELECT x FROM (VALUES (1), (1), (1), (2), (NULL), (NULL)) t(x)";
const RIGHT: &str = "SELECT y FROM (VALUES (1), (1), (3), (NULL)) s(y)";

#[tokio::test]
async fn a_row_comes_as_often_as_on_both_sides_or_more_often_than_on_the_other() {
    guarded(&format!("{LEFT} INTERSECT ALL {RIGHT}"), &["1", "1", ""]).await;
    guarded(&format!("{LEFT} EXCEPT ALL {RIGHT}"), &["1", "2", ""]).await;
}

#[tokio::test]
async fn with_columns_types_and_nesting_of_all_kinds() {
    right(&[
        (&format!("{LEFT} INTERSECT {RIGHT}"), &["1", ""]),
        (&format!("{LEFT} EXCEPT {RIGHT}"), &["2"]),
        (&format!("{RIGHT} INTERSECT ALL {LEFT}"), &["1", "1", ""]),
        (&format!("{RIGHT} EXCEPT ALL {LEFT}"), &["3"]),
        (&format!("SELECT DISTINCT x FROM ({LEFT}) INTERSECT ALL {RIGHT}"), &["1", ""]),
        (&format!("SELECT DISTINCT x FROM ({LEFT}) EXCEPT ALL {RIGHT}"), &["2"]),
        (&format!("({LEFT} EXCEPT ALL {RIGHT}) EXCEPT ALL SELECT 2"), &["1", ""]),
        (&format!("({LEFT} INTERSECT ALL {RIGHT}) UNION ALL SELECT 9"), &["1", "1", "", "9"]),
        (&format!("SELECT count(*) AS n FROM ({LEFT} EXCEPT ALL {RIGHT})"), &["3"]),
        (
            "SELECT x, y FROM (VALUES (1, 'a'), (1, 'a'), (1, NULL), (2, 'b')) t(x, y) EXCEPT ALL SELECT x, y FROM (VALUES (1, 'a'), (1, NULL)) t(x, y)",
            &["1,a", "2,b"],
        ),
        (
            "SELECT x FROM (VALUES (1), (1)) t(x) INTERSECT ALL SELECT y FROM (VALUES (1.0), (2.5)) s(y)",
            &["1"],
        ),
        (
            "SELECT layer FROM cells EXCEPT ALL SELECT layer FROM cells WHERE count = 3",
            &["noise", "water"],
        ),
        (
            "SELECT layer FROM cells INTERSECT ALL SELECT layer FROM cells WHERE count = 3 OR count > 4",
            &["noise", "water"],
        ),
        (
            "SELECT layer, cell FROM cells INTERSECT ALL SELECT layer, cell FROM cells WHERE count = 4",
            &["noise,89411ca1b6fffff"],
        ),
        ("SELECT 1 AS a, 2 AS a2 EXCEPT ALL SELECT 1, 3", &["1,2"]),
    ])
    .await;
}
