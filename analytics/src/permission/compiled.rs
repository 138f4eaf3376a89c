//! Rights made ready to be asked.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use h3o::{CellIndex, LatLng, Resolution};
use riskgrid_ingest::grid::CellSet;
use riskgrid_ingest::places::{Places, cell_set_of};

use super::class::Class;
use super::role::Role;
use super::scope::{Names, Scope};

/// What one class of identities may see.
#[derive(Clone, Debug)]
pub struct Permission {
    role: Role,
    scope: Scope,
    class: Class,
    /// Layers of the grid: those of the scope, and of the public those that are open to everybody.
    layers: Names,
    /// Cells of the grid whose centre is in an area of the scope.
    cells: CellSet,
    /// `None`: everywhere.
    areas: Option<Areas>,
}

/// The areas of a scope.
#[derive(Clone, Debug)]
struct Areas {
    /// Those that are named, and all below them.
    ids: BTreeSet<Arc<str>>,
    places: Arc<Places>,
}

impl Permission {
    /// What everybody may see in open mode, and an admin always: all there is.
    pub fn admin() -> Self {
        Self::everywhere(Role::Admin)
    }

    /// What was published, and nothing of the grid.
    pub fn public() -> Self {
        Self::everywhere(Role::Public)
    }

    /// What was published, and of the grid these layers, which are open to everybody.
    pub fn public_with(open: BTreeSet<String>) -> Self {
        Self {
            layers: Names::Only(open),
            ..Self::public()
        }
    }

    /// The rights of a role over all layers and areas.
    pub fn everywhere(role: Role) -> Self {
        Self {
            role,
            class: Class::of(role, &Scope::ALL),
            layers: match role {
                Role::Public => Names::Only(BTreeSet::new()),
                Role::Analyst | Role::Operator | Role::Admin => Names::All,
            },
            scope: Scope::ALL,
            cells: CellSet::all(),
            areas: None,
        }
    }

    /// The rights of a role within a scope, which means nothing to those that have none. Areas that are not in `places` hold
    /// nothing.
    pub fn within(role: Role, scope: Scope, places: &Arc<Places>, resolution: Resolution) -> Self {
        if !role.has_scope() {
            return Self::everywhere(role);
        }
        let areas = match &scope.areas {
            Names::All => None,
            Names::Only(named) => Some(Areas {
                ids: with_descendants(named, places),
                places: Arc::clone(places),
            }),
        };
        let cells = match &scope.areas {
            Names::All => CellSet::all(),
            Names::Only(named) => {
                let known = named.iter().filter_map(|id| places.areas.get(id));
                let cells = known.map(|area| cell_set_of(&area.shape, resolution));
                CellSet::of(cells.flat_map(|cells| cells.ranges().to_vec()).collect())
            }
        };
        Self {
            role,
            class: Class::of(role, &scope),
            layers: scope.layers.clone(),
            scope,
            cells,
            areas,
        }
    }

    /// The role.
    pub const fn role(&self) -> Role {
        self.role
    }

    /// The scope as it was given.
    pub const fn scope(&self) -> &Scope {
        &self.scope
    }

    /// What is in the key of every cache of what was made for it.
    pub const fn class(&self) -> Class {
        self.class
    }

    /// Whether all layers are seen everywhere.
    pub const fn is_whole(&self) -> bool {
        self.has_all_layers() && self.has_all_areas()
    }

    /// Whether places do not matter.
    pub const fn has_all_areas(&self) -> bool {
        self.areas.is_none()
    }

    /// Whether layers do not matter. Of the grid the public sees open ones only: what was published is not read from it.
    pub const fn has_all_layers(&self) -> bool {
        self.layers.are_all()
    }

    /// The cells of the grid that are seen; a coarser cell is seen as far as it holds some of these.
    pub const fn cells(&self) -> &CellSet {
        &self.cells
    }

    /// Whether the cell of the grid is seen.
    pub fn admits_cell(&self, cell: u64) -> bool {
        self.cells.holds(cell)
    }

    /// Whether what lies at the centre of a cell of any resolution is seen; what has no cell is only where all areas are.
    pub fn admits_centre_of(&self, cell: Option<u64>) -> bool {
        let place = cell.and_then(|cell| CellIndex::try_from(cell).ok()).map(|cell| {
            let centre = LatLng::from(cell);
            [centre.lng(), centre.lat()]
        });
        self.admits_place(place)
    }

    /// Whether rows of this layer are seen; those of no layer are only where all are.
    pub fn admits_layer(&self, layer: Option<&str>) -> bool {
        match layer {
            Some(layer) => self.layers.hold(layer),
            None => self.has_all_layers(),
        }
    }

    /// Whether what lies at `[lon, lat]` is seen; what has no place is only where all areas are.
    pub fn admits_place(&self, place: Option<[f64; 2]>) -> bool {
        let Some(areas) = &self.areas else {
            return true;
        };
        place.is_some_and(|[lon, lat]| {
            let found = areas.places.areas.areas_of([lon, lat]);
            found.iter().any(|area| areas.ids.contains(&area.id))
        })
    }

    /// Whether what lies in the area of this id is seen.
    pub fn admits_area(&self, id: &str) -> bool {
        self.areas.as_ref().is_none_or(|areas| areas.ids.contains(id))
    }
}

/// The areas of these ids, and all whose parents, however far up, are among them.
fn with_descendants(named: &BTreeSet<String>, places: &Places) -> BTreeSet<Arc<str>> {
    let areas = places.areas.areas();
    let is_named = |id: &Arc<str>| named.contains(&**id);
    let mut ids: BTreeSet<Arc<str>> = areas
        .iter()
        .map(|area| &area.id)
        .filter(|id| is_named(id))
        .cloned()
        .collect();
    loop {
        let below = areas.iter().filter(|area| {
            let parent = area.parent.as_ref();
            parent.is_some_and(|parent| ids.contains(parent)) && !ids.contains(&area.id)
        });
        let below: Vec<Arc<str>> = below.map(|area| Arc::clone(&area.id)).collect();
        if below.is_empty() {
            return ids;
        }
        ids.extend(below);
    }
}

/// Compiles each class once for as long as somebody holds it.
#[derive(Debug)]
pub struct Permissions {
    places: Arc<Places>,
    resolution: Resolution,
    /// Layers that are open to the public.
    open: BTreeSet<String>,
    held: Mutex<HashMap<Class, Weak<Permission>>>,
}

impl Permissions {
    /// For a grid of cells of `resolution` over these areas, which do not change while the program runs.
    pub fn new(places: Arc<Places>, resolution: Resolution) -> Self {
        Self {
            places,
            resolution,
            open: BTreeSet::new(),
            held: Mutex::default(),
        }
    }

    /// The same, where the public sees these layers of the grid.
    #[must_use]
    pub fn with_open(self, open: BTreeSet<String>) -> Self {
        Self { open, ..self }
    }

    /// The rights of a role within a scope.
    pub fn of(&self, role: Role, scope: Scope) -> Arc<Permission> {
        let scope = if role.has_scope() { scope } else { Scope::ALL };
        let class = Class::of(role, &scope);
        let held = |held: &HashMap<Class, Weak<Permission>>| held.get(&class).and_then(Weak::upgrade);
        if let Some(known) = held(&self.held.lock().unwrap_or_else(PoisonError::into_inner)) {
            return known;
        }
        // Large areas take a while: nobody waits for it who asks for another class.
        let made = Arc::new(match role {
            Role::Public => Permission::public_with(self.open.clone()),
            Role::Analyst | Role::Operator | Role::Admin => {
                Permission::within(role, scope, &self.places, self.resolution)
            }
        });
        let mut all = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = held(&all) {
            return known;
        }
        all.retain(|_, permission| permission.strong_count() > 0);
        all.insert(class, Arc::downgrade(&made));
        made
    }
}
