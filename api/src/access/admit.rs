//! What every request passes before its body is read and before it is routed: who asks, whether they may, and how often.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use riskgrid_analytics::permission::Role;

use super::access::{Access, Identified};
use super::caching::{AnswerOf, Answered, Immutable, say_who_may_keep};
use super::client_network::ClientNetwork;
use super::cookie::{CookiePlace, SESSION, is_of_our_page, must_be_of_our_page};
use super::credential::{Credential, is_in_query, read_authorization};
use super::identity::{ANONYMOUS, Caller, Identity};
use super::live_keys::NotLetIn;
use super::new_key::Protocol;
use super::oidc::{NotOfToken, Oidc};
use super::rates::OpenStream;
use super::route_table::{Needs, NoRoute, Pace, Route};
use super::watched::while_good;
use crate::http::ClientNames;
use crate::http::forwarded::External;
use crate::problem::Problem;

/// The one stream that lasts as long as its reader likes.
const STREAM: &str = "/v1/stream";

/// Lets a request through to its route with a [`Caller`], or answers why not.
pub(crate) async fn admit(State(access): State<Arc<Access>>, mut request: Request, next: Next) -> Response {
    let external = request.extensions().get::<External>().cloned();
    let address = external.as_ref().and_then(|external| external.client);
    if request.uri().query().is_some_and(is_in_query) {
        access.note_refusal(address, "credentials-in-url", ANONYMOUS, "");
        return Problem::credentials_in_url().into_response();
    }
    let route = match access.routes.find(request.method(), request.uri().path()) {
        Ok(route) => route,
        Err(NoRoute::Path) => {
            return Problem::not_found("there is nothing at this path; GET / is the console").into_response();
        }
        Err(NoRoute::Method(allowed)) => return wrong_method(&allowed),
    };
    if route.needs == Needs::Nothing {
        let mut answer = next.run(request).await;
        let answered = Answered {
            is_good: true,
            is_immutable: false,
        };
        say_who_may_keep(answer.headers_mut(), AnswerOf::OpenMode, route.path, answered);
        return answer;
    }
    let origin = external.as_ref().map_or("", External::origin);
    let asks = Asks {
        access: &access,
        headers: request.headers(),
        method: request.method(),
        path: request.uri().path(),
        origin,
        names: request.extensions().get(),
        address,
    };
    let identified = match asks.identify().await {
        Ok(identified) => identified,
        Err(refused) if route.needs == Needs::OwnWay => {
            let without = if refused.brought_none {
                AskedWithout::Credential
            } else {
                access.note_refusal(address, refused.kind, &refused.who, route.path);
                AskedWithout::GoodCredential(refused.problem.detail().to_owned())
            };
            request.extensions_mut().insert(without);
            let mut answer = next.run(request).await;
            let status = answer.status();
            let answered = Answered {
                is_good: status.is_success() || status == StatusCode::NOT_MODIFIED,
                is_immutable: false,
            };
            say_who_may_keep(answer.headers_mut(), AnswerOf::Anonymous, route.path, answered);
            return answer;
        }
        Err(refused) => return refused.answer(&access, address, route),
    };
    let Identified { identity, stay } = identified;
    if let Err(refused) = may(&access, &identity, route) {
        return refused.answer(&access, address, route);
    }
    let stream = match pace(&access, &identity, address, route) {
        Ok(stream) => stream,
        Err(refused) => return refused.answer(&access, address, route),
    };
    let caller = Caller { identity, address };
    if !access.is_open() {
        access.note_sign_in(&caller);
    }
    let of = match (access.is_open(), caller.identity.who == ANONYMOUS) {
        (true, _) => AnswerOf::OpenMode,
        (false, true) => AnswerOf::Anonymous,
        (false, false) => AnswerOf::Identity,
    };
    request.extensions_mut().insert(caller);
    let mut answer = while_good(access, stay, stream, next.run(request)).await;
    let status = answer.status();
    let answered = Answered {
        is_good: status.is_success() || status == StatusCode::NOT_MODIFIED,
        is_immutable: answer.extensions().get::<Immutable>().is_some(),
    };
    say_who_may_keep(answer.headers_mut(), of, route.path, answered);
    answer
}

fn wrong_method(allowed: &str) -> Response {
    let problem = Problem::method_not_allowed("this path takes another method; the header Allow lists them");
    let mut answer = problem.into_response();
    if let Ok(allowed) = HeaderValue::from_str(allowed) {
        answer.headers_mut().insert(header::ALLOW, allowed);
    }
    answer
}

/// A request of a route that asks by itself who it is, without that being known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AskedWithout {
    /// It brought no credential.
    Credential,
    /// It brought one that lets nobody in: why.
    GoodCredential(String),
}

/// Why a request is answered here.
struct Refused {
    /// No credential came.
    brought_none: bool,
    kind: &'static str,
    /// Whether it is for the audit, too.
    is_told: bool,
    who: String,
    problem: Problem,
}

impl Refused {
    fn of_nobody(kind: &'static str, problem: Problem) -> Self {
        Self {
            brought_none: false,
            kind,
            is_told: true,
            who: ANONYMOUS.to_owned(),
            problem,
        }
    }

    fn without_credential(problem: Problem) -> Self {
        Self {
            brought_none: true,
            ..Self::of_nobody("unauthenticated", problem)
        }
    }

    fn answer(self, access: &Access, address: Option<IpAddr>, route: Route) -> Response {
        if self.is_told {
            access.note_refusal(address, self.kind, &self.who, route.path);
        } else {
            access.count_refusal(self.kind);
        }
        let mut answer = self.problem.into_response();
        answer
            .headers_mut()
            .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        answer
    }
}

/// A request, as far as it says who asks.
struct Asks<'a> {
    access: &'a Arc<Access>,
    headers: &'a HeaderMap,
    method: &'a Method,
    path: &'a str,
    origin: &'a str,
    names: Option<&'a ClientNames>,
    address: Option<IpAddr>,
}

impl Asks<'_> {
    /// In this order, and a wrong credential is never as if it were none.
    async fn identify(&self) -> Result<Identified, Refused> {
        let access = self.access;
        if let Some(everybody) = access.everybody() {
            return Ok(everybody);
        }
        if let Some(credential) = read_authorization(self.headers) {
            return self.by_authorization(credential).await;
        }
        if let Some(cookie) = CookiePlace::of(self.origin).read(SESSION, self.headers) {
            return self.by_cookie(cookie).await;
        }
        if let Some(names) = self.names
            && access.knows_certificates()
        {
            return self.by_certificate(names).await;
        }
        access.anonymous().await.ok_or_else(|| {
            let problem = Problem::unauthenticated("this needs a key; send it as Authorization: Bearer KEY");
            // For the page on which one signs in.
            let by_issuer = access.oidc().is_some_and(Oidc::signs_browsers_in);
            let ways: &[&str] = if by_issuer { &["key", "issuer"] } else { &["key"] };
            Refused::without_credential(problem.with("sign_in", ways))
        })
    }

    async fn by_authorization(&self, credential: Credential) -> Result<Identified, Refused> {
        let access = self.access;
        let key = match credential {
            Credential::Key(key) => key,
            Credential::Token(token) => return self.by_token(&token).await,
            Credential::Wrong => return Err(self.wrong()),
        };
        match access
            .keys
            .check(&key, Protocol::Http, self.address, access.now())
        {
            Ok(key) => Ok(access.of_key(&key).await),
            Err(NotLetIn::Unknown) => Err(self.wrong()),
            Err(why) => {
                let what = if why == NotLetIn::Address {
                    "from this address; use it from one of its `addresses`, or make a key for this one"
                } else {
                    "over HTTP; use it by one of its `protocols`, or make a key for this one"
                };
                Err(Refused {
                    brought_none: false,
                    kind: "forbidden",
                    is_told: true,
                    who: format!("key:{}", key.id()),
                    problem: Problem::forbidden(format!("this key may not be used {what}")),
                })
            }
        }
    }

    async fn by_token(&self, token: &str) -> Result<Identified, Refused> {
        let access = self.access;
        let Some(oidc) = access.oidc() else {
            return Err(self.wrong());
        };
        match oidc.judge(token, access.now()).await {
            Ok(of) => Ok(access.of_token(&of).await),
            Err(NotOfToken::Wrong) => Err(self.wrong()),
            Err(NotOfToken::NoRole { who }) => Err(Refused {
                brought_none: false,
                kind: "no-role",
                is_told: true,
                problem: Problem::no_role(format!(
                    "{who} is known, but no entry of access.oidc.map is for a role of it; ask an admin for one"
                )),
                who,
            }),
            Err(NotOfToken::NoAnswer(why)) => Err(Refused {
                brought_none: false,
                kind: "identity-provider",
                is_told: false,
                who: ANONYMOUS.to_owned(),
                problem: Problem::identity_provider(why.to_string(), 30),
            }),
        }
    }

    async fn by_cookie(&self, cookie: &str) -> Result<Identified, Refused> {
        let (access, now) = (self.access, self.access.now());
        let session = access.sessions.find(cookie, now);
        let identified = match &session {
            Some(session) => access.of_session(session, now).await,
            None => None,
        };
        let Some(identified) = identified else {
            return Err(self.wrong());
        };
        if must_be_of_our_page(self.method, self.path) && !is_of_our_page(self.headers, self.origin) {
            return Err(Refused {
                brought_none: false,
                kind: "cross-site",
                is_told: true,
                who: identified.identity.who.clone(),
                problem: Problem::cross_site(
                    "only pages of this server may do this with the cookie of a signed-in browser; a program sends a key as \
                     Authorization: Bearer KEY",
                ),
            });
        }
        Ok(identified)
    }

    async fn by_certificate(&self, names: &ClientNames) -> Result<Identified, Refused> {
        self.access.of_certificate(&names.0).await.ok_or_else(|| {
            let shown = names.0.join(", ");
            Refused {
                brought_none: false,
                kind: "no-role",
                is_told: true,
                who: format!("cert:{shown}"),
                problem: Problem::no_role(format!(
                    "the certificate is good, but no entry of access.certificates has a name of it ({shown}); add one"
                )),
            }
        })
    }

    fn wrong(&self) -> Refused {
        wrong_credential(self.access, self.address)
    }
}

/// A credential was wrong, unknown or expired: nobody is told which, and after too many nothing is looked at for a while.
fn wrong_credential(access: &Access, address: Option<IpAddr>) -> Refused {
    match access.failures.add(ClientNetwork::of(address)) {
        Ok(()) => Refused::of_nobody(
            "unauthenticated",
            Problem::unauthenticated(
                "this credential is not good, or not any more; send a key that is as Authorization: Bearer KEY",
            ),
        ),
        Err(seconds) => Refused::of_nobody("too-many-failures", Problem::too_many_failures(seconds)),
    }
}

impl Access {
    /// Whom a key lets in that came in a form.
    ///
    /// # Errors
    /// It lets nobody in.
    pub(crate) async fn caller_of_key(
        self: &Arc<Self>,
        key: &str,
        address: Option<IpAddr>,
    ) -> Result<Caller, Problem> {
        let live = super::key::Key::parse(key)
            .and_then(|key| self.keys.check(&key, Protocol::Http, address, self.now()).ok());
        let Some(live) = live else {
            let refused = wrong_credential(self, address);
            self.note_refusal(address, refused.kind, ANONYMOUS, "api_key");
            return Err(refused.problem);
        };
        let identity = self.of_key(&live).await.identity;
        Ok(Caller { identity, address })
    }
}

/// The answer to a wrong credential that came by another way than a header.
pub(super) fn refuse_credential(access: &Access, address: Option<IpAddr>, route: &'static str) -> Problem {
    let refused = wrong_credential(access, address);
    access.note_refusal(address, refused.kind, ANONYMOUS, route);
    refused.problem
}

/// Whether an identity has what a route needs.
fn may(access: &Access, identity: &Identity, route: Route) -> Result<(), Refused> {
    let role = identity.role();
    let at_least = |least: Role| role.is_some_and(|role| role >= least);
    let sees_all = || {
        identity
            .permission
            .as_ref()
            .is_some_and(|permission| permission.is_whole())
    };
    let (is_allowed, wanted) = match route.needs {
        Needs::Nothing | Needs::OwnWay | Needs::AnyIdentity => (true, ""),
        Needs::Sql if role == Some(Role::Public) => (
            access.public_asks_sql(),
            "the role analyst, operator or admin: access.public.sql is off",
        ),
        Needs::Reader | Needs::Sql => (role.is_some(), "a role that reads; this key only brings events"),
        Needs::Analyst => (at_least(Role::Analyst), "the role analyst, operator or admin"),
        Needs::Operator => (at_least(Role::Operator), "the role operator or admin"),
        Needs::OperatorOfAll => (
            at_least(Role::Admin) || at_least(Role::Operator) && sees_all(),
            "the role operator for all layers and areas, or admin",
        ),
        Needs::Admin => (at_least(Role::Admin), "the role admin"),
        Needs::Ingest => (identity.ingest.is_some(), "the right `ingest`, or the role admin"),
    };
    if is_allowed {
        return Ok(());
    }
    if identity.who == ANONYMOUS {
        let detail = format!("this needs {wanted}; send a key as Authorization: Bearer KEY");
        return Err(Refused::of_nobody(
            "unauthenticated",
            Problem::unauthenticated(detail),
        ));
    }
    Err(Refused {
        brought_none: false,
        kind: "forbidden",
        is_told: true,
        who: identity.who.clone(),
        problem: Problem::forbidden(format!("this needs {wanted}; GET /v1/whoami says what you have")),
    })
}

/// Counts the request against what its identity may ask for.
fn pace(
    access: &Access,
    identity: &Identity,
    address: Option<IpAddr>,
    route: Route,
) -> Result<Option<OpenStream>, Refused> {
    let (false, Some(role)) = (access.is_open(), identity.role()) else {
        return Ok(None);
    };
    let name = if identity.who == ANONYMOUS {
        format!("{ANONYMOUS} {}", ClientNetwork::of(address))
    } else {
        identity.who.clone()
    };
    let own = (role, identity.limits.of_requests());
    let too_many = |problem| Refused {
        brought_none: false,
        kind: "too-many-requests",
        is_told: false,
        who: identity.who.clone(),
        problem,
    };
    access
        .rates
        .ask(&name, own, route.pace, Instant::now())
        .map_err(|seconds| {
            let what = if route.pace == Pace::Sql { "questions in SQL" } else { "requests" };
            too_many(Problem::too_many_requests(
                format!("{what} of this identity come faster than its role may ask; ask again later, and less often"),
                seconds,
            ))
        })?;
    if route.path != STREAM {
        return Ok(None);
    }
    let stream = access.rates.stream(&name, own).ok_or_else(|| {
        let detail =
            "this identity has as many streams open as its role may; close one, or share one between pages";
        too_many(Problem::too_many_requests(detail, 5))
    });
    stream.map(Some)
}
