//! Every `--help` page, pinned as a file in `help/`. `SNAPSHOTS=overwrite` writes
//! them anew.

#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop here")]

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
    let page = std::fs::read_to_string(pages().join(&file)).unwrap();
    let wide = page.lines().find(|line| line.chars().count() > 80);
    assert_eq!(wide, None, "{file}: a terminal of 80 columns breaks it");
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

/// Variables that only gjob itself, its completions or its tests set.
const INTERNAL: [&str; 6] = [
    "GJOB_COMPLETE",
    "GJOB_LEDGER_DIR",
    "GJOB_NOTIFIED",
    "GJOB_OPEN_FILES",
    "GJOB_RUN_IDENTITY",
    "GJOB_WITHIN",
];

/// The names that the packages' sources have in quotes.
fn variables() -> BTreeSet<String> {
    let name = regex::Regex::new(r#""(GJOB_[A-Z_]+)""#).unwrap();
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found = BTreeSet::new();
    let mut dirs: Vec<PathBuf> = ["gjob", "gjob-agent", "gjob-core", "gjob-cli"]
        .map(|it| packages.join(it).join("src"))
        .into();
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                dirs.push(path);
                continue;
            }
            let text = std::fs::read_to_string(path).unwrap_or_default();
            found.extend(name.captures_iter(&text).map(|it| it[1].to_owned()));
        }
    }
    found
}

#[test]
fn every_environment_variable_is_in_the_help_or_among_those_of_jobs() {
    let help = Place::new().gjob(&["--help"]).output().stdout;
    let readme = include_str!("../../../README.md");
    let (_, jobs) = readme.split_once("## What a job sees").unwrap();
    let (jobs, _) = jobs.split_once("\n## ").unwrap();
    let (_, environment) = readme.split_once("## Environment").unwrap();
    let (environment, _) = environment.split_once("\n## ").unwrap();
    let found = variables();
    assert!(found.contains("GJOB_STATE_DIR"), "{found:?}");
    for name in found.iter().filter(|name| !INTERNAL.contains(&name.as_str())) {
        let is_told = help.contains(name.as_str()) && environment.contains(name.as_str());
        assert!(is_told || jobs.contains(name.as_str()), "{name}");
    }
}

#[test]
fn internal_commands_have_no_help_page() {
    let place = Place::new();
    for command in ["agent", "slot"] {
        place.gjob(&[command, "--help"]).code(2).run();
    }
}
