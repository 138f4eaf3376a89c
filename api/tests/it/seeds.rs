//! Every seed of the fuzz targets, and every find that was kept as one, through the same code as they.

use std::fs;
use std::path::Path;

#[path = "../../fuzz/src/lib.rs"]
#[allow(dead_code, unreachable_pub, reason = "a crate of its own")]
mod fuzz;

#[test]
fn every_seed_of_an_address_or_a_header_is_read_to_its_end() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
    let targets = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets");
    let manifest = fs::read_to_string(targets.with_file_name("Cargo.toml")).unwrap();
    for (target, run) in fuzz::TARGETS {
        let files = fs::read_dir(seeds.join(target)).unwrap();
        let mut read = 0;
        for file in files {
            let whole = fs::read(file.unwrap().path()).unwrap();
            for end in 0..=whole.len() {
                run(&whole[..end]);
                run(&whole[end..]);
            }
            read += 1;
        }
        assert!(read >= 3, "{target}");
        // The one line of a target that is compiled for fuzzing only.
        let own = fs::read_to_string(targets.join(target).with_extension("rs")).unwrap();
        let line = format!("libfuzzer_sys::fuzz_target!(|bytes: &[u8]| riskgrid_api_fuzz::{target}(bytes));");
        assert!(own.ends_with(&format!("#![no_main]\n\n{line}\n")), "{target}");
        let binary = format!("name = \"{target}\"\npath = \"fuzz_targets/{target}.rs\"\n");
        assert!(manifest.contains(&binary), "{target}");
    }
    let folders = fs::read_dir(&seeds).unwrap().count();
    assert_eq!(folders, fuzz::TARGETS.len(), "a folder of seeds without a target");
}
