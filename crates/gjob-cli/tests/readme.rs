//! The guarantees in README.md name tests that exist.

#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop here")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Everything in backquotes in the table of guarantees that is a test's name.
fn named_tests(readme: &str) -> BTreeSet<&str> {
    let (_, guarantees) = readme.split_once("## Guarantees").unwrap();
    let (guarantees, _) = guarantees.split_once("\n## ").unwrap();
    let quoted = guarantees.split('`').skip(1).step_by(2);
    quoted.filter(|word| word.contains('_') && !word.contains([' ', '-'])).collect()
}

/// The Rust files below a directory.
fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_guarantee_names_tests_that_exist() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let readme = fs::read_to_string(crates.parent().unwrap().join("README.md")).unwrap();
    let mut missing = named_tests(&readme);
    assert!(missing.len() > 40, "{missing:?}");
    let mut files = Vec::new();
    sources(crates, &mut files);
    for file in files {
        let text = fs::read_to_string(file).unwrap();
        missing.retain(|test| !text.contains(&format!("fn {test}(")));
    }
    assert_eq!(missing, BTreeSet::new(), "no such tests");
}
