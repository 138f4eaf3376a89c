//! The scalar functions: one golden file each.

use crate::golden_files;
use crate::tables::{csv, engine};

#[tokio::test]
async fn golden_files_of_functions() {
    let engine = engine();
    let (files, wrong) = golden_files::run("tests/sql/golden", async |sql| csv(&engine, sql).await).await;
    assert!(files >= 10, "one file a function");
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
