//! Every seed of the fuzz targets, and every find that was kept as one, through the same code as they.

#[path = "../../fuzz/src/lib.rs"]
#[allow(dead_code, unreachable_pub, clippy::pedantic, reason = "a crate of its own")]
mod fuzz;

use std::fs;
use std::path::Path;

#[test]
fn every_seed_is_read_to_its_end_and_each_target_has_some() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
    for (target, run) in fuzz::TARGETS {
        let mut files: Vec<_> = fs::read_dir(seeds.join(target))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        assert!(files.len() >= 3, "{target}");
        for file in files {
            println!("{}", file.display());
            let whole = fs::read(&file).unwrap();
            run(&whole);
            // What a torn file holds, and one with a byte too many.
            for end in 0..whole.len().min(512) {
                run(&whole[..end]);
            }
            run(&[whole.as_slice(), &[0xff]].concat());
        }
    }
    let folders = fs::read_dir(&seeds).unwrap().count();
    assert_eq!(folders, fuzz::TARGETS.len(), "a folder of seeds without a target");
}
