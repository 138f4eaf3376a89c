//! What an object store may do to checkpoints: not let a node in, not answer, stop answering in the middle.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use super::proxy::Proxy;
use super::*;

/// A store that answers everything with this.
fn answering(status: &'static str, body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let mut request = [0; 8192];
            // What it asks does not matter.
            let _ = client.read(&mut request);
            let answer = format!(
                "HTTP/1.1 {status}\r\netag: \"1\"\r\ncontent-type: application/xml\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            let _ = client.write_all(answer.as_bytes());
        }
    });
    format!("http://{address}")
}

const SECRET: &str = "aVerySecretKey";

/// Settings by which a store at this address is reached.
fn settings(endpoint: &str, secret: &tempfile::NamedTempFile) -> BucketSettings {
    std::fs::write(secret.path(), SECRET).unwrap();
    BucketSettings {
        region: Some("us-east-1".to_owned()),
        endpoint: Some(endpoint.to_owned()),
        allow_http: true,
        access_key_id: Some("test".to_owned()),
        secret_access_key_file: Some(secret.path().to_owned()),
        retry_for: Duration::from_millis(200),
        ..BucketSettings::default()
    }
}

fn opening(endpoint: &str) -> String {
    let secret = tempfile::NamedTempFile::new().unwrap();
    let location = Location::parse("s3://bucket/prefix").unwrap();
    let error = Files::open(&location, &settings(endpoint, &secret)).unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(!text.contains(SECRET), "{text}");
    assert!(text.contains("s3://bucket/prefix"), "{text}");
    error.to_string()
}

fn xml(code: &str) -> &'static str {
    let text = format!(
        "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>Said by the store</Message></Error>"
    );
    Box::leak(text.into_boxed_str())
}

#[test]
fn a_store_that_does_not_let_a_node_in_is_refused_with_what_to_do() {
    for (status, code, says) in [
        ("403 Forbidden", "InvalidAccessKeyId", "AWS_ACCESS_KEY_ID"),
        ("403 Forbidden", "SignatureDoesNotMatch", "AWS_SECRET_ACCESS_KEY"),
        ("400 Bad Request", "ExpiredToken", "AWS_SESSION_TOKEN"),
        ("403 Forbidden", "RequestTimeTooSkewed", "clock"),
        ("403 Forbidden", "AccessDenied", "s3:PutObject"),
        ("404 Not Found", "NoSuchBucket", "no such bucket; make it"),
        ("301 Moved Permanently", "PermanentRedirect", "AWS_REGION"),
        ("400 Bad Request", "AuthorizationHeaderMalformed", "AWS_REGION"),
        ("501 Not Implemented", "NotImplemented", "If-None-Match"),
        (
            "400 Bad Request",
            "SomethingElse",
            "400 Bad Request SomethingElse Said by the store",
        ),
    ] {
        let error = opening(&answering(status, xml(code)));
        assert!(error.contains(says), "{code}: {error}");
    }
    let error = opening(&answering("403 Forbidden", ""));
    assert!(error.contains("s3:PutObject"), "{error}");
}

#[test]
fn a_store_that_overwrites_what_it_was_told_to_keep_is_refused() {
    let error = opening(&answering("200 OK", ""));
    assert!(
        error.contains("If-None-Match") && error.contains("a folder that all nodes see"),
        "{error}"
    );
}

#[test]
fn a_store_that_does_not_answer_and_one_without_tls_are_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = opening(&address);
    assert!(error.contains("does not answer"), "{error}");
    let secret = tempfile::NamedTempFile::new().unwrap();
    let settings = BucketSettings {
        allow_http: false,
        ..settings(&address, &secret)
    };
    let error = Files::open(&Location::parse("s3://bucket").unwrap(), &settings)
        .unwrap_err()
        .to_string();
    assert!(error.contains("allow_http"), "{error}");
}

#[test]
fn a_secret_that_cannot_be_read_is_named_by_its_file() {
    let settings = BucketSettings {
        access_key_id: Some("test".to_owned()),
        secret_access_key_file: Some("/nowhere/secret".into()),
        ..BucketSettings::default()
    };
    let error = Files::open(&Location::parse("s3://bucket").unwrap(), &settings)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("secret_access_key_file /nowhere/secret"),
        "{error}"
    );
}

/// A node behind a network that can be cut; none where no double of a store is.
fn behind_a_proxy() -> Option<(Place, Proxy, Place)> {
    let store = TestStore::shared()?;
    let double = store.double.as_ref()?;
    let proxy = Proxy::to(double.endpoint.trim_start_matches("http://"));
    let location = Location::parse(&store.new_place()).unwrap();
    let direct = Place::at(location.clone(), settings_of(store));
    let settings = BucketSettings {
        endpoint: Some(format!("http://{}", proxy.address)),
        retry_for: Duration::from_millis(100),
        ..settings_of(store)
    };
    let cut = Place::at(location, settings);
    Some((cut, proxy, direct))
}

/// Wherever in a checkpoint the network is cut, the last whole one is there, and the next one holds everything again.
#[test]
fn a_network_that_is_cut_in_the_middle_of_a_checkpoint_loses_and_doubles_nothing() {
    let Some((place, proxy, direct)) = behind_a_proxy() else {
        return;
    };
    let totals = saved(&Place::in_folder());
    let mut run = Run::start(&place).unwrap();
    run.read_to(SAVED[0]);
    run.save().unwrap();
    let (mut cuts, mut whole) = (0, SAVED[0]);
    for (turn, bytes) in [0, 500, 1_500, 3_000, 5_000, 8_000, 12_000, 20_000]
        .into_iter()
        .enumerate()
    {
        let end = SAVED[0] + 10 * (turn as i64 + 1);
        run.read_to(end);
        proxy.cut_after(bytes);
        let result = run.write();
        cuts += usize::from(result.is_err());
        assert!(result.is_ok() || proxy.is_cut(), "{result:?}");
        proxy.mend();
        let restored = Run::start(&direct).unwrap();
        // What was written although nobody heard so is as good.
        let next = restored.partition.next_offset();
        assert!(
            next == end || (result.is_err() && next == whole),
            "{next} after {result:?}"
        );
        whole = next;
        // Calls fail at once for a moment.
        wait_until(|| run.claim().is_ok());
    }
    assert!(cuts >= 3, "{cuts} of the checkpoints were cut");
    run.read_to(END);
    run.write().unwrap();
    assert_eq!(run.totals(), totals);
    let mut restored = Run::start(&direct).unwrap();
    assert_eq!(
        (restored.partition.next_offset(), restored.totals()),
        (END, totals)
    );
}

/// A claim whose answer was lost is found out to be one's own.
#[test]
fn while_the_store_is_away_nothing_is_claimed_and_afterwards_it_is() {
    let Some((place, proxy, direct)) = behind_a_proxy() else {
        return;
    };
    saved(&direct);
    let mut run = Run::start_as(&place, "other").unwrap();
    proxy.cut_after(0);
    let error = run
        .store
        .claim(&id(), run.settings, &run.layers)
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("does not answer"), "{error}");
    // Whether another has claimed it is not known: it has not.
    assert!(!run.store.is_of_another(&id()) || run.store.epoch_of(&id()).is_none());
    proxy.mend();
    wait_until(|| run.store.claim(&id(), run.settings, &run.layers).is_ok());
    let owned = Run::start_as(&direct, "other").unwrap();
    assert_eq!(owned.partition.next_offset(), END);
}

/// Looks until it is so, for at most a minute.
fn wait_until(mut is_so: impl FnMut() -> bool) {
    let began = std::time::Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_mins(1), "not within a minute");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}
