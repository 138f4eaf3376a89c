//! Tables over a grid snapshot.
use std::sync::Arc;
use arrow::array::*;
use arrow::datatypes::*;
use datafusion::catalog::{MemTable, TableProvider};
use riskgrid_ingest::dead_letter::DeadLetterStore;
use riskgrid_ingest::grid::GridSnapshot;
use riskgrid_ingest::EventTime;

/// The tables.
pub fn grid_tables(snapshot: Arc<GridSnapshot>, dead: Option<DeadLetterStore>) -> Vec<(String, Arc<dyn TableProvider>)> {
    let (mut layer, mut cell, mut count) = (vec![], vec![], vec![]);
    for (index, info) in snapshot.layers.iter() {
        for slice in snapshot.slices(index, EventTime::from_micros(i64::MIN)..EventTime::from_micros(i64::MAX)) {
            for (c, a) in slice.slice.rows() { layer.push(info.id.clone()); cell.push(c); count.push(a.count); }
        }
    }
    let schema = Arc::new(Schema::new(vec![Field::new("layer", DataType::Utf8, false), crate::sql::cell_field("cell", false), Field::new("count", DataType::UInt64, false)]));
    let batch = RecordBatch::try_new(schema.clone(), vec![Arc::new(StringArray::from(layer)), Arc::new(UInt64Array::from(cell)), Arc::new(UInt64Array::from(count))]).unwrap();
    let reasons: Vec<String> = dead.map(|d| d.iter().map(|l| l.unwrap().reason.to_string()).collect()).unwrap_or_default();
    let ds = Arc::new(Schema::new(vec![Field::new("reason", DataType::Utf8, false)]));
    let db = RecordBatch::try_new(ds.clone(), vec![Arc::new(StringArray::from(reasons))]).unwrap();
    vec![("cells".to_owned(), Arc::new(MemTable::try_new(schema, vec![vec![batch]]).unwrap())), ("dead_letters".to_owned(), Arc::new(MemTable::try_new(ds, vec![vec![db]]).unwrap()))]
}
