mod classes;
mod daily;
mod incremental;
pub(super) mod made;
mod places;
mod reference;
mod sensors;
