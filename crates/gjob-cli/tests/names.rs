//! Names are bytes: those of files, values and jobs arrive as they are, on the hosts
//! and back here.

#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop here")]

mod support;

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::process::Command;

use support::{Gjob, Place};

fn names() -> Vec<OsString> {
    let names: [&[u8]; 7] = [
        b"a\nb",
        b"caf\xe9",
        b"-n",
        b"\x1b[31m",
        b" x ",
        "\u{10ffe9}".as_bytes(),
        "größer".as_bytes(),
    ];
    let longest = [vec![b'x'; 255], vec![0xe9; 255]];
    let names = names.into_iter().map(<[u8]>::to_vec).chain(longest);
    names.map(OsString::from_vec).collect()
}

fn gjob<S: AsRef<OsStr>>(place: &Place, args: impl IntoIterator<Item = S>) -> Gjob {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gjob"));
    command.args(args).current_dir(place.path("here"));
    place.invoke(command)
}

fn args(words: &[&str], more: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    words.iter().map(OsString::from).chain(more).collect()
}

fn found(dir: &Path) -> BTreeSet<OsString> {
    std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name()).collect()
}

#[test]
fn files_of_any_name_arrive_and_come_back() {
    let place = Place::new();
    let all: BTreeSet<OsString> = names().into_iter().collect();
    let here = place.path("here");
    std::fs::create_dir(here.join("in")).unwrap();
    for name in &all {
        std::fs::write(here.join("in").join(name), name.as_bytes()).unwrap();
        std::os::unix::fs::symlink(name, here.join("in").join("link")).unwrap();
        std::fs::remove_file(here.join("in/link")).unwrap();
        std::fs::write(here.join(name), name.as_bytes()).unwrap();
    }
    std::os::unix::fs::symlink(OsStr::from_bytes(b"caf\xe9"), here.join("in/link")).unwrap();
    let mut options = args(&["run", "-f", "in", "-o", "out/", "--into", "back"], []);
    for name in &all {
        options.extend([OsString::from("-f"), OsString::from("./")]);
        options.last_mut().unwrap().push(name);
    }
    let script = "mkdir out; cp -P in/* out/; for name in in/*; do \
                  test -L \"$name\" || cmp -- \"$name\" \"./${name#in/}\"; done";
    place.file("jobs.txt", &format!("{script}\n"));
    options.push("jobs.txt".into());
    let answer = gjob(&place, options).output();
    assert_eq!(answer.code, 0, "{}{}", answer.stdout, answer.stderr);
    let mut back = found(&here.join("back/0/out"));
    assert!(back.remove(OsStr::new("link")));
    assert_eq!(back, all);
    for name in &all {
        let content = std::fs::read(here.join("back/0/out").join(name)).unwrap();
        assert_eq!(content, name.as_bytes());
    }
}

#[test]
fn each_value_is_one_job_whatever_its_bytes() {
    let place = Place::new();
    let all: Vec<OsString> = names().into_iter().filter(|name| name.len() < 255).collect();
    let command = ["run", "-k", "--", "printf '[%s]' {} >${GJOB_INDEX}; cat $GJOB_INDEX", ":::"];
    let values = all.iter().cloned();
    let to = std::fs::File::create(place.path("out")).unwrap();
    let answer = gjob(&place, args(&command, values)).stdout_to(to).output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    let expected: Vec<u8> =
        all.iter().flat_map(|name| [b"[", name.as_bytes(), b"]"].concat()).collect();
    assert_eq!(std::fs::read(place.path("out")).unwrap(), expected);
}

#[test]
fn values_that_end_in_nul_are_read_from_standard_input() {
    let place = Place::new();
    let answer =
        gjob(&place, ["run", "-k", "-0", "--", "printf '[%s]' {}"]).stdin("a\nb\0c\r\0d").output();
    assert_eq!((answer.code, answer.stdout.as_str()), (0, "[a\nb][c\r][d]"), "{}", answer.stderr);
}

#[test]
fn jobs_shown_as_json_are_read_back_with_all_bytes() {
    let place = Place::new();
    let value = OsString::from_vec(b"caf\xe9\r\n'\\x".to_vec());
    let dry = ["run", "--dry-run", "--json", "--", "printf %s {} >f; cat f", ":::"];
    let answer = gjob(&place, args(&dry, [value.clone()])).output();
    assert!(answer.stdout.contains("caf\u{10ffe9}"), "{}", answer.stdout);
    place.file("jobs.jsonl", &answer.stdout);
    let to = std::fs::File::create(place.path("out")).unwrap();
    let answer = gjob(&place, ["run", "--show", "all", "jobs.jsonl"]).stdout_to(to).output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert_eq!(std::fs::read(place.path("out")).unwrap(), value.as_bytes());
}

#[test]
fn each_file_is_one_line_of_a_dry_run() {
    let place = Place::new();
    place.file("a\nb", "");
    place.file("jobs.txt", "true\n");
    let answer = gjob(&place, ["run", "--dry-run", "-f", "a\nb", "jobs.txt"]).output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert!(answer.stdout.ends_with("    files:    a b\n"), "{}", answer.stdout);
}

#[test]
fn jobs_name_may_be_any_bytes_that_can_be_shown() {
    let place = Place::new();
    place.file("jobs.txt", "printf %s \"$GJOB_NAME\"\n");
    let name = OsString::from_vec(b"caf\xe9".to_vec());
    let to = std::fs::File::create(place.path("out")).unwrap();
    let words = args(&["run", "--show", "all", "jobs.txt", "--name"], [name.clone()]);
    let answer = gjob(&place, words).stdout_to(to).output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert!(answer.stderr.contains("#0 caf\\xE9"), "{}", answer.stderr);
    assert_eq!(std::fs::read(place.path("out")).unwrap(), name.as_bytes());
    assert_eq!(place.of_jobs("name"), ["caf\u{10ffe9}"]);
    let table = gjob(&place, ["status", "--jobs"]).output().stdout;
    assert!(table.contains("caf\\xE9"), "{table}");
    let log = gjob(&place, args(&["logs"], [name])).output();
    assert_eq!(log.code, 0, "{}", log.stderr);

    let words = args(&["run", "jobs.txt", "--name"], [OsString::from("a\nb")]);
    let answer = gjob(&place, words).output();
    assert_eq!(answer.code, 2, "{}", answer.stderr);
    assert!(answer.stderr.contains("invalid job name \"a\\nb\""), "{}", answer.stderr);
}

#[test]
fn directories_of_a_run_may_have_any_name() {
    let place = Place::new();
    let name = OsStr::from_bytes(b"caf\xe9");
    let here = place.path("here").join(name);
    std::fs::create_dir(&here).unwrap();
    std::fs::write(here.join("f"), "content").unwrap();
    std::fs::write(here.join(name), "[[job]]\ncommands = 'cat f >o'\nfiles = 'f'\n").unwrap();
    std::fs::rename(here.join(name), here.join("jobs.toml")).unwrap();
    let results = place.path("results").join(name);
    let connect = place.path("enter").with_file_name(OsStr::from_bytes(b"enter\xe9"));
    std::fs::write(&connect, "shift; exec \"$@\"\n").unwrap();
    let mut by = OsString::from("sh ");
    by.push(&connect);
    by.push(" {host}");
    let words = args(
        &["run", "-o", "o", "-H", "h1", "jobs.toml"],
        ["--connect".into(), by, "-r".into(), results.clone().into(), "--into".into(), name.into()],
    );
    let answer = gjob(&place, words).current_dir(&here).output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert_eq!(std::fs::read_to_string(here.join(name).join("0/o")).unwrap(), "content");
    assert!(results.join(".gjob").is_dir());
    let answer = gjob(&place, ["fetch", "--into", "again"]).current_dir(&here).output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert!(here.join("again/0/o").exists());
    let shown = &place.status()["outputs_dir"];
    assert!(shown.as_str().unwrap().ends_with("here/caf\u{10ffe9}/caf\u{10ffe9}"), "{shown}");
}

#[test]
fn script_finds_files_of_any_name() {
    let place = Place::new();
    std::fs::write(place.path("here").join(OsStr::from_bytes(b"caf\xe9")), "found").unwrap();
    let script = "import os\nfor name in os.listdir('.'):\n    if name.startswith('caf'):\n        \
                  Job('cat caf*', files=name, name=name)\nJob('true', files=b'caf\\xe9')\n";
    place.file("jobs.py", script);
    let answer = gjob(&place, ["run", "--show", "all", "jobs.py"]).output();
    assert_eq!((answer.code, answer.stdout.as_str()), (0, "found"), "{}", answer.stderr);
}
