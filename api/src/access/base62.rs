//! Bytes as digits `0-9A-Za-z`, big endian, padded with `0` to a fixed width.

/// The digits, in their order.
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const BASE: u32 = 62;

/// The bytes as one integer, in so many digits. Digits that do not fit are left out: callers give enough.
pub(super) fn encode(bytes: &[u8], width: usize) -> String {
    let mut number = bytes.to_vec();
    let mut digits = vec![b'0'; width];
    for digit in digits.iter_mut().rev() {
        let mut rest = 0;
        for byte in &mut number {
            let dividend = rest << 8 | u32::from(*byte);
            // Below 256, for the rest before was below the base.
            *byte = (dividend / BASE) as u8;
            rest = dividend % BASE;
        }
        *digit = digit_of(rest);
    }
    digits.into_iter().map(char::from).collect()
}

/// Whether all of a text are digits.
pub(super) fn are_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// So many random digits, each as likely as any other.
///
/// # Errors
/// The operating system gives no random bytes.
pub(super) fn random(width: usize) -> Result<String, getrandom::Error> {
    // A byte of these gives each digit equally often.
    let fair = (256 / BASE * BASE) as u8;
    let mut text = String::with_capacity(width);
    while text.len() < width {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        let digits = bytes.into_iter().filter(|byte| *byte < fair);
        text.extend(
            digits
                .take(width - text.len())
                .map(|byte| char::from(digit_of(u32::from(byte)))),
        );
    }
    Ok(text)
}

fn digit_of(number: u32) -> u8 {
    DIGITS.get((number % BASE) as usize).copied().unwrap_or(b'0')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value(text: &str) -> u128 {
        text.bytes().fold(0, |sum, byte| {
            let digit = DIGITS.iter().position(|digit| *digit == byte).unwrap();
            sum * u128::from(BASE) + digit as u128
        })
    }

    proptest! {
        #[test]
        fn digits_are_the_number(bytes in proptest::array::uniform15(any::<u8>())) {
            let number = bytes.iter().fold(0, |sum: u128, byte| sum << 8 | u128::from(*byte));
            let text = encode(&bytes, 22);
            prop_assert_eq!(text.len(), 22);
            prop_assert_eq!(value(&text), number);
        }

        #[test]
        fn a_larger_number_sorts_after_a_smaller_one(one in any::<[u8; 32]>(), other in any::<[u8; 32]>()) {
            prop_assert_eq!(encode(&one, 43).cmp(&encode(&other, 43)), one.cmp(&other));
        }
    }

    #[test]
    fn random_digits_are_digits_and_differ() {
        let (one, other) = (random(12).unwrap(), random(12).unwrap());
        assert!(one.len() == 12 && are_digits(&one) && one != other);
    }
}
