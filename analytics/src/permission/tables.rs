//! Which role has which table. A table that somebody has not is as if it did not exist.

use super::compiled::Permission;
use super::role::Role;

/// The tables of SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "they are called as the tables are")]
pub enum Table {
    Cells,
    CellsRest,
    Risk,
    Events,
    Reports,
    Sensors,
    Facilities,
    Population,
    Units,
    Areas,
    Layers,
    Alerts,
    Rules,
    Deliveries,
    DeadLetters,
    Queries,
    Cases,
    CaseMoves,
    CaseClocks,
    CaseAssessed,
}

impl Table {
    /// All.
    pub const ALL: [Self; 20] = [
        Self::Cells,
        Self::CellsRest,
        Self::Risk,
        Self::Events,
        Self::Reports,
        Self::Sensors,
        Self::Facilities,
        Self::Population,
        Self::Units,
        Self::Areas,
        Self::Layers,
        Self::Alerts,
        Self::Rules,
        Self::Deliveries,
        Self::DeadLetters,
        Self::Queries,
        Self::Cases,
        Self::CaseMoves,
        Self::CaseClocks,
        Self::CaseAssessed,
    ];

    /// Its name in SQL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cells => "cells",
            Self::CellsRest => "cells_rest",
            Self::Risk => "risk",
            Self::Events => "events",
            Self::Reports => "reports",
            Self::Sensors => "sensors",
            Self::Facilities => "facilities",
            Self::Population => "population",
            Self::Units => "units",
            Self::Areas => "areas",
            Self::Layers => "layers",
            Self::Alerts => "alerts",
            Self::Rules => "rules",
            Self::Deliveries => "deliveries",
            Self::DeadLetters => "dead_letters",
            Self::Queries => "queries",
            Self::Cases => "cases",
            Self::CaseMoves => "case_moves",
            Self::CaseClocks => "case_clocks",
            Self::CaseAssessed => "case_assessed",
        }
    }
}

impl Permission {
    /// Whether the table exists for it.
    pub const fn has_table(&self, table: Table) -> bool {
        match table {
            Table::Cells | Table::Risk | Table::Areas | Table::Layers | Table::Alerts | Table::Queries => {
                true
            }
            // What is left over of what was published.
            Table::CellsRest => matches!(self.role(), Role::Public),
            Table::Events
            | Table::Reports
            | Table::Sensors
            | Table::Facilities
            | Table::Population
            | Table::Rules
            | Table::Cases
            | Table::CaseMoves
            | Table::CaseClocks
            | Table::CaseAssessed => !matches!(self.role(), Role::Public),
            Table::Units => self.sees_units(),
            Table::Deliveries | Table::DeadLetters => self.sees_letters(),
        }
    }

    /// Whether response units and their positions are seen.
    pub const fn sees_units(&self) -> bool {
        matches!(self.role(), Role::Operator | Role::Admin)
    }

    /// Whether refused records and deliveries are seen, which belong to no layer or place.
    pub const fn sees_letters(&self) -> bool {
        match self.role() {
            Role::Public | Role::Analyst => false,
            Role::Operator => self.is_whole(),
            Role::Admin => true,
        }
    }
}
