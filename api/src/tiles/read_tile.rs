//! A reader of vector tiles for tests, written from the format's page and sharing nothing with the writer.

use std::collections::BTreeMap;

/// A number among a feature's properties, by its wire type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number {
    Uint(u64),
    Sint(i64),
    Double(f64),
}

#[derive(Debug, Default)]
pub(crate) struct Feature {
    pub(crate) id: u64,
    pub(crate) texts: BTreeMap<String, String>,
    pub(crate) numbers: BTreeMap<String, Number>,
    /// Rings that are not closed, in tile units.
    pub(crate) rings: Vec<Vec<(i32, i32)>>,
}

#[derive(Debug, Default)]
pub(crate) struct Layer {
    pub(crate) name: String,
    pub(crate) version: u64,
    pub(crate) extent: u64,
    pub(crate) keys: Vec<String>,
    /// How many values the layer holds.
    pub(crate) values: usize,
    pub(crate) features: Vec<Feature>,
}

enum Value {
    Text(String),
    Number(Number),
}

enum Field<'a> {
    Varint(u64),
    Fixed64([u8; 8]),
    Bytes(&'a [u8]),
}

impl<'a> Field<'a> {
    fn varint(&self) -> u64 {
        if let Self::Varint(value) = self {
            *value
        } else {
            panic!("a varint was expected")
        }
    }

    fn bytes(&self) -> &'a [u8] {
        if let Self::Bytes(bytes) = self {
            bytes
        } else {
            panic!("bytes were expected")
        }
    }

    fn text(&self) -> String {
        String::from_utf8(self.bytes().to_vec()).expect("UTF-8")
    }
}

fn take_varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..70).step_by(7) {
        let (byte, rest) = bytes.split_first().expect("a whole varint");
        *bytes = rest;
        value |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return value;
        }
    }
    panic!("a varint of more than ten bytes")
}

fn fields(mut bytes: &[u8]) -> Vec<(u64, Field<'_>)> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = take_varint(&mut bytes);
        let field = match key & 7 {
            0 => Field::Varint(take_varint(&mut bytes)),
            1 => {
                let (value, rest) = bytes.split_first_chunk::<8>().expect("eight bytes");
                bytes = rest;
                Field::Fixed64(*value)
            }
            2 => {
                let len = take_varint(&mut bytes) as usize;
                let (value, rest) = bytes.split_at(len);
                bytes = rest;
                Field::Bytes(value)
            }
            other => panic!("wire type {other}"),
        };
        fields.push((key >> 3, field));
    }
    fields
}

fn packed(mut bytes: &[u8]) -> Vec<u64> {
    let mut numbers = Vec::new();
    while !bytes.is_empty() {
        numbers.push(take_varint(&mut bytes));
    }
    numbers
}

fn unzigzag(value: u64) -> i64 {
    if value.is_multiple_of(2) {
        (value / 2) as i64
    } else {
        -((value / 2) as i64) - 1
    }
}

/// Reads a tile of one layer, and fails on whatever the format does not allow.
pub(crate) fn read_tile(tile: &[u8]) -> Layer {
    let layers = fields(tile);
    assert!(matches!(layers.as_slice(), [(3, _)]), "one layer");
    read_layer(layers[0].1.bytes())
}

fn read_layer(bytes: &[u8]) -> Layer {
    let mut layer = Layer::default();
    let mut values = Vec::new();
    let mut features = Vec::new();
    for (field, value) in fields(bytes) {
        match field {
            1 => layer.name = value.text(),
            2 => features.push(value.bytes()),
            3 => layer.keys.push(value.text()),
            4 => values.push(read_value(value.bytes())),
            5 => layer.extent = value.varint(),
            15 => layer.version = value.varint(),
            other => panic!("field {other} of a layer"),
        }
    }
    layer.values = values.len();
    layer.features = features
        .into_iter()
        .map(|bytes| read_feature(bytes, &layer.keys, &values))
        .collect();
    layer
}

fn read_value(bytes: &[u8]) -> Value {
    match fields(bytes).as_slice() {
        [(1, text)] => Value::Text(text.text()),
        [(3, Field::Fixed64(bits))] => Value::Number(Number::Double(f64::from_le_bytes(*bits))),
        [(5, number)] => Value::Number(Number::Uint(number.varint())),
        [(6, number)] => Value::Number(Number::Sint(unzigzag(number.varint()))),
        _ => panic!("a value of another kind"),
    }
}

fn read_feature(bytes: &[u8], keys: &[String], values: &[Value]) -> Feature {
    let mut feature = Feature::default();
    for (field, value) in fields(bytes) {
        match field {
            1 => feature.id = value.varint(),
            2 => {
                for pair in packed(value.bytes()).chunks(2) {
                    let key = keys[pair[0] as usize].clone();
                    match &values[pair[1] as usize] {
                        Value::Text(text) => assert!(feature.texts.insert(key, text.clone()).is_none()),
                        Value::Number(number) => assert!(feature.numbers.insert(key, *number).is_none()),
                    }
                }
            }
            3 => assert_eq!(value.varint(), 3, "polygons only"),
            4 => feature.rings = read_rings(&packed(value.bytes())),
            other => panic!("field {other} of a feature"),
        }
    }
    feature
}

fn read_rings(commands: &[u64]) -> Vec<Vec<(i32, i32)>> {
    let mut rings: Vec<Vec<(i32, i32)>> = Vec::new();
    let mut pen = (0_i64, 0_i64);
    let mut commands = commands.iter();
    while let Some(command) = commands.next() {
        match (command & 7, command >> 3) {
            (1, 1) => rings.push(Vec::new()),
            (2, count) if count >= 2 => {
                assert_eq!(rings.last().map(Vec::len), Some(1), "lines follow a move");
            }
            (7, 1) => continue,
            other => panic!("command {other:?}"),
        }
        for _ in 0..command >> 3 {
            pen.0 += unzigzag(*commands.next().expect("an x"));
            pen.1 += unzigzag(*commands.next().expect("a y"));
            rings
                .last_mut()
                .expect("a ring")
                .push((pen.0 as i32, pen.1 as i32));
        }
    }
    rings
}
