//! What an entity is known by.

use serde::{Deserialize, Serialize};

/// Names one entity: a sensor in its layer, a report of its source, a unit (scope empty).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EntityKey {
    /// The layer's id, or the source.
    pub scope: Box<str>,
    /// The entity's own id.
    pub name: Box<str>,
}

/// An [`EntityKey`] that borrows.
#[derive(Clone, Copy, Hash)]
pub struct KeyRef<'a> {
    /// The layer's id, or the source.
    pub scope: &'a str,
    /// The entity's own id.
    pub name: &'a str,
}

impl KeyRef<'_> {
    pub(super) fn equivalent(&self, key: &EntityKey) -> bool {
        self.scope == &*key.scope && self.name == &*key.name
    }
}

impl<'a> From<&'a EntityKey> for KeyRef<'a> {
    fn from(key: &'a EntityKey) -> Self {
        Self {
            scope: &key.scope,
            name: &key.name,
        }
    }
}

impl From<&KeyRef<'_>> for EntityKey {
    fn from(key: &KeyRef<'_>) -> Self {
        Self {
            scope: key.scope.into(),
            name: key.name.into(),
        }
    }
}
