//! Reads the cells of a vector tile back, by the format and not by the program's own code.

use std::collections::BTreeMap;

/// What follows the key of a field.
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// A message, field by field.
struct Message<'a>(&'a [u8]);

impl<'a> Message<'a> {
    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (first, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(first & 0x7f) << shift;
            if first & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }
}

impl<'a> Iterator for Message<'a> {
    type Item = (u64, Field<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let key = self.number().unwrap();
        let field = match key & 7 {
            0 => Field::Number(self.number().unwrap()),
            1 => Field::Bytes(self.take(8).unwrap()),
            2 => {
                let length = self.number().unwrap();
                Field::Bytes(self.take(length as usize).unwrap())
            }
            5 => Field::Bytes(self.take(4).unwrap()),
            other => panic!("wire type {other}"),
        };
        Some((key >> 3, field))
    }
}

/// A value as a text; numbers in digits.
fn value(bytes: &[u8]) -> String {
    match Message(bytes).next() {
        Some((1, Field::Bytes(text))) => String::from_utf8(text.to_vec()).unwrap(),
        Some((4 | 5, Field::Number(number))) => number.to_string(),
        Some((6, Field::Number(number))) => {
            ((number >> 1).cast_signed() ^ -(number & 1).cast_signed()).to_string()
        }
        Some((3, Field::Bytes(bytes))) => f64::from_le_bytes(bytes.try_into().unwrap()).to_string(),
        _ => panic!("a value of another kind"),
    }
}

/// The count of each cell of a tile; a cell twice would be a defect of the tile.
pub(super) fn counts(tile: &[u8]) -> BTreeMap<u64, u64> {
    let mut counts = BTreeMap::new();
    for (field, layer) in Message(tile) {
        let (3, Field::Bytes(layer)) = (field, layer) else {
            continue;
        };
        let (mut keys, mut values, mut features) = (Vec::new(), Vec::new(), Vec::new());
        for field in Message(layer) {
            match field {
                (2, Field::Bytes(feature)) => features.push(feature),
                (3, Field::Bytes(key)) => keys.push(String::from_utf8(key.to_vec()).unwrap()),
                (4, Field::Bytes(bytes)) => values.push(value(bytes)),
                _ => {}
            }
        }
        for feature in features {
            let tags = Message(feature).find_map(|field| match field {
                (2, Field::Bytes(tags)) => Some(tags),
                _ => None,
            });
            let (mut tags, mut of_feature) = (Message(tags.unwrap()), BTreeMap::new());
            while let Some(key) = tags.number() {
                let value = tags.number().unwrap();
                of_feature.insert(keys[key as usize].as_str(), values[value as usize].as_str());
            }
            let cell = u64::from_str_radix(of_feature["cell"], 16).unwrap();
            let before = counts.insert(cell, of_feature["count"].parse().unwrap());
            assert_eq!(before, None, "{cell:x} is there twice");
        }
    }
    counts
}
