//! What a function of ours is: a name, the kinds of its arguments and of its result, and a loop over rows.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, DocSection, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};
use riskgrid_ingest::places::Places;

use super::row_values::Arguments;
use crate::geometry::mark_geometry;
use crate::sql::{QueryGuard, SqlError, Work, cell_list_type, in_pieces, mark_cell, pieces};

/// One function.
#[derive(Debug)]
pub(super) struct Definition {
    pub(super) name: &'static str,
    /// The names that the same function has elsewhere, where arguments and answer agree.
    pub(super) aliases: &'static [&'static str],
    pub(super) description: &'static str,
    pub(super) arguments: &'static [(&'static str, Kind)],
    /// How many of the last arguments may be left out.
    pub(super) optional: usize,
    pub(super) result: Kind,
    pub(super) call: fn(&Arguments<'_>) -> Result<ArrayRef, SqlError>,
}

/// The kinds of arguments and results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `UInt64` marked as a cell; as an argument also a text.
    Cell,
    /// A list of cells; as a result only.
    Cells,
    /// `Float64`.
    Number,
    /// `Int64`.
    Whole,
    /// `UInt8`; as a result only.
    Resolution,
    /// `Utf8`.
    Text,
    /// `Boolean`.
    Truth,
    /// `Binary` marked as a geometry; as an argument also well-known text.
    Geometry,
    /// `Binary`; as a result only.
    Bytes,
}

impl Kind {
    pub(super) fn data_type(self) -> DataType {
        match self {
            Self::Cell => DataType::UInt64,
            Self::Cells => cell_list_type(),
            Self::Number => DataType::Float64,
            Self::Whole => DataType::Int64,
            Self::Resolution => DataType::UInt8,
            Self::Text => DataType::Utf8,
            Self::Truth => DataType::Boolean,
            Self::Geometry | Self::Bytes => DataType::Binary,
        }
    }

    /// The type to which an argument of type `given` is cast; `None` if it cannot be one.
    fn accepts(self, given: &DataType) -> Option<DataType> {
        let text = is_text(given);
        match self {
            _ if given.is_null() => Some(self.data_type()),
            Self::Cell | Self::Text | Self::Geometry if text => Some(DataType::Utf8),
            Self::Geometry if given.is_binary() => Some(DataType::Binary),
            Self::Cell | Self::Whole | Self::Resolution if given.is_integer() => Some(self.data_type()),
            Self::Number if given.is_numeric() => Some(DataType::Float64),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Cell => "a cell (UInt64, or an H3 text)",
            Self::Cells => "a list of cells",
            Self::Number => "a number",
            Self::Whole | Self::Resolution => "an integer",
            Self::Text => "a text",
            Self::Truth => "true or false",
            Self::Geometry => "a geometry (WKB, or a text such as 'POINT(113.93 22.53)')",
            Self::Bytes => "bytes",
        }
    }
}

fn is_text(kind: &DataType) -> bool {
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

/// The function as `DataFusion` takes it; it sees `places`.
pub(super) fn udf(definition: &'static Definition, places: &Arc<Places>) -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::new_from_impl(Function {
        definition,
        places: Arc::clone(places),
        aliases: definition.aliases.iter().copied().map(str::to_owned).collect(),
        signature: Signature::user_defined(Volatility::Immutable),
        documentation: documentation(definition),
    }))
}

/// The call with the names of its arguments, those that may be left out in brackets: `st_point(x, y [, srid])`.
fn syntax(definition: &Definition) -> String {
    let required = definition.arguments.len() - definition.optional;
    let mut names = String::new();
    for (index, (name, _)) in definition.arguments.iter().enumerate() {
        names.push_str(match index {
            0 => "",
            _ if index < required => ", ",
            _ => " [, ",
        });
        names.push_str(name);
    }
    names.push_str(&"]".repeat(definition.optional));
    format!("{}({names})", definition.name)
}

fn documentation(definition: &Definition) -> Documentation {
    let section = DocSection {
        include: true,
        label: if definition.name.starts_with("h3_") {
            "H3 functions"
        } else {
            "Geometry functions"
        },
        description: None,
    };
    let mut builder = Documentation::builder(section, definition.description, syntax(definition));
    for (name, kind) in definition.arguments {
        builder = builder.with_argument(*name, kind.name());
    }
    builder.build()
}

#[derive(Debug)]
struct Function {
    definition: &'static Definition,
    places: Arc<Places>,
    aliases: Vec<String>,
    signature: Signature,
    documentation: Documentation,
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.definition.name == other.definition.name
    }
}

impl Eq for Function {}

impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.definition.name.hash(state);
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        self.definition.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.definition.result.data_type())
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let field = Field::new(self.name(), self.definition.result.data_type(), true);
        Ok(Arc::new(match self.definition.result {
            Kind::Cell => mark_cell(field),
            Kind::Geometry => mark_geometry(field),
            _ => field,
        }))
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let expected = self.definition.arguments;
        let least = expected.len() - self.definition.optional;
        if given.len() < least || given.len() > expected.len() {
            let allowed = if least == expected.len() {
                least.to_string()
            } else {
                format!("{least} to {}", expected.len())
            };
            return Err(SqlError::BadRequest(format!(
                "{} takes {allowed} arguments, {} are given",
                syntax(self.definition),
                given.len()
            ))
            .into());
        }
        let coerced = expected.iter().zip(given).map(|((name, kind), given)| {
            kind.accepts(given).ok_or_else(|| {
                SqlError::BadRequest(format!(
                    "{}: {name} must be {}, not {given}",
                    syntax(self.definition),
                    kind.name()
                ))
                .into()
            })
        });
        coerced.collect()
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let guard = QueryGuard::of(&args.config_options).cloned();
        let ends = match self.definition.arguments {
            [(_, Kind::Geometry), ..] => pieces(self.name(), Work::Corners, &args.args, args.number_rows)?,
            _ => vec![args.number_rows],
        };
        in_pieces(args, &ends, guard.as_ref(), |piece| {
            let arguments = Arguments::new(self.definition, &piece.args, piece.number_rows, &self.places);
            Ok(ColumnarValue::Array((self.definition.call)(&arguments)?))
        })
    }
}
