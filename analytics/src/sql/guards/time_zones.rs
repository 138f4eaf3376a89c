//! Names of time zones that a statement puts on times. `DataFusion` looks them up where it computes with them only, and
//! answers a time in a zone that there is not.

use std::str::FromStr as _;

use datafusion::arrow::array::timezone::Tz;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::expr::ScalarFunction;

use crate::sql::error::SqlError;

/// # Errors
/// [`SqlError::BadRequest`] that names the zone, if an expression puts one on times that is not known.
pub(super) fn check(expr: &Expr) -> Result<(), SqlError> {
    match expr {
        Expr::Cast(cast) => check_type(cast.field.data_type()),
        Expr::TryCast(cast) => check_type(cast.field.data_type()),
        Expr::ScalarFunction(ScalarFunction { func, args }) => {
            let Some(Expr::Literal(constant, _)) = args.get(1) else {
                return Ok(());
            };
            let Some(text) = text_of(constant) else {
                return Ok(());
            };
            match func.name() {
                "from_unixtime" => check_zone(text),
                "arrow_cast" | "arrow_try_cast" => match DataType::from_str(text) {
                    Ok(kind) => check_type(&kind),
                    // The function says what is wrong with the name of a type.
                    Err(_) => Ok(()),
                },
                _ => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

fn text_of(value: &ScalarValue) -> Option<&str> {
    value.try_as_str().flatten()
}

fn check_type(kind: &DataType) -> Result<(), SqlError> {
    match kind {
        DataType::Timestamp(_, Some(zone)) => check_zone(zone),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => check_type(item.data_type()),
        DataType::Struct(fields) => fields.iter().try_for_each(|field| check_type(field.data_type())),
        DataType::Dictionary(_, values) => check_type(values),
        _ => Ok(()),
    }
}

fn check_zone(zone: &str) -> Result<(), SqlError> {
    match Tz::from_str(zone) {
        Ok(_) => Ok(()),
        Err(_) => Err(SqlError::BadRequest(format!(
            "'{zone}' is no time zone; allowed are names of the tz database, such as 'Asia/Shanghai', and offsets, such as '+08:00'"
        ))),
    }
}
