//! Queries and what the contract finds for them.

use proptest::prelude::*;

use super::*;

fn table() -> Gazetteer {
    let shenzhen = |district: &str, more: &[&str]| {
        let mut chain = vec!["深圳市".to_owned(), district.to_owned()];
        chain.extend(more.iter().map(|name| (*name).to_owned()));
        chain
    };
    let place = |id: &str, name: &str, chain: Vec<String>, lon, lat| Place {
        id: id.to_owned(),
        kind: PlaceKind::Address,
        names: vec![name.to_owned()],
        chain,
        postcode: None,
        lon,
        lat,
    };
    let yuehai = || shenzhen("南山区", &["粤海街道"]);
    Gazetteer::of(vec![
        place("p1", "科技园路8号", yuehai(), 113.9501, 22.5401),
        place("p2", "科技园路18号", yuehai(), 113.9511, 22.5412),
        place("p3", "科技园路", yuehai(), 113.9506, 22.5407),
        place("p4", "人民路", shenzhen("罗湖区", &[]), 114.1210, 22.5450),
        place("p5", "人民路", shenzhen("龙华区", &[]), 114.0250, 22.6600),
        place(
            "p6",
            "12 Main Street",
            vec!["Springfield".to_owned()],
            -72.5901,
            42.1015,
        ),
    ])
}

#[test]
fn queries_find_what_the_contract_says() {
    let table = table();
    for (query, quality, expected) in [
        (
            "南山区科技园路８号",
            Quality::Exact,
            &[("p1", 0.909_091), ("p3", 0.636_364)][..],
        ),
        ("科技园路八号", Quality::Exact, &[("p1", 1.0), ("p3", 0.7)]),
        (
            "科技园路",
            Quality::Exact,
            &[("p3", 1.0), ("p1", 0.85), ("p2", 0.85)],
        ),
        ("人民路", Quality::Ambiguous, &[("p4", 1.0), ("p5", 1.0)]),
        (
            "龙华区人民路",
            Quality::Exact,
            &[("p5", 0.888_889), ("p4", 0.571_429)],
        ),
        ("12 Main St.", Quality::Exact, &[("p6", 1.0)]),
        ("main street", Quality::Exact, &[("p6", 0.85)]),
        ("科技园路20号", Quality::Ambiguous, &[("p3", 0.7)]),
        ("和平路", Quality::None, &[]),
        ("", Quality::None, &[]),
    ] {
        let found = table.find(query).unwrap();
        let candidates: Vec<(&str, f64)> = found
            .candidates
            .iter()
            .map(|candidate| (candidate.place.id.as_str(), candidate.score()))
            .collect();
        assert_eq!(
            (found.quality, candidates.as_slice()),
            (quality, expected),
            "{query}"
        );
    }
    assert_eq!(table.find(&"路".repeat(257)), Err(QueryTooLong));
}

#[test]
fn numbers_are_read_as_people_write_them() {
    let number = |text: &str| super::address::Address::of(text).number;
    for (text, expected) in [
        ("科技园路十八号", "18"),
        ("科技园路一百二十号", "120"),
        ("科技园路一二〇号", "120"),
        ("科技园路008号", "8"),
        ("  12\u{a0}main", "12"),
    ] {
        assert_eq!(number(text).as_deref(), Some(expected), "{text}");
    }
    for text in ["一号", "12main", "main 12", "号", "三路"] {
        assert_eq!(number(text).is_some(), text == "一号", "{text}");
    }
    let plain = |text: &str| super::address::Address::of(text).grams;
    assert_eq!(plain("Café ＲＤ"), plain("cafe road"));
}

proptest! {
    #[test]
    fn any_query_is_answered(query in "\\PC{0,256}") {
        if let Ok(found) = table().find(&query) {
            prop_assert!(found.candidates.len() <= 6);
            prop_assert_eq!(found.quality == Quality::None, found.candidates.is_empty());
        }
    }
}
