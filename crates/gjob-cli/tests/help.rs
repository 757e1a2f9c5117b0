//! Every `--help` page, pinned as a file in `help/`. `SNAPSHOTS=overwrite` writes
//! them anew.

mod support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use snapbox::Data;
use support::Place;

fn pages() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/help")
}

/// The commands that a page lists.
fn listed(page: &str) -> Vec<String> {
    let lines = page.lines().skip_while(|line| *line != "Commands:").skip(1);
    let lines = lines.take_while(|line| !line.is_empty());
    let names = lines.filter(|line| !line.starts_with("   "));
    let names = names.filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

/// Pins the page of these commands, and those of the commands that it lists.
fn pin(place: &Place, commands: &[String], seen: &mut BTreeSet<String>) {
    let args = [commands, &["--help".to_owned()]].concat();
    let name = if commands.is_empty() { "gjob".to_owned() } else { commands.join("-") };
    let file = format!("{name}.txt");
    place.gjob(&args).stdout(Data::read_from(&pages().join(&file), None)).run();
    seen.insert(file);
    for command in listed(&place.gjob(&args).output().stdout) {
        pin(place, &[commands, &[command]].concat(), seen);
    }
}

#[test]
fn every_help_page_is_as_in_its_file() {
    let place = Place::new();
    let mut seen = BTreeSet::new();
    pin(&place, &[], &mut seen);
    let files = std::fs::read_dir(pages()).into_iter().flatten().flatten();
    let files: BTreeSet<String> =
        files.map(|file| file.file_name().to_string_lossy().into_owned()).collect();
    assert_eq!(seen, files, "a file per page");
}

#[test]
fn internal_commands_have_no_help_page() {
    let place = Place::new();
    for command in ["agent", "slot"] {
        place.gjob(&[command, "--help"]).code(2).run();
    }
}
