//! Who asks a query.

use std::sync::Arc;

use super::limits::RoleOverrides;
use crate::permission::{Permission, Role};

/// Somebody, as far as a query knows them.
#[derive(Debug, Clone)]
pub struct Asker {
    /// As the table `queries` names them.
    pub who: Arc<str>,
    /// The protocol by which it came.
    pub via: &'static str,
    /// Whose turns these are: an identity, or the address of somebody unknown.
    pub turn: Arc<str>,
    /// What they may see, and how much they may take.
    pub permission: Arc<Permission>,
    /// Of which offices they see cases; none: of all.
    pub offices: Arc<[String]>,
    /// Where they may take less than their role.
    pub limits: RoleOverrides,
}

impl Asker {
    /// riskgrid itself, which sees everything.
    pub fn system() -> Self {
        Self {
            who: "system".into(),
            via: "system",
            turn: "system".into(),
            permission: Arc::new(Permission::admin()),
            offices: Arc::new([]),
            limits: RoleOverrides::default(),
        }
    }

    /// Whether a query that took this turn is theirs to see and to end. All who are unknown have one name, and each their own
    /// turns.
    pub(super) fn may_see(&self, turn: &str) -> bool {
        *self.turn == *turn || self.permission.role() == Role::Admin
    }
}
