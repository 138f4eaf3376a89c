//! Packed bodies, unpacked within the limits: a short one that would become long is stopped where the limit is.

use std::io::Read;
use std::sync::Arc;

use super::budget::{BodyBudget, Full, Gathered};
use super::content::Packing;

/// Unpacked in such steps.
const STEP: usize = 64 << 10;
/// Windows of 8 MiB, as RFC 9659 allows for zstd in HTTP: its decoder takes the memory before the first byte.
const ZSTD_WINDOW_LOG: u32 = 23;

/// Why a body could not be unpacked.
#[derive(Debug)]
pub(crate) enum NotUnpacked {
    Full(Full),
    /// It is not what its `Content-Encoding` says, or only a part of it.
    Corrupt(String),
}

/// The bytes that `packed` stands for.
pub(crate) fn unpack(
    packing: Packing,
    packed: &[u8],
    limit: usize,
    budget: &Arc<BodyBudget>,
) -> Result<Gathered, NotUnpacked> {
    match packing {
        Packing::None => read(packed, limit, budget),
        Packing::Gzip => read(flate2::read::MultiGzDecoder::new(packed), limit, budget),
        Packing::Zstd => {
            let decoder = zstd::stream::read::Decoder::with_buffer(packed).and_then(|mut decoder| {
                decoder.window_log_max(ZSTD_WINDOW_LOG)?;
                Ok(decoder)
            });
            read(decoder.map_err(corrupt)?, limit, budget)
        }
    }
}

fn read(mut reader: impl Read, limit: usize, budget: &Arc<BodyBudget>) -> Result<Gathered, NotUnpacked> {
    let mut gathered = Gathered::new(budget, limit);
    let mut step = vec![0; STEP];
    loop {
        let count = reader.read(&mut step).map_err(corrupt)?;
        let Some(bytes) = step.get(..count).filter(|bytes| !bytes.is_empty()) else {
            return Ok(gathered);
        };
        gathered.extend(bytes).map_err(NotUnpacked::Full)?;
    }
}

#[allow(clippy::needless_pass_by_value, reason = "it is the error's end")]
fn corrupt(error: std::io::Error) -> NotUnpacked {
    NotUnpacked::Corrupt(error.to_string())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn packed(packing: Packing, bytes: &[u8]) -> Vec<u8> {
        match packing {
            Packing::None => bytes.to_vec(),
            Packing::Gzip => gzip(bytes),
            Packing::Zstd => zstd::encode_all(bytes, 3).unwrap(),
        }
    }

    fn unpacked(packing: Packing, bytes: &[u8], limit: usize, budget: usize) -> Result<Vec<u8>, NotUnpacked> {
        let budget = BodyBudget::new(budget);
        let result = unpack(packing, bytes, limit, &budget).map(|gathered| gathered.finish().0);
        assert_eq!(budget.used(), 0);
        result
    }

    #[test]
    fn a_bomb_is_stopped_at_the_limit() {
        for packing in [Packing::Gzip, Packing::Zstd] {
            let bomb = packed(packing, &vec![0; 32 << 20]);
            assert!(bomb.len() < 64 << 10);
            let result = unpacked(packing, &bomb, 1 << 20, 64 << 20);
            assert!(
                matches!(result, Err(NotUnpacked::Full(Full::Limit))),
                "{packing:?}"
            );
            let result = unpacked(packing, &bomb, 64 << 20, 1 << 20);
            assert!(
                matches!(result, Err(NotUnpacked::Full(Full::Budget))),
                "{packing:?}"
            );
        }
    }

    #[test]
    fn what_is_cut_changed_or_followed_by_other_bytes_is_corrupt() {
        for packing in [Packing::Gzip, Packing::Zstd] {
            let whole = packed(packing, b"{\"a\": 1}\n{\"b\": 2}\n");
            let is_corrupt =
                |bytes: &[u8]| matches!(unpacked(packing, bytes, 100, 1000), Err(NotUnpacked::Corrupt(_)));
            for end in 1..whole.len() {
                assert!(is_corrupt(&whole[..end]), "{packing:?} {end}");
            }
            assert!(is_corrupt(&[&whole[..], b"tail"].concat()), "{packing:?}");
            assert!(is_corrupt(b"{}"), "{packing:?}");
            let doubled = [&whole[..], &whole].concat();
            assert_eq!(
                unpacked(packing, &doubled, 100, 1000).unwrap().len(),
                36,
                "{packing:?}"
            );
        }
    }

    #[test]
    fn a_window_that_takes_more_memory_than_a_body_is_refused() {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(27).unwrap();
        encoder.include_contentsize(false).unwrap();
        encoder.write_all(b"x").unwrap();
        let bytes = encoder.finish().unwrap();
        assert!(matches!(
            unpacked(Packing::Zstd, &bytes, 100, 1000),
            Err(NotUnpacked::Corrupt(_))
        ));
    }

    proptest! {
        #[test]
        fn bytes_come_back_as_they_were(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            for packing in [Packing::None, Packing::Gzip, Packing::Zstd] {
                let back = unpacked(packing, &packed(packing, &bytes), 2000, 4000).unwrap();
                prop_assert_eq!(&back, &bytes);
            }
        }

        #[test]
        fn any_bytes_are_unpacked_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for (packing, magic) in [(Packing::Gzip, &b"\x1f\x8b\x08"[..]), (Packing::Zstd, &b"\x28\xb5\x2f\xfd"[..])] {
                let _ = unpacked(packing, &bytes, 1 << 16, 1 << 16);
                let _ = unpacked(packing, &[magic, &bytes].concat(), 1 << 16, 1 << 16);
            }
        }
    }
}
