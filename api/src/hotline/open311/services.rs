//! Services: the layers whose cases are this hotline's, and what each asks.

use riskgrid_ingest::CasesOf;
use serde_json::{Value, json};

use super::asked::{Asker, Wrong};
use crate::hotline::desk::{CaseLayer, Desk};

fn is_seen(asker: &Asker, layer: &CaseLayer) -> bool {
    layer.cases == CasesOf::Own
        && match asker {
            Asker::Anybody => true,
            Asker::Officer(officer) => {
                let permission = officer.caller.identity.permission.as_ref();
                permission.is_some_and(|seen| seen.admits_layer(Some(&layer.id)))
            }
        }
}

/// All of them.
pub(super) fn list(desk: &Desk, asker: &Asker) -> Value {
    let seen = desk.layers.all().filter(|layer| is_seen(asker, layer));
    let services = seen.map(|layer| {
        json!({
            "service_code": layer.id, "service_name": layer.label, "description": layer.label,
            "metadata": !layer.attributes.is_empty(), "type": "realtime", "keywords": layer.keywords.join(","),
            "group": layer.group,
        })
    });
    services.collect::<Vec<_>>().into()
}

/// What one asks.
///
/// # Errors
/// There is none of this code.
pub(super) fn definition(desk: &Desk, asker: &Asker, code: &str) -> Result<Value, Wrong> {
    let layer = desk.layers.get(code).filter(|layer| is_seen(asker, layer));
    let layer = layer.ok_or_else(|| Wrong::not_found("there is no service of this service_code"))?;
    let attributes = (1..).zip(&layer.attributes).map(|(order, asked)| {
        let values: Vec<Value> = asked
            .values
            .iter()
            .map(|value| json!({"key": value.key, "name": value.name}))
            .collect();
        json!({
            "variable": asked.variable.to_string(), "code": asked.code, "datatype": asked.datatype.as_str(),
            "required": asked.required.to_string(), "datatype_description": asked.datatype_description,
            "order": order.to_string(), "description": asked.description, "values": values,
        })
    });
    Ok(json!({"service_code": layer.id, "attributes": attributes.collect::<Vec<Value>>()}))
}
