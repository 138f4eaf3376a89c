//! Answers in XML and in JSON: one value, written as one or the other.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};
use serde_json::Value;

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// XML; also where a path says nothing.
    Xml,
    /// JSON.
    Json,
}

/// What lists are called, and what each of their entries is.
const LISTS: [(&str, &str); 8] = [
    ("services", "service"),
    ("attributes", "attribute"),
    ("values", "value"),
    ("service_requests", "request"),
    ("service_requests_updates", "request_update"),
    ("errors", "error"),
    ("endpoints", "endpoint"),
    ("formats", "format"),
];

impl Format {
    /// The path without its suffix, and the format that the suffix names; none, if it names another.
    pub(super) fn of(path: &str) -> Option<(&str, Self)> {
        let (folder, name) = path
            .rsplit_once('/')
            .map_or(("", path), |(folder, name)| (folder, name));
        let Some((stem, suffix)) = name.rsplit_once('.') else {
            return Some((path, Self::Xml));
        };
        let format = match suffix {
            "xml" => Self::Xml,
            "json" => Self::Json,
            _ => return None,
        };
        let length = if folder.is_empty() {
            stem.len()
        } else {
            folder.len() + 1 + stem.len()
        };
        Some((path.get(..length)?, format))
    }

    /// An answer whose root in XML is `root`; JSON has none.
    pub(super) fn answer(self, status: StatusCode, root: &str, value: &Value) -> Response {
        let (body, media_type) = match self {
            Self::Json => (value.to_string(), "application/json; charset=utf-8"),
            Self::Xml => (xml(root, value), "text/xml; charset=utf-8"),
        };
        let media_type = [(header::CONTENT_TYPE, HeaderValue::from_static(media_type))];
        (status, media_type, body).into_response()
    }
}

/// The value as a document.
fn xml(root: &str, value: &Value) -> String {
    let mut writer = Writer::new(Vec::new());
    let written = writer
        .write_event(Event::Decl(BytesDecl::new("1.0", Some("utf-8"), None)))
        .and_then(|()| element(&mut writer, root, value));
    // Writing to memory cannot fail.
    if let Err(error) = written {
        tracing::error!(%error, "an answer of Open311 is not written to its end");
    }
    String::from_utf8(writer.into_inner()).unwrap_or_default()
}

fn element(writer: &mut Writer<Vec<u8>>, name: &str, value: &Value) -> std::io::Result<()> {
    let content = match value {
        Value::Null => None,
        Value::Array(items) => {
            let item = LISTS
                .iter()
                .find(|(list, _)| *list == name)
                .map_or("item", |(_, item)| *item);
            writer.write_event(Event::Start(BytesStart::new(name)))?;
            for one in items {
                element(writer, item, one)?;
            }
            return writer.write_event(Event::End(BytesEnd::new(name)));
        }
        Value::Object(members) => {
            writer.write_event(Event::Start(BytesStart::new(name)))?;
            for (name, member) in members {
                element(writer, name, member)?;
            }
            return writer.write_event(Event::End(BytesEnd::new(name)));
        }
        Value::Number(number) if matches!(name, "lat" | "long") => {
            Some(format!("{:.5}", number.as_f64().unwrap_or_default()))
        }
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    let content = content.map(|text| text.replace(is_not_of_xml, ""));
    match content.filter(|text| !text.is_empty()) {
        None => writer.write_event(Event::Empty(BytesStart::new(name))),
        Some(text) => {
            writer.write_event(Event::Start(BytesStart::new(name)))?;
            writer.write_event(Event::Text(BytesText::new(&text)))?;
            writer.write_event(Event::End(BytesEnd::new(name)))
        }
    }
}

/// Letters that no document of XML 1.0 can hold.
fn is_not_of_xml(letter: char) -> bool {
    letter.is_control() && !matches!(letter, '\t' | '\n' | '\r' | '\u{7f}'..='\u{9f}')
        || matches!(letter, '\u{fffe}' | '\u{ffff}')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_suffix_names_the_format() {
        assert_eq!(Format::of("services.json"), Some(("services", Format::Json)));
        assert_eq!(
            Format::of("requests/abc.xml"),
            Some(("requests/abc", Format::Xml))
        );
        assert_eq!(Format::of("requests/abc"), Some(("requests/abc", Format::Xml)));
        assert_eq!(
            Format::of("requests/a.b/c"),
            Some(("requests/a.b/c", Format::Xml))
        );
        assert_eq!(Format::of("services.yaml"), None);
    }

    #[test]
    fn what_is_nothing_is_an_empty_element_and_letters_are_escaped() {
        let value = json!([{"service_name": "a < b & \"c\" \u{1}雨", "lat": 22.5, "media_url": null, "metadata": true}]);
        assert_eq!(
            xml("services", &value),
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><services><service><lat>22.50000</lat><media_url/><metadata>true\
             </metadata><service_name>a &lt; b &amp; &quot;c&quot; 雨</service_name></service></services>"
        );
        assert_eq!(
            xml("services", &json!([])),
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><services></services>"
        );
    }
}
