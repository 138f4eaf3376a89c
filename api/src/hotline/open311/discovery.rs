//! Where the API is, as GeoReport's service discovery tells it.

use serde_json::{Value, json};

/// The document.
pub(super) fn document(base: &str) -> Value {
    json!({
        "changeset": "2026-11-30T00:00:00Z",
        "contact": "whoever runs this server",
        "key_service": "whoever runs this server gives keys: riskgrid keys create",
        "endpoints": [{
            "specification": "http://wiki.open311.org/GeoReport_v2",
            "url": format!("{base}/open311/v2"),
            "changeset": "2026-11-30T00:00:00Z",
            "type": "production",
            "formats": ["text/xml", "application/json"],
        }],
    })
}
