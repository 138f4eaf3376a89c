//! Sealing: each row has a data key of its own (AES-256-GCM), which is wrapped by the master key. Who takes the file away has
//! nothing without that key; who moves a row to another case has nothing either, for both are bound to row and case.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use crate::hotline::key_lines::KeyLines;

/// A contact that is sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The number of the master key.
    pub key_id: u8,
    /// Of the sealed bytes.
    pub nonce: Vec<u8>,
    /// The contact.
    pub sealed: Vec<u8>,
    /// Its data key: a nonce and the wrapped bytes.
    pub wrapped_key: Vec<u8>,
}

/// It is not whole, of another row, or the key is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a contact cannot be opened: its master key is not there, or the row is not what it was")]
pub struct NotOpened;

impl Sealed {
    /// Seals some bytes of a row of a case.
    ///
    /// # Errors
    /// No random bytes.
    pub fn seal(keys: &KeyLines, (row, case): (&str, &str), bytes: &[u8]) -> Result<Self, getrandom::Error> {
        let (mut data_key, mut nonce, mut wrap_nonce) = ([0; 32], [0; NONCE_LEN], [0; NONCE_LEN]);
        for random in [&mut data_key[..], &mut nonce[..], &mut wrap_nonce[..]] {
            getrandom::fill(random)?;
        }
        let (key_id, master) = keys.newest();
        let mut wrapped_key = wrap_nonce.to_vec();
        wrapped_key.extend(encrypted(master, wrap_nonce, (row, case), &data_key));
        Ok(Self {
            key_id,
            nonce: nonce.to_vec(),
            sealed: encrypted(&data_key, nonce, (row, case), bytes),
            wrapped_key,
        })
    }

    /// Opens it.
    ///
    /// # Errors
    /// [`NotOpened`].
    pub fn open(&self, keys: &KeyLines, of: (&str, &str)) -> Result<Vec<u8>, NotOpened> {
        let master = keys.get(self.key_id).ok_or(NotOpened)?;
        let (nonce, wrapped) = self.wrapped_key.split_at_checked(NONCE_LEN).ok_or(NotOpened)?;
        let data_key = decrypted(master, nonce, of, wrapped)?;
        let data_key: [u8; 32] = data_key.try_into().map_err(|_| NotOpened)?;
        decrypted(&data_key, &self.nonce, of, &self.sealed)
    }
}

/// What the bytes are bound to.
fn bound_to((row, case): (&str, &str)) -> Aad<Vec<u8>> {
    Aad::from([row.as_bytes(), case.as_bytes()].concat())
}

fn key_of(bytes: &[u8; 32]) -> Option<LessSafeKey> {
    UnboundKey::new(&AES_256_GCM, bytes).ok().map(LessSafeKey::new)
}

fn encrypted(key: &[u8; 32], nonce: [u8; NONCE_LEN], of: (&str, &str), bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let nonce = Nonce::assume_unique_for_key(nonce);
    let is_sealed = key_of(key).is_some_and(|key| {
        key.seal_in_place_append_tag(nonce, bound_to(of), &mut bytes)
            .is_ok()
    });
    // Keys are as long as they must be and contacts far from the longest, so sealing cannot fail; were it to, nothing is kept.
    if is_sealed { bytes } else { Vec::new() }
}

fn decrypted(key: &[u8; 32], nonce: &[u8], of: (&str, &str), bytes: &[u8]) -> Result<Vec<u8>, NotOpened> {
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| NotOpened)?;
    let key = key_of(key).ok_or(NotOpened)?;
    let mut bytes = bytes.to_vec();
    let plain = key
        .open_in_place(nonce, bound_to(of), &mut bytes)
        .map_err(|_| NotOpened)?;
    Ok(plain.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_with_its_key_for_its_row_and_case_alone() {
        let keys = KeyLines::of(vec![(1, [7; 32]), (2, [8; 32])]);
        let sealed = Sealed::seal(&keys, ("row", "case"), b"13800138000").unwrap();
        assert_eq!(sealed.key_id, 2);
        assert_eq!(sealed.open(&keys, ("row", "case")).unwrap(), b"13800138000");
        for of in [("row", "other"), ("other", "case")] {
            assert_eq!(sealed.open(&keys, of), Err(NotOpened));
        }
        let other = KeyLines::of(vec![(2, [9; 32])]);
        assert_eq!(sealed.open(&other, ("row", "case")), Err(NotOpened));
        for change in 0..3 {
            let mut changed = sealed.clone();
            match change {
                0 => changed.sealed[0] ^= 1,
                1 => changed.wrapped_key[20] ^= 1,
                _ => changed.nonce[0] ^= 1,
            }
            assert_eq!(changed.open(&keys, ("row", "case")), Err(NotOpened));
        }
        let again = Sealed::seal(&keys, ("row", "case"), b"13800138000").unwrap();
        assert_ne!(again.sealed, sealed.sealed);
        assert!(!sealed.sealed.windows(5).any(|bytes| bytes == b"13800"));
    }
}
