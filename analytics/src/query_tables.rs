//! What one query sees: the tables and table functions over one snapshot, and the tables beside them.

use std::sync::Arc;

use datafusion::catalog::{MemorySchemaProvider, SchemaProvider as _, TableProvider};
use riskgrid_ingest::dead_letter::DeadLetterStore;
use riskgrid_ingest::grid::GridSnapshot;

use crate::permission::Permission;
use crate::publication::Publication;
use crate::risk::Surface;
use crate::sql::{Asker, NamedTableFunction, SqlAnswer, SqlEngine, SqlError, SqlRequest};
use crate::table_functions::table_functions;
use crate::tables::stored::StoredTable;
use crate::tables::{grid_tables, published_tables, risk_table};

/// The tables of one query, each by its name.
#[derive(Debug)]
pub struct QueryTables {
    schema: MemorySchemaProvider,
    functions: Arc<[NamedTableFunction]>,
}

impl Default for QueryTables {
    /// No tables, and no table functions.
    fn default() -> Self {
        Self {
            schema: MemorySchemaProvider::new(),
            functions: Arc::new([]),
        }
    }
}

impl QueryTables {
    /// Those that exist for `permission`, of what it shows of a snapshot; with `dead_letters` where there is a store of them.
    pub fn over(
        snapshot: &Arc<GridSnapshot>,
        permission: &Arc<Permission>,
        dead_letters: Option<DeadLetterStore>,
    ) -> Self {
        let mut tables = Self {
            functions: table_functions(snapshot, permission),
            ..Self::default()
        };
        for (name, table) in grid_tables(snapshot, permission, dead_letters) {
            tables.add(name, table);
        }
        tables
    }

    /// The same, and what was published, with the layers of the grid that are open: the tables of the public.
    #[must_use]
    pub fn with_published(
        mut self,
        snapshot: &Arc<GridSnapshot>,
        permission: &Arc<Permission>,
        publication: &Arc<Publication>,
    ) -> Self {
        for (name, table) in published_tables(snapshot, permission, publication) {
            self.add(name, table);
        }
        self
    }

    /// The same, and one whose rows a store outside keeps.
    #[must_use]
    pub fn with<R: Send + Sync + 'static>(mut self, table: Arc<StoredTable<R>>) -> Self {
        self.add(table.name().to_owned(), table);
        self
    }

    /// The same, and `queries`: what the engine runs, and has run lately, as far as `asker` sees it.
    #[must_use]
    pub fn with_queries_of(mut self, engine: &SqlEngine, asker: &Asker) -> Self {
        self.add("queries".to_owned(), engine.queries_table(asker));
        self
    }

    /// The same, and `risk`: a risk surface, as far as it is seen.
    #[must_use]
    pub fn with_risk(mut self, seen: &Arc<Surface>) -> Self {
        self.add("risk".to_owned(), risk_table(seen));
        self
    }

    fn add(&mut self, name: String, table: Arc<dyn TableProvider>) {
        // Names are our own and differ, so registering cannot fail.
        if let Err(error) = self.schema.register_table(name, table) {
            tracing::error!(%error, "a table could not be registered");
        }
    }
}

impl SqlEngine {
    /// [`query`](Self::query) over these tables.
    ///
    /// # Errors
    /// Those of [`query`](Self::query).
    pub async fn ask(&self, request: SqlRequest, tables: QueryTables) -> Result<SqlAnswer, SqlError> {
        self.query(request, Arc::new(tables.schema), tables.functions)
            .await
    }
}
