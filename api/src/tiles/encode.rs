//! One layer of hexagons as a Mapbox Vector Tile, version 2.1, from geometry that is encoded already.

use hashbrown::HashMap;

use super::geometry::EXTENT;
use super::protobuf::{
    Wire, put_bytes_field, put_double_field, put_length_field, put_varint, put_varint_field, varint_len,
    zigzag,
};
use super::values::Shown;

/// Fields of the vector tile format 2.1.
const TILE_LAYER: u32 = 3;
const LAYER_NAME: u32 = 1;
const LAYER_FEATURE: u32 = 2;
const LAYER_KEY: u32 = 3;
const LAYER_VALUE: u32 = 4;
const LAYER_EXTENT: u32 = 5;
const LAYER_VERSION: u32 = 15;
const FEATURE_ID: u32 = 1;
const FEATURE_TAGS: u32 = 2;
const VALUE_STRING: u32 = 1;
const VALUE_DOUBLE: u32 = 3;
const VALUE_UNSIGNED: u32 = 5;
const VALUE_SIGNED: u32 = 6;

/// Positions of the keys in a layer.
const CELL_KEY: u64 = 0;
const COUNT_KEY: u64 = 1;
const METRIC_KEY: u64 = 2;

/// Bits of a cell that are its feature's id: all that differ between cells of one resolution, and exact in JavaScript.
const ID_BITS: u64 = 0xF_FFFF_FFFF_FFFF;

/// Writes the one layer of a tile, feature by feature.
pub(crate) struct LayerWriter<'a> {
    name: &'a str,
    /// `None` when the metric is `count`, which every feature has anyway.
    metric: Option<&'a str>,
    features: Wire,
    values: Wire,
    next_value: u64,
    /// Where a value that was written before is, by its kind and bits.
    known: HashMap<(u32, u64), u64>,
}

impl<'a> LayerWriter<'a> {
    pub(crate) fn new(name: &'a str, metric: Option<&'a str>, features: usize) -> Self {
        Self {
            name,
            metric,
            features: Wire::with_capacity(64 * features),
            values: Wire::with_capacity(24 * features),
            next_value: 0,
            known: HashMap::new(),
        }
    }

    /// Adds a hexagon; `geometry` is its type and geometry fields in wire form.
    pub(crate) fn add(&mut self, cell: u64, count: u64, shown: Option<Shown>, geometry: &[u8]) {
        let cell_value = self.cell_value(cell);
        let count_value = self.value(Shown::Unsigned(count));
        let metric_value = shown
            .filter(|_| self.metric.is_some())
            .map(|shown| self.value(shown));

        let id = cell & ID_BITS;
        // The keys are below 128: a byte each.
        let mut tags_len = 2 + varint_len(cell_value) + varint_len(count_value);
        if let Some(value) = metric_value {
            tags_len += 1 + varint_len(value);
        }
        let len = 1 + varint_len(id) + 1 + varint_len(tags_len as u64) + tags_len + geometry.len();

        let out = &mut self.features;
        put_length_field(LAYER_FEATURE, len, out);
        put_varint_field(FEATURE_ID, id, out);
        put_length_field(FEATURE_TAGS, tags_len, out);
        for (key, value) in [(CELL_KEY, cell_value), (COUNT_KEY, count_value)] {
            put_varint(key, out);
            put_varint(value, out);
        }
        if let Some(value) = metric_value {
            put_varint(METRIC_KEY, out);
            put_varint(value, out);
        }
        out.extend_from_slice(geometry);
    }

    /// Writes the cell's H3 text; cells are there once each, so there is nothing to look up.
    fn cell_value(&mut self, cell: u64) -> u64 {
        let text = h3_text(cell);
        put_length_field(LAYER_VALUE, 2 + text.len(), &mut self.values);
        put_bytes_field(VALUE_STRING, &text, &mut self.values);
        self.count_value()
    }

    fn count_value(&mut self) -> u64 {
        let position = self.next_value;
        self.next_value += 1;
        position
    }

    fn value(&mut self, shown: Shown) -> u64 {
        let (field, bits) = match shown {
            Shown::Unsigned(value) => (VALUE_UNSIGNED, value),
            Shown::Signed(value) => (VALUE_SIGNED, zigzag(value)),
            Shown::Double(value) => (VALUE_DOUBLE, value.to_bits()),
            Shown::Word { number, .. } => (VALUE_STRING, number),
        };
        if let Some(position) = self.known.get(&(field, bits)) {
            return *position;
        }
        if let Shown::Double(value) = shown {
            put_length_field(LAYER_VALUE, 9, &mut self.values);
            put_double_field(field, value, &mut self.values);
        } else if let Shown::Word { text, .. } = shown {
            // The words of a closed list are short: their length takes a byte.
            put_length_field(LAYER_VALUE, 2 + text.len(), &mut self.values);
            put_bytes_field(field, text.as_bytes(), &mut self.values);
        } else {
            put_length_field(LAYER_VALUE, 1 + varint_len(bits), &mut self.values);
            put_varint_field(field, bits, &mut self.values);
        }
        let position = self.count_value();
        self.known.insert((field, bits), position);
        position
    }

    /// The whole tile.
    pub(crate) fn finish(self) -> Wire {
        let mut head = Wire::new();
        put_varint_field(LAYER_VERSION, 2, &mut head);
        put_bytes_field(LAYER_NAME, self.name.as_bytes(), &mut head);
        let mut tail = Wire::new();
        for key in ["cell", "count"].into_iter().chain(self.metric) {
            put_bytes_field(LAYER_KEY, key.as_bytes(), &mut tail);
        }
        put_varint_field(LAYER_EXTENT, u64::from(EXTENT), &mut tail);

        let len = head.len() + self.features.len() + tail.len() + self.values.len();
        let mut tile = Wire::with_capacity(len + 8);
        put_length_field(TILE_LAYER, len, &mut tile);
        for part in [head, self.features, tail, self.values] {
            tile.extend_from_slice(&part);
        }
        tile
    }
}

/// A cell as H3 prints it: 15 hexadecimal digits, for the 16th is 0 in every cell.
fn h3_text(cell: u64) -> [u8; 15] {
    let mut text = [0; 15];
    for (place, digit) in text.iter_mut().rev().enumerate() {
        let value = (cell >> (4 * place)) as u8 & 0xF;
        *digit = if value < 10 {
            b'0' + value
        } else {
            b'a' + value - 10
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use h3o::{LatLng, Resolution};

    use super::super::read_tile::{Number, read_tile};
    use super::*;

    #[test]
    fn cells_are_printed_as_h3_does() {
        for resolution in Resolution::range(Resolution::Zero, Resolution::Fifteen) {
            let cell = LatLng::new(22.5, 113.9).expect("finite").to_cell(resolution);
            assert_eq!(
                std::str::from_utf8(&h3_text(cell.into())),
                Ok(cell.to_string().as_str())
            );
        }
    }

    #[test]
    fn equal_values_are_written_once() {
        let mut writer = LayerWriter::new("noise", Some("weight"), 3);
        for cell in 1..=3 {
            writer.add(cell, 7, Some(Shown::Unsigned(7)), &[]);
        }
        writer.add(4, 8, Some(Shown::Double(7.0)), &[]);
        writer.add(5, 8, Some(Shown::Signed(-4)), &[]);
        let layer = read_tile(&writer.finish());
        assert_eq!(layer.keys, ["cell", "count", "weight"]);
        // Five cells, 7, 8, 7.0 and -4.
        assert_eq!(layer.values, 9);
        let weights: Vec<_> = layer
            .features
            .iter()
            .map(|feature| feature.numbers["weight"])
            .collect();
        assert_eq!(
            weights,
            [
                Number::Uint(7),
                Number::Uint(7),
                Number::Uint(7),
                Number::Double(7.0),
                Number::Sint(-4)
            ]
        );
    }

    #[test]
    fn a_metric_that_is_count_is_not_there_twice() {
        let mut writer = LayerWriter::new("noise", None, 1);
        writer.add(1, 7, Some(Shown::Unsigned(9)), &[]);
        let layer = read_tile(&writer.finish());
        assert_eq!(layer.keys, ["cell", "count"]);
        assert_eq!(layer.features[0].numbers.len(), 1);
    }
}
