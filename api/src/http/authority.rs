//! `host[:port]`, as `Host`, `Origin` and request targets have it, read strictly: what two readers could understand in two
//! ways is refused.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Longest name that DNS has.
const LONGEST_NAME: usize = 253;
const LONGEST_LABEL: usize = 63;

/// A host, in the one form that is compared.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostName {
    /// A name in lower case, without the dot that may end it.
    Name(String),
    /// An address; one of IPv4 that is written as IPv6 is the one of IPv4.
    Address(IpAddr),
}

impl HostName {
    /// Reads a host without a port; an address of IPv6 may leave its brackets out.
    ///
    /// # Errors
    /// Neither a name nor an address.
    pub fn parse(text: &str) -> Result<Self, InvalidAuthority> {
        if let Ok(address) = text.parse::<Ipv6Addr>() {
            return Ok(Self::Address(IpAddr::V6(address).to_canonical()));
        }
        match Authority::parse(text)? {
            Authority { host, port: None } => Ok(host),
            Authority { .. } => Err(InvalidAuthority("a port is not part of the name")),
        }
    }

    /// Whether it is this machine for whoever asks.
    pub fn is_loopback(&self) -> bool {
        match self {
            Self::Name(name) => name == "localhost" || name.ends_with(".localhost"),
            Self::Address(address) => address.is_loopback(),
        }
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => formatter.write_str(name),
            Self::Address(IpAddr::V6(address)) => write!(formatter, "[{address}]"),
            Self::Address(address) => address.fmt(formatter),
        }
    }
}

/// A host and perhaps a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Authority {
    /// The host.
    pub host: HostName,
    /// The port, where one is written.
    pub port: Option<u16>,
}

/// Why a text is no `host[:port]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidAuthority(&'static str);

impl Authority {
    /// Reads `host` or `host:port` and nothing else: no user, no path, no empty port, no escapes, no letters beyond ASCII.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, InvalidAuthority> {
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let Some((address, port)) = rest.split_once(']') else {
                return Err(InvalidAuthority("a bracket is not closed"));
            };
            let address: Ipv6Addr = address
                .parse()
                .map_err(|_| InvalidAuthority("what is in brackets is no address of IPv6"))?;
            (HostName::Address(IpAddr::V6(address).to_canonical()), port)
        } else {
            let end = text.find(':').unwrap_or(text.len());
            let (host, port) = text.split_at(end);
            (read_name(host)?, port)
        };
        let port = match port.strip_prefix(':') {
            Some(digits) => Some(read_port(digits)?),
            None if port.is_empty() => None,
            None => return Err(InvalidAuthority("only a port may follow the name")),
        };
        Ok(Self { host, port })
    }

    /// The port that is meant when `default` is the protocol's own.
    pub fn port_or(&self, default: u16) -> u16 {
        self.port.unwrap_or(default)
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.host.fmt(formatter)?;
        match self.port {
            Some(port) => write!(formatter, ":{port}"),
            None => Ok(()),
        }
    }
}

fn read_port(digits: &str) -> Result<u16, InvalidAuthority> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(InvalidAuthority("only a port may follow the name"));
    }
    match digits.parse() {
        Ok(0) | Err(_) => Err(InvalidAuthority("the port must be 1 to 65535")),
        Ok(port) => Ok(port),
    }
}

fn read_name(text: &str) -> Result<HostName, InvalidAuthority> {
    let name = text.strip_suffix('.').unwrap_or(text);
    if name.is_empty() {
        return Err(InvalidAuthority("the name is empty"));
    }
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= LONGEST_LABEL
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    if name.len() > LONGEST_NAME || !name.split('.').all(is_label) {
        return Err(InvalidAuthority(
            "a name has letters, digits, `_` and, inside, `-` between dots (others as `xn--…`)",
        ));
    }
    // Browsers read such names as addresses, in forms that few others read: 127.1, 0x7f000001, 2130706433.
    let last = name.rsplit('.').next().unwrap_or(name);
    let is_hexadecimal = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit())
        || last
            .strip_prefix("0x")
            .or_else(|| last.strip_prefix("0X"))
            .is_some_and(is_hexadecimal);
    if is_number {
        let address: Ipv4Addr = name.parse().map_err(|_| {
            InvalidAuthority("a name that ends in a number must be an address as in 192.0.2.1")
        })?;
        return Ok(HostName::Address(address.into()));
    }
    Ok(HostName::Name(name.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Option<String> {
        Authority::parse(text).ok().map(|authority| authority.to_string())
    }

    #[test]
    fn one_host_has_one_form() {
        for (text, form) in [
            ("localhost", "localhost"),
            ("LocalHost.:8080", "localhost:8080"),
            ("Map.Example.ORG:00443", "map.example.org:443"),
            ("127.0.0.1:1", "127.0.0.1:1"),
            ("127.0.0.1.", "127.0.0.1"),
            ("[::1]:8080", "[::1]:8080"),
            ("[0:0::0:1]", "[::1]"),
            ("[::FFFF:127.0.0.1]", "127.0.0.1"),
            ("my_service-2:65535", "my_service-2:65535"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("1a.example", "1a.example"),
        ] {
            assert_eq!(read(text).as_deref(), Some(form), "{text}");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for text in [
            "",
            ".",
            "..",
            ":",
            ":80",
            "a..b",
            ".a",
            "a:",
            "a:80:80",
            "a:+80",
            "a:-1",
            "a: 80",
            "a:80 ",
            "a:65536",
            "a:99999999999999999999",
            "a:0",
            "-a",
            "a-.b",
            "user@a",
            "user:pw@a:80",
            "a@b",
            "a/",
            "a/b",
            "a?b",
            "a#b",
            "a\\b",
            "a,b",
            "a b",
            " a",
            "a\t",
            "a\u{0}",
            "a%2eb",
            "a%00",
            "bücher.example",
            "a\u{3002}b",
            "[::1",
            "::1",
            "[::1]8080",
            "[::1]x",
            "[::1]:",
            "[::1%25lo]",
            "[::1%lo]",
            "[v1.a]",
            "[127.0.0.1]",
            "[]",
            "127.1",
            "2130706433",
            "0x7f.0.0.1",
            "0x7f000001",
            "a.0x",
            "127.0.0.01",
            "256.0.0.1",
            "1.2.3.4.5",
            "a.1",
            "http://a",
            "*",
            "*.example",
            "a*",
        ] {
            assert_eq!(read(text), None, "{text:?}");
        }
        assert_eq!(read(&"a".repeat(64)), None);
        assert_eq!(read(&"a.".repeat(127)), Some("a.".repeat(126) + "a"));
        assert_eq!(read(&"a.".repeat(128)), None);
    }

    #[test]
    fn this_machine_is_told_by_the_whole_name() {
        let is_loopback = |text: &str| HostName::parse(text).unwrap().is_loopback();
        for text in [
            "localhost",
            "LOCALHOST.",
            "console.localhost",
            "127.0.0.1",
            "127.9.9.9",
            "::1",
            "[::1]",
            "[::ffff:127.0.0.1]",
        ] {
            assert!(is_loopback(text), "{text}");
        }
        for text in [
            "evil.example",
            "127.0.0.1.evil.example",
            "10.0.0.1",
            "localhost.evil.example",
            "notlocalhost",
            "0.0.0.0",
            "[::]",
        ] {
            assert!(!is_loopback(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_and_its_form_is_read_alike(text in "\\PC{0,40}|[a-z0-9.:\\[\\]@/%-]{0,40}|[0-9.x]{0,20}(:[0-9]{0,6})?") {
            if let Ok(authority) = Authority::parse(&text) {
                prop_assert!(text.is_ascii());
                prop_assert_eq!(Authority::parse(&authority.to_string()), Ok(authority));
            }
        }
    }
}
