//! Who works with cases: an identity with its duties and offices.

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use riskgrid_analytics::hotline::moves::{Duty, Move};
use riskgrid_analytics::permission::Role;

use crate::access::Caller;
use crate::hotline::store::CaseRow;
use crate::problem::Problem;

/// Somebody at the hotline.
#[derive(Clone, Debug)]
pub struct Officer {
    /// The identity, and from where it asks.
    pub caller: Caller,
    /// What they do.
    pub duties: Vec<Duty>,
    /// For which offices; none: all.
    pub offices: Vec<String>,
}

impl Officer {
    /// As rows and the audit name them.
    pub fn who(&self) -> &str {
        &self.caller.identity.who
    }

    /// Whether they see a case: its layer and place, and its office.
    pub fn sees(&self, case: &CaseRow) -> bool {
        self.sees_place(&case.layer, case.position()) && self.sees_office(case.office.as_deref())
    }

    /// Whether they see what is of this layer and at this place.
    pub fn sees_place(&self, layer: &str, place: Option<[f64; 2]>) -> bool {
        let permission = self.caller.identity.permission.as_ref();
        permission.is_some_and(|seen| {
            seen.role() != Role::Public && seen.admits_layer(Some(layer)) && seen.admits_place(place)
        })
    }

    /// Whether there is no case that they do not see.
    pub fn sees_all(&self) -> bool {
        let permission = self.caller.identity.permission.as_ref();
        self.offices.is_empty()
            && permission.is_some_and(|seen| {
                seen.role() != Role::Public && seen.has_all_layers() && seen.has_all_areas()
            })
    }

    fn sees_office(&self, office: Option<&str>) -> bool {
        self.offices.is_empty() || office.is_some_and(|office| self.works_in(office))
    }

    /// Whether they were said to work in this office.
    pub fn works_in(&self, office: &str) -> bool {
        self.offices.iter().any(|one| one == office)
    }

    /// Whether they have one of these duties; a supervisor has all.
    pub fn has_one_of(&self, duties: &[Duty]) -> bool {
        let has = |duty: &Duty| *duty == Duty::Supervisor || duties.contains(duty);
        self.duties.iter().any(has)
    }

    /// Asks for one of these duties.
    ///
    /// # Errors
    /// They have none of them: 403.
    pub fn must_be(&self, duties: &[Duty]) -> Result<(), Problem> {
        if self.has_one_of(duties) {
            return Ok(());
        }
        let wanted: Vec<&str> = duties
            .iter()
            .copied()
            .chain([Duty::Supervisor])
            .map(Duty::as_str)
            .collect();
        Err(Problem::forbidden(format!(
            "this needs the duty {}; GET /v1/whoami says what you have",
            wanted.join(" or ")
        )))
    }

    /// As what they make a move.
    ///
    /// # Errors
    /// None of their duties may: 403.
    pub fn made_as(&self, case_move: Move, self_service: bool) -> Result<Duty, Problem> {
        case_move.made_as(&self.duties, self_service).ok_or_else(|| {
            let may = Duty::ALL
                .into_iter()
                .filter(|duty| *duty != Duty::System && case_move.may(*duty, self_service));
            let may: Vec<&str> = may.map(Duty::as_str).collect();
            let name = case_move.as_str();
            let detail = if may.is_empty() {
                format!("`{name}` is made by riskgrid itself, when its time comes")
            } else {
                format!(
                    "`{name}` needs the duty {}; GET /v1/whoami says what you have",
                    may.join(" or ")
                )
            };
            Problem::forbidden(detail)
        })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Officer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, state).await?;
        let identity = &caller.identity;
        let (mut duties, mut offices) = (identity.duties.clone(), identity.offices.clone());
        if identity.is_of_open_mode {
            if let Some(said) = said(&parts.headers, "riskgrid-duty")? {
                duties = said.iter().map(|name| duty(name)).collect::<Result<_, _>>()?;
            }
            offices = said(&parts.headers, "riskgrid-office")?.unwrap_or_default();
        }
        Ok(Self {
            caller,
            duties,
            offices,
        })
    }
}

fn duty(name: &str) -> Result<Duty, Problem> {
    let known = Duty::from_name(name).filter(|duty| *duty != Duty::System);
    known.ok_or_else(|| {
        Problem::bad_request(
            "the header `riskgrid-duty` has no duty; allowed: operator, dispatcher, handler, reviewer, supervisor, caller",
        )
    })
}

/// The words of a header, separated by commas.
fn said(headers: &HeaderMap, name: &str) -> Result<Option<Vec<String>>, Problem> {
    let Some(value) = headers.get(name) else {
        return Ok(None);
    };
    let text = std::str::from_utf8(value.as_bytes())
        .map_err(|_| Problem::bad_request(format!("the header `{name}` is no UTF-8")))?;
    let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
    Ok(Some(words.map(str::to_owned).collect()))
}
