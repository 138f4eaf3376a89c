//! The body of a move, whose members are looked at in two steps: whether it can be understood (400), before anything else, and
//! whether what it says can be (422), after all that may refuse the move.

use riskgrid_analytics::hotline::moves::{Field, Move};
use serde_json::{Map, Value};

use crate::problem::Problem;

/// Letters of a reason.
pub const LONGEST_REASON: usize = 1_000;
/// Letters of any other text.
pub const LONGEST_TEXT: usize = 4_000;
/// Letters of a name: of an office, a place, an id.
const LONGEST_NAME: usize = 128;

/// A move as it is asked for.
#[derive(Clone, Debug)]
pub struct MoveBody {
    /// Which.
    pub case_move: Move,
    members: Map<String, Value>,
}

/// An object's members, which `known` may have, of the types that those have.
///
/// # Errors
/// 400: it is no object, has a member that it may not have, or one of another type.
pub fn members(body: &Value, what: &str, known: &[&str]) -> Result<Map<String, Value>, Problem> {
    let Value::Object(members) = body else {
        return Err(Problem::bad_request(format!("{what} is an object of JSON")));
    };
    for (name, value) in members {
        if !known.contains(&name.as_str()) {
            return Err(Problem::bad_request(format!(
                "{what} has no member `{}`; it may have {}",
                shortened(name),
                known.join(", ")
            )));
        }
        let fits = match name.as_str() {
            "lon" | "lat" => value.is_number(),
            "rating" | "severity" => value.is_i64() || value.is_u64(),
            "reached" | "confidential" => value.is_boolean(),
            "cases" | "labels" => value.is_array(),
            "attributes" | "contact" => value.is_object(),
            _ => value.is_string(),
        };
        // A null member is a missing one, as in events.
        if !fits && !value.is_null() {
            return Err(Problem::bad_request(format!(
                "`{name}` of {what} has another type"
            )));
        }
    }
    let given = members.iter().filter(|(_, value)| !value.is_null());
    Ok(given.map(|(name, value)| (name.clone(), value.clone())).collect())
}

fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}

impl MoveBody {
    /// Reads it.
    ///
    /// # Errors
    /// 400, as [`members`].
    pub fn read(body: &Value) -> Result<Self, Problem> {
        let name = body
            .get("move")
            .and_then(Value::as_str)
            .ok_or_else(|| Problem::bad_request("the body is an object of JSON whose `move` names a move"))?;
        let case_move = Move::from_name(name).ok_or_else(|| {
            let known: Vec<&str> = Move::ALL.into_iter().map(Move::as_str).collect();
            Problem::bad_request(format!(
                "there is no move `{}`; there are {}",
                shortened(name),
                known.join(", ")
            ))
        })?;
        let known = case_move.fields().iter().map(|field| field.name);
        let known: Vec<&str> = std::iter::once("move").chain(known).collect();
        let members = members(body, &format!("the move `{name}`"), &known)?;
        Ok(Self { case_move, members })
    }

    /// A move of the system's own, which has no members.
    pub fn of_the_system(case_move: Move) -> Self {
        Self::made(case_move, Value::Null)
    }

    /// One that says what an object says.
    pub(super) fn made(case_move: Move, members: Value) -> Self {
        let members = match members {
            Value::Object(members) => members,
            _ => Map::new(),
        };
        Self { case_move, members }
    }

    /// What it says beside its name.
    pub const fn members(&self) -> &Map<String, Value> {
        &self.members
    }

    /// Whether all that it needs is there.
    ///
    /// # Errors
    /// 422: the first that is not.
    pub fn must_be_whole(&self) -> Result<(), Problem> {
        let missing = |field: &&Field| field.is_required && !self.members.contains_key(field.name);
        match self.case_move.fields().iter().find(missing) {
            Some(field) => Err(Problem::unprocessable(format!(
                "`{}` needs `{}`",
                self.case_move.as_str(),
                field.name
            ))),
            None => Ok(()),
        }
    }

    /// A text of at most so many letters.
    ///
    /// # Errors
    /// 422: it is missing, empty or too long.
    pub fn text(&self, name: &str, most: usize) -> Result<&str, Problem> {
        let text = self.members.get(name).and_then(Value::as_str).unwrap_or_default();
        check_text(name, text, most)?;
        Ok(text)
    }

    /// A name.
    ///
    /// # Errors
    /// As [`text`](Self::text).
    pub fn name(&self, name: &str) -> Result<&str, Problem> {
        self.text(name, LONGEST_NAME)
    }

    /// One of some words.
    ///
    /// # Errors
    /// 422: it is another.
    pub fn one_of(&self, name: &str, words: &[&str]) -> Result<&str, Problem> {
        let text = self.members.get(name).and_then(Value::as_str).unwrap_or_default();
        if words.contains(&text) {
            return Ok(text);
        }
        Err(Problem::unprocessable(format!(
            "`{name}` is \"{}\"; allowed: {}",
            shortened(text),
            words.join(", ")
        )))
    }

    /// A list of names, none twice; empty where there is none.
    ///
    /// # Errors
    /// 422: it is longer, or one of them is no name.
    pub fn names(&self, name: &str, most: usize) -> Result<Vec<String>, Problem> {
        let list = self.members.get(name).and_then(Value::as_array);
        let list = list.map(Vec::as_slice).unwrap_or_default();
        if list.len() > most {
            return Err(Problem::unprocessable(format!(
                "`{name}` lists {}; allowed: {most}",
                list.len()
            )));
        }
        let mut names = Vec::with_capacity(list.len());
        for one in list {
            let one = one.as_str().unwrap_or_default();
            check_text(name, one, LONGEST_NAME)?;
            if !names.iter().any(|known| known == one) {
                names.push(one.to_owned());
            }
        }
        Ok(names)
    }

    /// 1 to 5.
    ///
    /// # Errors
    /// 422: it is none of them.
    pub fn rating(&self) -> Result<i64, Problem> {
        let rating = self.members.get("rating").and_then(Value::as_i64);
        rating
            .filter(|rating| (1..=5).contains(rating))
            .ok_or_else(|| Problem::unprocessable("`rating` is a whole number from 1 to 5"))
    }

    /// Yes or no.
    pub fn flag(&self, name: &str) -> bool {
        self.members.get(name).and_then(Value::as_bool).unwrap_or(false)
    }
}

/// Whether a text of a person can be kept.
///
/// # Errors
/// 422: it is empty or too long.
pub fn check_text(name: &str, text: &str, most: usize) -> Result<(), Problem> {
    let letters = text.chars().count();
    if text.trim().is_empty() || letters > most {
        return Err(Problem::unprocessable(format!(
            "`{name}` has {letters} letters; allowed: 1 to {most}"
        )));
    }
    // PostgreSQL keeps no NUL.
    if text.contains('\0') {
        return Err(Problem::unprocessable(format!(
            "`{name}` holds a NUL; leave it out"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_body_that_cannot_be_understood_is_told_from_one_that_says_too_little() {
        for body in [
            json!([]),
            json!({}),
            json!({"move": 7}),
            json!({"move": "fly"}),
            json!({"move": "accept", "reason": "x"}),
            json!({"move": "rate", "rating": "4", "resolved": "yes"}),
            json!({"move": "rate", "rating": 4.5, "resolved": "yes"}),
            json!({"move": "extend", "amount": 5, "reason": "x"}),
        ] {
            let problem = MoveBody::read(&body).unwrap_err();
            assert_eq!(problem.status().as_u16(), 400, "{body}");
        }
        let whole = |body: Value| MoveBody::read(&body).unwrap().must_be_whole();
        assert!(whole(json!({"move": "accept"})).is_ok());
        assert!(whole(json!({"move": "return", "reason": null})).is_err());
        let rate = MoveBody::read(&json!({"move": "rate", "rating": 6, "resolved": "maybe"})).unwrap();
        assert_eq!(rate.rating().unwrap_err().status().as_u16(), 422);
        assert_eq!(
            rate.one_of("resolved", &["yes"]).unwrap_err().status().as_u16(),
            422
        );
    }

    #[test]
    fn texts_are_counted_in_letters() {
        assert!(check_text("reason", &"雨".repeat(LONGEST_REASON), LONGEST_REASON).is_ok());
        assert!(check_text("reason", &"雨".repeat(LONGEST_REASON + 1), LONGEST_REASON).is_err());
        assert!(check_text("reason", " \n", LONGEST_REASON).is_err());
        assert!(check_text("reason", "a\0", LONGEST_REASON).is_err());
    }
}
