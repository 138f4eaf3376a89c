//! What a key may be asked to be, and what is said of what it may not.

use super::*;

fn checked(json: &str) -> Result<Draft, String> {
    let new: NewKey = serde_json::from_str(json).map_err(|error| error.to_string())?;
    new.check().map_err(|unfit| unfit.to_string())
}

fn grant(json: &str) -> Grant {
    match checked(json).unwrap().rights {
        Rights::Given(grant) => grant,
        other @ Rights::Of { .. } => panic!("{other:?}"),
    }
}

#[test]
fn what_is_not_said_is_all_for_a_year() {
    let draft = checked(r#"{"name": "map", "role": "analyst"}"#).unwrap();
    assert_eq!(draft.lifetime, Some(Duration::from_hours(365 * 24)));
    let grant = grant(r#"{"name": "map", "role": "analyst", "expires": "never"}"#);
    assert!(grant.scope.is_all() && !grant.ingest && grant.sources.is_empty() && grant.protocols.is_empty());
}

#[test]
fn a_key_that_replaces_another_has_its_rights() {
    let draft = checked(r#"{"replaces": "abc", "overlap": "1h", "expires": "never"}"#).unwrap();
    let rights = Rights::Of {
        id: "abc".to_owned(),
        overlap: Duration::from_hours(1),
    };
    assert_eq!((draft.rights, draft.lifetime), (rights, None));
}

#[test]
fn an_address_is_a_network_of_one() {
    let grant = grant(
        r#"{"name": "s", "ingest": true, "addresses": ["192.0.2.7", "10.1.2.3/8"], "sources": ["//a/"]}"#,
    );
    let addresses: Vec<_> = grant.addresses.iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["192.0.2.7/32", "10.0.0.0/8"]);
    assert_eq!(grant.role, None);
}

#[test]
fn what_cannot_be_is_told_by_its_member() {
    for (json, member) in [
        (r#"{"role": "analyst"}"#, "`name`"),
        (r#"{"name": "", "role": "analyst"}"#, "`name`"),
        (r#"{"name": "a\nb", "role": "analyst"}"#, "`name`"),
        (r#"{"name": "a"}"#, "`role`"),
        (r#"{"name": "a", "role": "root"}"#, "`role`"),
        (r#"{"name": "a", "role": "Admin"}"#, "`role`"),
        (r#"{"name": "a", "role": "admin", "areas": ["x"]}"#, "`layers`"),
        (r#"{"name": "a", "ingest": true, "layers": ["x"]}"#, "`layers`"),
        (r#"{"name": "a", "role": "analyst", "layers": [""]}"#, "`layers`"),
        (r#"{"name": "a", "role": "analyst", "layers": []}"#, "`layers`"),
        (r#"{"name": "a", "role": "analyst", "areas": []}"#, "`areas`"),
        (
            r#"{"name": "a", "role": "analyst", "sources": ["//x"]}"#,
            "`sources`",
        ),
        (
            r#"{"name": "a", "role": "analyst", "expires": "1y"}"#,
            "`expires`",
        ),
        (
            r#"{"name": "a", "role": "analyst", "expires": "99999999d"}"#,
            "`expires`",
        ),
        (
            r#"{"name": "a", "role": "analyst", "overlap": "1h"}"#,
            "`overlap`",
        ),
        (r#"{"name": "a", "role": "analyst", "replaces": "b"}"#, "`role`"),
        (
            r#"{"name": "a", "role": "analyst", "protocols": ["mqtt"]}"#,
            "`protocols`",
        ),
        (
            r#"{"name": "a", "role": "analyst", "addresses": ["10.0.0.0/33"]}"#,
            "`addresses`",
        ),
        (
            r#"{"name": "a", "ingest": true, "events_per_second": 0}"#,
            "`events_per_second`",
        ),
        (
            r#"{"name": "a", "role": "analyst", "bytes_per_second": 1}"#,
            "`bytes_per_second`",
        ),
        (r#"{"name": "a", "role": "analyst", "scope": "all"}"#, "`scope`"),
        (
            r#"{"name": "a", "role": "analyst", "duties": ["system"]}"#,
            "`duties`",
        ),
        (
            r#"{"name": "a", "ingest": true, "duties": ["operator"]}"#,
            "`duties`",
        ),
        (
            r#"{"name": "a", "role": "public", "offices": ["roads"]}"#,
            "`duties`",
        ),
        (
            r#"{"name": "a", "role": "analyst", "limits": {"rows": 0}}"#,
            "`rows`",
        ),
        (
            r#"{"name": "a", "role": "analyst", "limits": {"timeout": "soon"}}"#,
            "`timeout`",
        ),
        (
            r#"{"name": "a", "role": "analyst", "limits": {"row": 1}}"#,
            "`row`",
        ),
        (
            r#"{"name": "a", "ingest": true, "limits": {"rows": 1}}"#,
            "`limits`",
        ),
    ] {
        let error = checked(json).unwrap_err();
        assert!(error.contains(member), "{json}: {error}");
    }
}
