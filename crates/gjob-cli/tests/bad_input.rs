//! Bad input: status 2, every error at once with its place, nothing started.

mod support;

use support::{Answer, Place};

fn refused(place: &Place, args: &[&str]) -> Answer {
    let answer = place.gjob(args).output();
    assert_eq!(answer.code, 2, "{args:?}: {answer:?}");
    assert_eq!(answer.stdout, "", "{args:?}");
    assert!(!place.has_run(), "{args:?} left a run");
    assert!(!place.path("results").exists(), "{args:?} made job directories");
    answer
}

fn says(args: &[&str], expected: &[&str]) {
    let place = Place::new();
    place.file("ok.txt", "true\n");
    place.file("empty.txt", "# nothing\n\n");
    place.file("nul.txt", "echo a\0b\n");
    place.file("unknown.jsonl", "{\"cmds\": [\"true\"], \"fles\": [\"x\"]}\n{\"cmds\": []}\n");
    place.file("name.jsonl", "{\"cmds\": [\"true\"], \"name\": \"a\\nb\"}\n");
    place.file("turned.jsonl", "{\"cmds\": [\"true\"], \"name\": \"a\u{202e}b\"}\n");
    let answer = refused(&place, args);
    for text in expected {
        assert!(answer.stderr.contains(text), "{args:?}: no {text:?} in\n{}", answer.stderr);
    }
}

#[test]
fn a_host_that_could_be_an_option_is_refused() {
    says(&["run", "-H=-oProxyCommand=x", "ok.txt"], &["-oProxyCommand"]);
    says(&["run", "-H", "a;b", "ok.txt"], &["a;b"]);
    says(&["run", "-H", "a$(b)", "ok.txt"], &["a$(b)"]);
    says(&["run", "-H", "a\nb", "ok.txt"], &["a\\nb"]);
}

#[test]
fn malformed_host_lists_are_refused() {
    says(&["run", "-H", "n[3-1]", "ok.txt"], &["item 1: reversed range 3-1: expected 1-3"]);
    says(&["run", "-H", "n[1-", "ok.txt"], &["item 1: "]);
    says(&["run", "-H", "0/n1", "ok.txt"], &["item 1: ", "slots"]);
    says(&["run", "-H", "n1,n1", "ok.txt"], &["item 2: ", "n1"]);
    says(&["run", "--hosts-file", "no-such-file", "ok.txt"], &["no-such-file"]);
    says(&["run", "-j", "0", "ok.txt"], &["0"]);
}

#[test]
fn job_files_with_nothing_or_nonsense_in_them_are_refused() {
    says(&["run", "empty.txt"], &["no jobs"]);
    says(&["run", "no-such-file.txt"], &["no-such-file.txt"]);
    says(&["run", "nul.txt"], &["nul.txt:1", "NUL"]);
    says(&["run", "name.jsonl"], &["name.jsonl:1", "name"]);
    says(&["run", "turned.jsonl"], &["turned.jsonl:1", "name \"a\\u{202e}b\""]);
    says(&["run", "unknown.jsonl"], &["unknown.jsonl:1", "fles", "files", "unknown.jsonl:2"]);
}

#[test]
fn all_errors_of_a_command_line_come_at_once() {
    says(
        &[
            "run",
            "-H",
            "n[3-1]",
            "--timeout",
            "soon",
            "--env",
            "X",
            "-f",
            "missing",
            "unknown.jsonl",
        ],
        &[
            "range 3-1",
            "--timeout",
            "--env",
            "--file: file \"missing\" does not exist",
            "unknown.jsonl:1",
            "nothing was started",
        ],
    );
}

#[test]
fn files_that_cannot_be_sent_are_refused() {
    says(&["run", "-f", "missing.dat", "ok.txt"], &["missing.dat"]);
    says(&["run", "-f", ".", "ok.txt"], &["\".\" has no base name"]);
    says(&["run", "-f", "/dev/null", "ok.txt"], &["/dev/null", "device"]);
    says(&["run", "-f", "ok.txt", "-f", "../here/ok.txt", "ok.txt"], &["same base name"]);
}

#[test]
fn a_run_that_is_not_there_is_named() {
    let place = Place::new();
    for args in [["status", "2026-01-01-1"], ["attach", "2026-01-01-1"]] {
        let answer = refused(&place, &args);
        assert!(answer.stderr.contains("no run 2026-01-01-1 in "), "{}", answer.stderr);
    }
    let answer = refused(&place, &["status", "yesterday"]);
    assert!(answer.stderr.contains("invalid run id \"yesterday\""), "{}", answer.stderr);
}
