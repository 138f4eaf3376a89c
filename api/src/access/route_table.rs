//! Every route and what it needs. What does not stand here is not there, for anybody: a route that is forgotten here is
//! noticed at its first request, and not by a stranger.

use std::fmt::Write;

use axum::http::Method;
use matchit::Router;

/// Who may do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nobody in particular: credentials are not looked at.
    Nothing,
    /// The route itself asks who it is, in the words of its standard.
    OwnWay,
    /// Any identity, also one that may only bring events.
    AnyIdentity,
    /// A role that reads; `public` too, which sees what is published.
    Reader,
    /// A role that asks in SQL: `public` only where `[access.public] sql` is on.
    Sql,
    /// `analyst` or more.
    Analyst,
    /// `operator` or more.
    Operator,
    /// `operator` of all layers and areas, or `admin`.
    OperatorOfAll,
    /// `admin`.
    Admin,
    /// `admin`, or a key that may bring events.
    Ingest,
}

/// Which of an identity's rates a request counts against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Pace {
    /// None: it costs next to nothing, or has quotas of its own.
    Free,
    /// That of questions in SQL.
    Sql,
    /// That of all else.
    Rest,
}

/// One method of one path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// As the router writes it.
    pub path: &'static str,
    /// The method.
    pub method: Verb,
    /// Who may.
    pub needs: Needs,
}

/// A method, as the table writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// GET, and HEAD with it.
    Get,
    /// GET of what is not begun for a HEAD: a query, a stream.
    GetOnly,
    /// POST.
    Post,
    /// PUT.
    Put,
    /// DELETE.
    Delete,
}

impl Verb {
    /// The methods that it takes.
    pub const fn methods(self) -> &'static [Method] {
        match self {
            Self::Get => &[Method::GET, Method::HEAD],
            Self::GetOnly => &[Method::GET],
            Self::Post => &[Method::POST],
            Self::Put => &[Method::PUT],
            Self::Delete => &[Method::DELETE],
        }
    }
}

const fn rule(method: Verb, path: &'static str, needs: Needs) -> Rule {
    Rule { path, method, needs }
}

use Needs::{Admin, Analyst, AnyIdentity, Ingest, Nothing, Operator, OperatorOfAll, OwnWay, Reader, Sql};
use Verb::{Delete, Get, GetOnly, Post, Put};

/// All routes.
pub const RULES: &[Rule] = &[
    rule(Get, "/", Nothing),
    rule(Get, "/console/{*file}", Nothing),
    rule(Get, "/healthz", Nothing),
    rule(Get, "/readyz", Nothing),
    rule(Get, "/v1/whoami", AnyIdentity),
    rule(Get, "/v1/console.json", Reader),
    rule(Get, "/v1/basemap.geojson", Reader),
    rule(Get, "/v1/areas", Reader),
    rule(Get, "/v1/areas/{area}", Reader),
    rule(Get, "/v1/layers", Reader),
    rule(Get, "/v1/layers/{layer}", Reader),
    rule(Get, "/v1/tiles/{layer}", Reader),
    rule(Get, "/v1/tiles/{layer}/{z}/{x}/{y}", Reader),
    rule(GetOnly, "/v1/stream", Reader),
    rule(Get, "/v1/alerts", Reader),
    rule(Get, "/v1/alerts/{id}", Reader),
    rule(Post, "/v1/alerts/{id}/ack", Operator),
    rule(Post, "/v1/alerts/{id}/unack", Operator),
    rule(Get, "/v1/cases", Analyst),
    rule(Post, "/v1/cases", Analyst),
    rule(Get, "/v1/cases/{id}", Analyst),
    rule(Get, "/v1/cases/{id}/moves", Analyst),
    rule(Post, "/v1/cases/{id}/moves", Analyst),
    rule(Get, "/v1/cases/{id}/clocks", Analyst),
    rule(Get, "/v1/cases/{id}/why", Analyst),
    rule(Get, "/v1/cases/{id}/duplicates", Analyst),
    rule(Get, "/v1/cases/{id}/texts", Analyst),
    rule(Post, "/v1/cases/{id}/contact/reveal", Analyst),
    rule(Post, "/v1/cases/{id}/hold", Analyst),
    rule(Get, "/r/{token}", Nothing),
    rule(Post, "/r/{token}", Nothing),
    rule(Post, "/v1/cases/{id}/rating-link", Analyst),
    rule(Get, "/v1/duty", Analyst),
    rule(Put, "/v1/duty", Analyst),
    rule(Post, "/v1/duty/preview", Analyst),
    rule(Get, "/v1/hotline/rules", Analyst),
    rule(Put, "/v1/hotline/rules", Analyst),
    rule(Get, "/v1/calendars/{id}", Analyst),
    rule(Put, "/v1/calendars/{id}", Analyst),
    rule(Get, "/v1/geocode", Analyst),
    rule(Get, "/v1/assessment/{month}", Analyst),
    rule(Get, "/v1/public/rates/{month}", Nothing),
    rule(Get, "/v1/hotspots/{alert}/outcome", Analyst),
    rule(Get, "/open311/{file}", Nothing),
    rule(Get, "/open311/v2/{*path}", OwnWay),
    rule(Post, "/open311/v2/{*path}", OwnWay),
    rule(Get, "/v1/incidents", Analyst),
    rule(Get, "/v1/incidents/{id}", Analyst),
    rule(Post, "/v1/incidents/{id}/ack", Operator),
    rule(Get, "/v1/mode", Analyst),
    rule(Put, "/v1/mode", Operator),
    rule(Get, "/v1/silences", Analyst),
    rule(Post, "/v1/silences", Operator),
    rule(Get, "/v1/silences/{id}", Analyst),
    rule(Delete, "/v1/silences/{id}", Operator),
    rule(GetOnly, "/v1/sql", Sql),
    rule(Post, "/v1/sql", Sql),
    rule(Delete, "/v1/sql/{query_id}", Sql),
    rule(Get, "/v1/rules", Analyst),
    rule(Post, "/v1/rules", Operator),
    rule(Post, "/v1/rules/backtest", Analyst),
    rule(Get, "/v1/rules/{id}", Analyst),
    rule(Put, "/v1/rules/{id}", Operator),
    rule(Delete, "/v1/rules/{id}", Operator),
    rule(Get, "/v1/rules/{id}/versions", Analyst),
    rule(Get, "/v1/webhooks", OperatorOfAll),
    rule(Post, "/v1/webhooks", Admin),
    rule(Get, "/v1/webhooks/{id}", OperatorOfAll),
    rule(Put, "/v1/webhooks/{id}", Admin),
    rule(Delete, "/v1/webhooks/{id}", Admin),
    rule(Post, "/v1/webhooks/{id}/test", OperatorOfAll),
    rule(Get, "/v1/webhooks/{id}/deliveries", OperatorOfAll),
    rule(Post, "/v1/webhooks/{id}/replay", OperatorOfAll),
    rule(
        Post,
        "/v1/webhooks/{id}/deliveries/{delivery}/replay",
        OperatorOfAll,
    ),
    rule(Get, "/v1/dead-letters", OperatorOfAll),
    rule(Post, "/v1/dead-letters/replay", OperatorOfAll),
    rule(Get, "/metrics", OperatorOfAll),
    rule(Get, "/v1/keys", Admin),
    rule(Post, "/v1/keys", Admin),
    rule(Delete, "/v1/keys/{id}", Admin),
    rule(Get, "/v1/sessions", Admin),
    rule(Delete, "/v1/sessions/{id}", Admin),
    rule(Get, "/v1/audit", Admin),
    rule(Post, "/v1/events", Ingest),
    rule(Post, "/auth/key", Nothing),
    rule(Post, "/auth/logout", Nothing),
    rule(Get, "/auth/login", Nothing),
    rule(GetOnly, "/auth/callback", Nothing),
];

/// A route that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Route {
    /// As the table writes it: it holds nothing that a client said.
    pub path: &'static str,
    /// Who may.
    pub needs: Needs,
    /// What it counts against.
    pub pace: Pace,
}

/// Why no route was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoRoute {
    /// There is no such path.
    Path,
    /// There is, with other methods: what the header `Allow` says.
    Method(String),
}

/// The table, to be looked up in.
pub(super) struct RouteTable {
    paths: Router<Vec<&'static Rule>>,
}

impl RouteTable {
    /// That of [`RULES`].
    ///
    /// # Errors
    /// Two paths of it that cannot be told apart.
    pub(super) fn new() -> Result<Self, matchit::InsertError> {
        let mut paths: Router<Vec<&'static Rule>> = Router::new();
        let mut begin = 0;
        while let Some(first) = RULES.get(begin) {
            let rules: Vec<_> = RULES.iter().filter(|rule| rule.path == first.path).collect();
            if RULES.iter().position(|rule| rule.path == first.path) == Some(begin) {
                paths.insert(first.path, rules)?;
            }
            begin += 1;
        }
        Ok(Self { paths })
    }

    /// The route of a request.
    ///
    /// # Errors
    /// There is none of this path, or none of this method.
    pub(super) fn find(&self, method: &Method, path: &str) -> Result<Route, NoRoute> {
        let rules = self.paths.at(path).map_err(|_| NoRoute::Path)?.value;
        let rule = rules
            .iter()
            .find(|rule| rule.method.methods().contains(method))
            .ok_or_else(|| NoRoute::Method(allowed(rules)))?;
        Ok(Route {
            path: rule.path,
            needs: rule.needs,
            pace: pace_of(rule),
        })
    }
}

fn pace_of(rule: &Rule) -> Pace {
    match rule.needs {
        Nothing | Ingest => Pace::Free,
        Sql if rule.method != Delete => Pace::Sql,
        _ => Pace::Rest,
    }
}

fn allowed(rules: &[&'static Rule]) -> String {
    let methods = rules.iter().flat_map(|rule| rule.method.methods());
    methods.fold(String::new(), |mut text, method| {
        let comma = if text.is_empty() { "" } else { "," };
        // Writing to a text cannot fail.
        let _ = write!(text, "{comma}{method}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_found_by_its_method_and_path_and_no_other_is() {
        let table = RouteTable::new().unwrap();
        let find = |method: Method, path: &str| table.find(&method, path);
        assert_eq!(
            find(Method::GET, "/v1/tiles/noise/3/1/2.mvt").unwrap().needs,
            Reader
        );
        assert_eq!(find(Method::HEAD, "/v1/layers").unwrap().needs, Reader);
        assert_eq!(find(Method::POST, "/v1/sql").unwrap().pace, Pace::Sql);
        assert_eq!(find(Method::POST, "/v1/events").unwrap().pace, Pace::Free);
        for path in [
            "/v1/nothing",
            "/v1/layers/",
            "/v1",
            "//v1/layers",
            "/V1/layers",
            "/v1/%6Cayers",
        ] {
            assert_eq!(find(Method::GET, path), Err(NoRoute::Path), "{path}");
        }
        for (method, path, allowed) in [
            (Method::HEAD, "/v1/sql", "GET,POST"),
            (Method::HEAD, "/v1/stream", "GET"),
            (Method::PATCH, "/v1/rules/a", "GET,HEAD,PUT,DELETE"),
        ] {
            assert_eq!(
                find(method, path),
                Err(NoRoute::Method(allowed.to_owned())),
                "{path}"
            );
        }
    }
}
