//! Links by which a caller says whether it is solved: a token that nobody can make up, spent once, of one round of one case.

use riskgrid_analytics::hotline::moves::{Duty, Move, State};
use riskgrid_analytics::hotline::rating_token::RatingToken;
use serde_json::{Value, json};

use super::Desk;
use super::body::MoveBody;
use super::moving::Asked;
use super::work::{Actor, Work};
use crate::digest::{hex, sha256};
use crate::hotline::store::{CaseRow, StoreError, case, raw_case_id};
use crate::problem::{Kind, Problem};

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
        let told = RatingToken {
            key: number,
            case: raw_case_id(&case.source, &case.report),
            round: u16::try_from(case.round).unwrap_or(u16::MAX),
            expires: expires_at.div_euclid(1_000_000).unsigned_abs(),
            nonce,
        };
        let token = told.encode(secret);
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
        let told = RatingToken::decode(token, |number| self.desk.rating_keys.get(number).copied())
            .ok_or_else(unknown)?;
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
