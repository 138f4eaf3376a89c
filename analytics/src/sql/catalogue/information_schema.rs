//! `information_schema` of the tables of one request, with a `comment` for every column that has one.
//!
//! `DataFusion`'s own tables, except that `columns` has one column more and `df_settings` is left out.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{RecordBatch, StringBuilder, UInt64Builder};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::information_schema::InformationSchemaProvider;
use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemTable, MemoryCatalogProvider, MemoryCatalogProviderList,
    SchemaProvider, TableProvider,
};
use datafusion::common::Result;

use crate::sql::cell_type::COMMENT_KEY;

/// The catalog that every table is in.
pub(crate) const CATALOG: &str = "riskgrid";
/// The schema that every table is in.
pub(crate) const SCHEMA: &str = "public";
const INFORMATION_SCHEMA: &str = "information_schema";

/// The catalog of one request: its tables and the schema that describes them.
///
/// The description reads a list of its own, since `DataFusion`'s provider holds the list that it describes: with one list
/// for both, every request would leave a cycle behind.
pub(crate) fn catalog_of(tables: Arc<dyn SchemaProvider>) -> Result<Arc<dyn CatalogProviderList>> {
    let described = list_with(&[(SCHEMA, Arc::clone(&tables))])?;
    let description = Described {
        inner: InformationSchemaProvider::new(described),
        tables: Arc::clone(&tables),
    };
    list_with(&[(SCHEMA, tables), (INFORMATION_SCHEMA, Arc::new(description))])
}

fn list_with(schemas: &[(&str, Arc<dyn SchemaProvider>)]) -> Result<Arc<dyn CatalogProviderList>> {
    let catalog = MemoryCatalogProvider::new();
    for (name, schema) in schemas {
        catalog.register_schema(name, Arc::clone(schema))?;
    }
    let list = MemoryCatalogProviderList::new();
    list.register_catalog(CATALOG.to_owned(), Arc::new(catalog));
    Ok(Arc::new(list))
}

#[derive(Debug)]
struct Described {
    inner: InformationSchemaProvider,
    tables: Arc<dyn SchemaProvider>,
}

// The one body that waits: the trait is written by `async_trait`, and tables of others are asked for in it.
#[async_trait]
impl SchemaProvider for Described {
    fn table_names(&self) -> Vec<String> {
        self.inner
            .table_names()
            .into_iter()
            .filter(|name| name != "df_settings")
            .collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        match name.to_ascii_lowercase().as_str() {
            "df_settings" => Ok(None),
            "columns" => {
                let batch = columns_of(self.tables.as_ref()).await?;
                Ok(Some(Arc::new(MemTable::try_new(
                    batch.schema(),
                    vec![vec![batch]],
                )?)))
            }
            other => self.inner.table(other).await,
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        !name.eq_ignore_ascii_case("df_settings") && self.inner.table_exist(name)
    }
}

async fn columns_of(tables: &dyn SchemaProvider) -> Result<RecordBatch> {
    let text = |name: &str, nullable: bool| Field::new(name, DataType::Utf8, nullable);
    let number = |name: &str, nullable: bool| Field::new(name, DataType::UInt64, nullable);
    let schema = Arc::new(Schema::new(vec![
        text("table_catalog", false),
        text("table_schema", false),
        text("table_name", false),
        text("column_name", false),
        number("ordinal_position", false),
        text("column_default", true),
        text("is_nullable", false),
        text("data_type", false),
        number("character_maximum_length", true),
        number("character_octet_length", true),
        number("numeric_precision", true),
        number("numeric_precision_radix", true),
        number("numeric_scale", true),
        number("datetime_precision", true),
        text("interval_type", true),
        text("comment", true),
    ]));
    let mut columns = Columns::default();
    let mut names = tables.table_names();
    names.sort();
    for name in names {
        if let Some(table) = tables.table(&name).await? {
            for (position, field) in table.schema().fields().iter().enumerate() {
                columns.push(&name, position as u64, field);
            }
        }
    }
    columns.finish(schema)
}

#[derive(Default)]
struct Columns {
    /// catalog, schema, table, column, default, nullable, type, interval type, comment
    texts: [StringBuilder; 9],
    /// position, character length, octet length, precision, radix, scale, time precision
    numbers: [UInt64Builder; 7],
}

impl Columns {
    fn push(&mut self, table: &str, position: u64, field: &Field) {
        let kind = field.data_type().to_string();
        let nullable = if field.is_nullable() { "YES" } else { "NO" };
        let comment = field.metadata().get(COMMENT_KEY).map(String::as_str);
        let texts = [
            Some(CATALOG),
            Some(SCHEMA),
            Some(table),
            Some(field.name().as_str()),
            None,
            Some(nullable),
            Some(kind.as_str()),
            None,
            comment,
        ];
        let (precision, radix, scale) = precision_of(field.data_type());
        let octets =
            matches!(field.data_type(), DataType::Utf8 | DataType::Binary).then_some(i32::MAX as u64);
        let numbers = [Some(position), None, octets, precision, radix, scale, None];
        for (builder, value) in self.texts.iter_mut().zip(texts) {
            builder.append_option(value);
        }
        for (builder, value) in self.numbers.iter_mut().zip(numbers) {
            builder.append_option(value);
        }
    }

    fn finish(self, schema: Arc<Schema>) -> Result<RecordBatch> {
        let [
            catalog,
            in_schema,
            table,
            column,
            default,
            nullable,
            kind,
            interval,
            comment,
        ] = self.texts.map(|mut builder| Arc::new(builder.finish()) as _);
        let [position, characters, octets, precision, radix, scale, time] =
            self.numbers.map(|mut builder| Arc::new(builder.finish()) as _);
        let columns = vec![
            catalog, in_schema, table, column, position, default, nullable, kind, characters, octets,
            precision, radix, scale, time, interval, comment,
        ];
        Ok(RecordBatch::try_new(schema, columns)?)
    }
}

fn precision_of(kind: &DataType) -> (Option<u64>, Option<u64>, Option<u64>) {
    match kind {
        DataType::Float32 => (Some(24), Some(2), None),
        DataType::Float64 => (Some(53), Some(2), None),
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
            (Some(u64::from(*precision)), Some(10), u64::try_from(*scale).ok())
        }
        integer if integer.is_integer() => (
            integer.primitive_width().map(|bytes| bytes as u64 * 8),
            Some(2),
            None,
        ),
        _ => (None, None, None),
    }
}
