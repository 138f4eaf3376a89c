//! Links by which a caller says whether it is solved: a token that nobody can make up, spent once, of one round of one case.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use riskgrid_analytics::hotline::moves::{Duty, Move, State};
use serde_json::{Value, json};

use super::Desk;
use super::body::MoveBody;
use super::moving::Asked;
use super::work::{Actor, Work};
use crate::digest::{hex, sha256};
use crate::hotline::key_lines::KeyLines;
use crate::hotline::store::{CaseRow, StoreError, case, raw_case_id};
use crate::problem::{Kind, Problem};

/// What the code is made of, before the body.
const PURPOSE: &[u8] = b"riskgrid-rate-v1";
const BODY: usize = 35;
const CODE: usize = 16;

/// What a token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Told {
    key: u8,
    case: [u8; 16],
    round: u16,
    /// Seconds.
    expires: u64,
    nonce: [u8; 8],
}

impl Told {
    fn body(&self) -> [u8; BODY] {
        let mut body = [0; BODY];
        body[0] = self.key;
        body[1..17].copy_from_slice(&self.case);
        body[17..19].copy_from_slice(&self.round.to_be_bytes());
        body[19..27].copy_from_slice(&self.expires.to_be_bytes());
        body[27..].copy_from_slice(&self.nonce);
        body
    }

    fn token(&self, secret: &[u8; 32]) -> String {
        let body = self.body();
        let code = code_of(secret, &body);
        let bytes = [&body[..], code.as_ref().get(..CODE).unwrap_or_default()].concat();
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a token that one of the keys made.
    fn read(token: &str, keys: &KeyLines) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (body, code) = bytes
            .split_at_checked(BODY)
            .filter(|(_, code)| code.len() == CODE)?;
        let body: [u8; BODY] = body.try_into().ok()?;
        let secret = keys.get(body[0])?;
        let right = code_of(secret, &body);
        // In the same time, wherever they differ.
        let is_right = subtle::ConstantTimeEq::ct_eq(right.as_ref().get(..CODE)?, code);
        bool::from(is_right).then(|| {
            let (mut case, mut nonce, mut round, mut expires) = ([0; 16], [0; 8], [0; 2], [0; 8]);
            case.copy_from_slice(&body[1..17]);
            round.copy_from_slice(&body[17..19]);
            expires.copy_from_slice(&body[19..27]);
            nonce.copy_from_slice(&body[27..]);
            Self {
                key: body[0],
                case,
                round: u16::from_be_bytes(round),
                expires: u64::from_be_bytes(expires),
                nonce,
            }
        })
    }
}

fn code_of(secret: &[u8; 32], body: &[u8]) -> hmac::Tag {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    hmac::sign(&key, &[PURPOSE, body].concat())
}

struct LinkRow {
    case_id: String,
    used_at: Option<i64>,
}

crate::database::read_from_row!(LinkRow { case_id, used_at });

impl Work<'_> {
    /// A link for the round that was closed.
    pub(super) async fn new_rating_link(&mut self, case: &CaseRow) -> Result<Option<String>, Problem> {
        let (number, secret) = self.desk.rating_keys.newest();
        let closed_at = case.closed_at.unwrap_or(self.now);
        let expires_at = closed_at.saturating_add(self.desk.settings.rating_link);
        let mut nonce = [0; 8];
        getrandom::fill(&mut nonce).map_err(StoreError::from)?;
        let told = Told {
            key: number,
            case: raw_case_id(&case.source, &case.report),
            round: u16::try_from(case.round).unwrap_or(u16::MAX),
            expires: expires_at.div_euclid(1_000_000).unsigned_abs(),
            nonce,
        };
        let token = told.token(secret);
        sqlx::query("INSERT INTO rating_links (digest, case_id, round, expires_at) VALUES ($1, $2, $3, $4)")
            .bind(hex(&sha256(token.as_bytes())))
            .bind(&case.id)
            .bind(case.round)
            .bind(expires_at)
            .execute(self.connection())
            .await
            .map_err(StoreError::from)?;
        Ok(Some(token))
    }

    /// The case of a token that can be spent.
    async fn case_of_token(&mut self, token: &str) -> Result<CaseRow, Problem> {
        let unknown = || Problem::not_found("there is no such link; ask the hotline for another");
        let told = Told::read(token, &self.desk.rating_keys).ok_or_else(unknown)?;
        let link: Option<LinkRow> =
            sqlx::query_as("SELECT case_id, used_at FROM rating_links WHERE digest = $1")
                .bind(hex(&sha256(token.as_bytes())))
                .fetch_optional(self.connection())
                .await
                .map_err(StoreError::from)?;
        let link = link.ok_or_else(unknown)?;
        if link.used_at.is_some() {
            let detail = "this link was used already; thank you";
            return Err(Problem::new(Kind::Used, detail));
        }
        let case = case(self.connection(), &link.case_id)
            .await?
            .ok_or_else(unknown)?;
        let is_of_round = i64::from(told.round) == case.round;
        let is_closed = matches!(case.state()?, State::Closed | State::Finished);
        let now = u64::try_from(self.now.div_euclid(1_000_000)).unwrap_or(0);
        if !is_of_round || !is_closed || now >= told.expires {
            return Err(Problem::new(
                Kind::Gone,
                "this link is not good any more: its time is over, or the case was opened again",
            ));
        }
        Ok(case)
    }
}

impl Desk {
    /// Another link for a case that is closed.
    ///
    /// # Errors
    /// There is no such case; 409: it is not closed.
    pub async fn rating_link(&self, id: &str) -> Result<String, Problem> {
        let mut work = Work::begin(self).await?;
        let found = case(work.connection(), id).await?;
        let case = found.ok_or_else(super::moving::no_such_case)?;
        if !matches!(case.state()?, State::Closed | State::Finished) || case.is_mirrored() {
            return Err(Problem::conflict(
                "only who reported a case of this hotline that is closed is asked whether it is solved",
            ));
        }
        let token = work.new_rating_link(&case).await?.unwrap_or_default();
        work.commit().await?;
        Ok(token)
    }

    /// What the page of a link shows; it spends nothing.
    ///
    /// # Errors
    /// 404, 409, 410: there is none, it was used, it is not good any more.
    pub async fn asked_by_link(&self, token: &str) -> Result<Value, Problem> {
        let mut work = Work::begin(self).await?;
        let case = work.case_of_token(token).await?;
        let layer = self.layers.get(&case.layer);
        Ok(json!({
            "number": case.number,
            "layer": layer.map_or(case.layer.as_str(), |layer| layer.label.as_str()),
            "opened_at": work.data.local(self, case.opened_at),
            "closed_at": case.closed_at.map(|at| work.data.local(self, at)),
            "result": case.result,
        }))
    }

    /// Says whether it is solved, and spends the link.
    ///
    /// # Errors
    /// As [`asked_by_link`](Self::asked_by_link); 422: it says no such thing.
    pub async fn rate_by_link(&self, token: &str, said: &Value) -> Result<(), Problem> {
        let mut body = said.clone();
        if let Some(members) = body.as_object_mut() {
            members.insert("move".to_owned(), json!(Move::Rate.as_str()));
        }
        let body = MoveBody::read(&body)?;
        let mut work = Work::begin(self).await?;
        let mut case = work.case_of_token(token).await?;
        let now = work.now;
        let spent = sqlx::query("UPDATE rating_links SET used_at = $2 WHERE digest = $1 AND used_at IS NULL")
            .bind(hex(&sha256(token.as_bytes())))
            .bind(now)
            .execute(work.connection())
            .await
            .map_err(StoreError::from)?;
        if spent.rows_affected() != 1 {
            return Err(Problem::new(Kind::Used, "this link was used already; thank you"));
        }
        let clocks = work.clocks(&case.id).await?;
        let actor = Actor {
            who: "link".to_owned(),
            duty: Duty::Caller,
        };
        let asked = Asked {
            actor: &actor,
            body: &body,
            officer: None,
        };
        work.move_case(&mut case, &asked, &clocks).await?;
        work.commit().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_golden_token_is_made_and_read_and_no_other() {
        let mut secret = [0; 32];
        for (number, byte) in (0..).zip(&mut secret) {
            *byte = number;
        }
        let told = Told {
            key: 1,
            case: raw_case_id("//nyc/311", "123"),
            round: 1,
            expires: 1_775_001_600,
            nonce: [1, 2, 3, 4, 5, 6, 7, 8],
        };
        let token = told.token(&secret);
        assert_eq!(
            token,
            "AXjBBojXqRQm04A7U3cyOr0AAQAAAABpzGAAAQIDBAUGBwgiW6evzMTPJGS15Tp2iogB"
        );
        assert_eq!(token.len(), 68);
        let keys = KeyLines::of(vec![(1, secret)]);
        assert_eq!(Told::read(&token, &keys), Some(told));
        assert_eq!(Told::read(&token, &KeyLines::of(vec![(1, [9; 32])])), None);
        assert_eq!(Told::read(&token, &KeyLines::of(vec![(2, secret)])), None);
        for place in 0..token.len() {
            let mut other = token.clone().into_bytes();
            other[place] = if other[place] == b'A' { b'B' } else { b'A' };
            let other = String::from_utf8(other).unwrap();
            assert_eq!(Told::read(&other, &keys), None, "{other}");
        }
        assert_eq!(Told::read("", &keys), None);
    }
}
