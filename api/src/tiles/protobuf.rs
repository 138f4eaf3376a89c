//! The few wire types of protocol buffers that vector tiles need, written. By hand, for the outline of a cell is written once
//! and spliced into tile after tile, and crates for vector tiles write a layer in one piece.

/// Bytes in wire form.
pub(crate) type Wire = Vec<u8>;

const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const LENGTH_DELIMITED: u32 = 2;

/// Appends an unsigned number, seven bits a byte, the least first.
pub(crate) fn put_varint(mut value: u64, out: &mut Wire) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Maps signed numbers to unsigned ones so that small ones stay short: 0, -1, 1, -2, …
pub(crate) const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// Bytes that [`put_varint`] takes for `value`.
pub(crate) const fn varint_len(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

fn put_key(field: u32, wire_type: u32, out: &mut Wire) {
    put_varint(u64::from(field << 3 | wire_type), out);
}

/// Appends a field that holds an unsigned number.
pub(crate) fn put_varint_field(field: u32, value: u64, out: &mut Wire) {
    put_key(field, VARINT, out);
    put_varint(value, out);
}

/// Appends a field that holds a double.
pub(crate) fn put_double_field(field: u32, value: f64, out: &mut Wire) {
    put_key(field, FIXED64, out);
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends the start of a field of `len` bytes, which the caller appends next.
pub(crate) fn put_length_field(field: u32, len: usize, out: &mut Wire) {
    put_key(field, LENGTH_DELIMITED, out);
    put_varint(len as u64, out);
}

/// Appends a field that holds bytes: a text, a message, or packed numbers.
pub(crate) fn put_bytes_field(field: u32, bytes: &[u8], out: &mut Wire) {
    put_length_field(field, bytes.len(), out);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_examples_of_the_format_page() {
        let mut out = Wire::new();
        put_varint_field(1, 150, &mut out);
        assert_eq!(out, [0x08, 0x96, 0x01]);
        out.clear();
        put_bytes_field(2, b"testing", &mut out);
        assert_eq!(out, [&[0x12, 0x07][..], b"testing"].concat());
        assert_eq!(
            [0, -1, 1, -2, 2_147_483_647].map(zigzag),
            [0, 1, 2, 3, 4_294_967_294]
        );
    }

    proptest! {
        #[test]
        fn the_length_is_known_beforehand(bits in 0..64_u32, value: u64) {
            let value = value >> bits;
            let mut out = Wire::new();
            put_varint(value, &mut out);
            prop_assert_eq!(out.len(), varint_len(value));
        }
    }
}
