//! Which requests are let in, by their `Host` and where their page came from.

use super::*;

fn sites(address: &str, hosts: &[&str]) -> Sites {
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let origins = ["https://map.example".to_owned()];
    Sites::new(
        address.parse().unwrap(),
        &hosts,
        &origins,
        Some("https://risk.example/"),
    )
    .unwrap()
}

fn loopback() -> Sites {
    sites("127.0.0.1:8080", &[])
}

fn ask(sites: &Sites, request: &str, fields: &[(&'static str, &str)]) -> Result<(), Refused> {
    let (method, target) = request.split_once(' ').unwrap();
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    let (method, target) = (method.parse().unwrap(), target.parse().unwrap());
    sites.judge(&method, &target, Version::HTTP_11, &headers, None)
}

fn is_cross_site(result: &Result<(), Refused>) -> bool {
    matches!(result, Err(Refused::CrossSite(_)))
}

#[test]
fn only_names_of_this_machine_pass_on_loopback() {
    let local = sites("127.0.0.1:8080", &["Map.Example."]);
    for host in [
        "127.0.0.1:8080",
        "localhost",
        "[::1]:8080",
        "map.example",
        "map.example:80",
        "risk.example",
    ] {
        assert_eq!(ask(&local, "GET /", &[("host", host)]), Ok(()), "{host}");
    }
    for host in ["evil.example", "10.0.0.1", "127.0.0.1.evil.example:8080"] {
        let refused = ask(&local, "GET /", &[("host", host)]);
        assert!(matches!(refused, Err(Refused::NotThisMachine(_))), "{host}");
    }
}

#[test]
fn elsewhere_listed_names_pass_or_any_when_none_is_listed() {
    let listed = sites("0.0.0.0:8080", &["localhost", "::1", "10.0.0.7"]);
    for host in ["localhost:8080", "[::1]", "10.0.0.7:1"] {
        assert_eq!(ask(&listed, "GET /", &[("host", host)]), Ok(()), "{host}");
    }
    for host in ["evil.example", "a.localhost", "127.0.0.1"] {
        let refused = ask(&listed, "GET /", &[("host", host)]);
        assert!(matches!(refused, Err(Refused::Misdirected(_))), "{host}");
    }
    let any = sites("0.0.0.0:8080", &[]);
    assert!(any.serve_any_name());
    assert_eq!(ask(&any, "GET /", &[("host", "anything.example")]), Ok(()));
    assert!(is_cross_site(&ask(
        &any,
        "GET /",
        &[("host", "anything.example"), ("origin", "http://evil.example")]
    )));
    assert!(Sites::new("0.0.0.0:1".parse().unwrap(), &["a:80".to_owned()], &[], None).is_err());
    assert!(
        Sites::new(
            "0.0.0.0:1".parse().unwrap(),
            &[],
            &["map.example".to_owned()],
            None
        )
        .is_err()
    );
}

#[test]
fn a_host_that_is_not_one_name_is_no_host() {
    let any = sites("0.0.0.0:8080", &[]);
    for fields in [
        &[][..],
        &[("host", "")],
        &[("host", "localhost"), ("host", "localhost")],
        &[("host", "localhost@evil.example")],
        &[("host", "localhost:80/evil")],
        &[("host", "localhost:")],
        &[("host", "localhost:80:80")],
        &[("host", "b\u{fc}cher.example")],
    ] {
        let refused = ask(&any, "GET /", fields);
        assert!(
            matches!(refused, Err(Refused::BadHost(_))),
            "{fields:?} {refused:?}"
        );
    }
    let old = |target: &str| {
        any.judge(
            &Method::GET,
            &target.parse().unwrap(),
            Version::HTTP_10,
            &HeaderMap::new(),
            None,
        )
    };
    assert_eq!(old("/"), Ok(()));
    assert!(old("http://evil.example/").is_err());
}

#[test]
fn a_request_target_names_the_same_server_as_host() {
    let local = loopback();
    let host = [("host", "localhost:8080")];
    for target in ["http://localhost:8080/", "HTTP://LOCALHOST:8080/v1/sql"] {
        assert_eq!(ask(&local, &format!("GET {target}"), &host), Ok(()), "{target}");
    }
    for target in [
        "http://evil.example/",
        "http://localhost/",
        "http://localhost:8081/",
        "http://user@localhost:8080/",
        "ftp://localhost:8080/",
    ] {
        let refused = ask(&local, &format!("GET {target}"), &host);
        assert!(
            matches!(refused, Err(Refused::BadHost(_))),
            "{target} {refused:?}"
        );
    }
    assert_eq!(
        ask(&local, "GET http://localhost/", &[("host", "localhost:80")]),
        Ok(())
    );
}

#[test]
fn where_what_is_public_is_for_any_page_it_reads_and_shows_nobody() {
    let open = sites("0.0.0.0:8080", &[]).with_readers_of_any_page(true);
    let foreign = [
        ("host", "a.example"),
        ("origin", "https://news.example"),
        ("sec-fetch-site", "cross-site"),
    ];
    assert_eq!(ask(&open, "GET /v1/layers", &foreign), Ok(()));
    assert!(is_cross_site(&ask(&open, "POST /v1/rules", &foreign)));
    for credential in [("authorization", "Bearer x"), ("cookie", "a=b")] {
        let with = [&foreign[..], &[credential]].concat();
        assert!(
            is_cross_site(&ask(&open, "GET /v1/layers", &with)),
            "{credential:?}"
        );
    }
    assert!(is_cross_site(&ask(
        &sites("0.0.0.0:8080", &[]),
        "GET /v1/layers",
        &foreign
    )));
}

#[test]
fn other_origins_need_to_be_allowed() {
    for (sites, host) in [
        (loopback(), "127.0.0.1:8080"),
        (sites("0.0.0.0:8080", &["127.0.0.1"]), "127.0.0.1:8080"),
        (sites("0.0.0.0:8080", &[]), "127.0.0.1:8080"),
    ] {
        let check = |origin: &str| ask(&sites, "POST /v1/sql", &[("host", host), ("origin", origin)]);
        for origin in [
            "http://127.0.0.1:8080",
            "https://map.example",
            "https://risk.example",
            "https://127.0.0.1:8080",
        ] {
            assert_eq!(check(origin), Ok(()), "{origin}");
        }
        for origin in [
            "https://evil.example",
            "null",
            "",
            "http://127.0.0.1:9090",
            "http://127.0.0.1",
            "http://localhost:8080",
            "http://map.example",
            "https://map.example:444",
            "https://map.example.evil.example",
            "https://risk.example:8443",
            "http://risk.example",
            "file://127.0.0.1:8080",
            "http://127.0.0.1:8080/",
            "http://evil@127.0.0.1:8080",
        ] {
            assert!(is_cross_site(&check(origin)), "{origin}");
        }
    }
    let twice = [
        ("host", "127.0.0.1:8080"),
        ("origin", "https://map.example"),
        ("origin", "https://map.example"),
    ];
    assert!(is_cross_site(&ask(&loopback(), "GET /", &twice)));
}

#[test]
fn what_a_foreign_page_loads_without_an_origin_is_told_by_the_browser() {
    let local = loopback();
    let with = |request: &str, site: &str, more: &[(&'static str, &str)]| {
        let mut fields = vec![("host", "127.0.0.1:8080"), ("sec-fetch-site", site)];
        fields.extend_from_slice(more);
        ask(&local, request, &fields)
    };
    for site in ["none", "same-origin"] {
        assert_eq!(with("GET /v1/sql?sql=SELECT+1", site, &[]), Ok(()));
    }
    let image = [("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")];
    let page = [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
    let frame = [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")];
    for site in ["cross-site", "same-site", "SAME-ORIGIN", "", "none, none"] {
        assert!(
            is_cross_site(&with("GET /v1/sql?sql=SELECT+1", site, &image)),
            "{site}"
        );
        assert!(is_cross_site(&with("GET /v1/layers", site, &page)), "{site}");
        assert!(is_cross_site(&with("GET /", site, &image)), "{site}");
        assert!(is_cross_site(&with("GET /", site, &frame)), "{site}");
        assert!(is_cross_site(&with("POST /", site, &page)), "{site}");
        assert_eq!(with("GET /?x=1", site, &page), Ok(()), "{site}");
        assert_eq!(
            with("GET /v1/layers", site, &[("origin", "https://map.example")]),
            Ok(()),
            "{site}"
        );
        assert!(
            is_cross_site(&with(
                "GET /v1/layers",
                site,
                &[("origin", "http://127.0.0.1:8080")]
            )),
            "{site}"
        );
    }
    assert!(is_cross_site(&with(
        "GET /v1/layers",
        "none",
        &[("sec-fetch-site", "cross-site")]
    )));
}
