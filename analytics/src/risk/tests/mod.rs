mod classes;
mod daily;
mod incremental;
mod made;
mod places;
mod reference;
mod sensors;
