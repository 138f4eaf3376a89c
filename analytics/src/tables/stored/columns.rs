//! The columns of plain rows: what each is called, and where its value is in a row.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, Int64Builder, ListBuilder, StringArray, StringBuilder,
    UInt64Array, UInt64Builder,
};
use arrow::datatypes::{DataType, Field};
use h3o::CellIndex;
use riskgrid_ingest::EventTime;

use super::super::columns::{field, time_type, times};
use crate::sql::{cell_field, cell_item, cell_list_type, commented};

/// One column of rows `R`.
#[derive(Debug)]
pub struct Column<R> {
    /// Its name in SQL.
    pub name: &'static str,
    /// What `information_schema.columns` says of it.
    pub comment: &'static str,
    /// Its values.
    pub values: Values<R>,
}

/// How a column's value is read from a row.
#[derive(Debug)]
pub enum Values<R> {
    /// A text.
    Text(fn(&R) -> &str),
    /// A text, or NULL.
    TextOrNull(fn(&R) -> Option<&str>),
    /// A time.
    Time(fn(&R) -> EventTime),
    /// A time, or NULL.
    TimeOrNull(fn(&R) -> Option<EventTime>),
    /// A cell, or NULL.
    CellOrNull(fn(&R) -> Option<CellIndex>),
    /// A number.
    Number(fn(&R) -> f64),
    /// A number, or NULL.
    NumberOrNull(fn(&R) -> Option<f64>),
    /// A whole number.
    Whole(fn(&R) -> i64),
    /// A whole number, or NULL.
    WholeOrNull(fn(&R) -> Option<i64>),
    /// Yes or no.
    YesOrNo(fn(&R) -> bool),
    /// Texts.
    TextList(fn(&R) -> &[String]),
    /// Cells.
    CellList(fn(&R) -> &[u64]),
    /// Whole numbers.
    WholeList(fn(&R) -> &[i64]),
}

impl<R> Column<R> {
    pub(super) fn field(&self) -> Field {
        let Self { name, comment, .. } = *self;
        match self.values {
            Values::Text(_) => field(name, DataType::Utf8, false, comment),
            Values::TextOrNull(_) => field(name, DataType::Utf8, true, comment),
            Values::Time(_) => field(name, time_type(), false, comment),
            Values::TimeOrNull(_) => field(name, time_type(), true, comment),
            Values::CellOrNull(_) => commented(cell_field(name, true), comment),
            Values::Number(_) => field(name, DataType::Float64, false, comment),
            Values::NumberOrNull(_) => field(name, DataType::Float64, true, comment),
            Values::Whole(_) => field(name, DataType::Int64, false, comment),
            Values::WholeOrNull(_) => field(name, DataType::Int64, true, comment),
            Values::YesOrNo(_) => field(name, DataType::Boolean, false, comment),
            Values::TextList(_) => field(name, list_of(DataType::Utf8), false, comment),
            Values::CellList(_) => field(name, cell_list_type(), false, comment),
            Values::WholeList(_) => field(name, list_of(DataType::Int64), false, comment),
        }
    }

    pub(super) fn array(&self, rows: &[R]) -> ArrayRef {
        match self.values {
            Values::Text(of) => Arc::new(StringArray::from_iter_values(rows.iter().map(of))),
            Values::TextOrNull(of) => Arc::new(rows.iter().map(of).collect::<StringArray>()),
            Values::Time(of) => times(rows.iter().map(|row| Some(of(row)))),
            Values::TimeOrNull(of) => times(rows.iter().map(of)),
            Values::CellOrNull(of) => {
                let cells = rows.iter().map(|row| of(row).map(u64::from));
                Arc::new(cells.collect::<UInt64Array>())
            }
            Values::Number(of) => Arc::new(Float64Array::from_iter_values(rows.iter().map(of))),
            Values::NumberOrNull(of) => Arc::new(rows.iter().map(of).collect::<Float64Array>()),
            Values::Whole(of) => Arc::new(Int64Array::from_iter_values(rows.iter().map(of))),
            Values::WholeOrNull(of) => Arc::new(rows.iter().map(of).collect::<Int64Array>()),
            Values::YesOrNo(of) => {
                let answers = rows.iter().map(|row| Some(of(row)));
                Arc::new(answers.collect::<BooleanArray>())
            }
            Values::TextList(of) => {
                let mut lists = ListBuilder::new(StringBuilder::new());
                for row in rows {
                    lists.append_value(of(row).iter().map(Some));
                }
                Arc::new(lists.finish())
            }
            Values::CellList(of) => {
                let mut lists = ListBuilder::new(UInt64Builder::new()).with_field(cell_item());
                for row in rows {
                    lists.append_value(of(row).iter().copied().map(Some));
                }
                Arc::new(lists.finish())
            }
            Values::WholeList(of) => {
                let mut lists = ListBuilder::new(Int64Builder::new());
                for row in rows {
                    lists.append_value(of(row).iter().copied().map(Some));
                }
                Arc::new(lists.finish())
            }
        }
    }
}

fn list_of(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(item, true)))
}
