mod classes;
mod incremental;
mod made;
mod places;
mod reference;
mod sensors;
