//! What commands print in tables fits a terminal of 80 columns, and off a terminal nothing
//! of it is left out.

#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop here")]

mod support;

use support::Place;
use unicode_width::UnicodeWidthStr;

const COLUMNS: u16 = 80;

/// Longer than any column: one word, and many of them with wide characters.
const NAME: &str = "fit-with-a-name-that-is-longer-than-what-a-column-has-room-for";
const WORDS: &str = "日本語の長い引数 second third fourth fifth sixth seventh eighth ninth tenth";

/// A run with a failure, a job that waits for one that runs until it is killed, and
/// long texts.
fn place() -> Place {
    let place = Place::new();
    let after = format!(r#"{{"cmds": "true", "name": "last", "after": ["{NAME}"]}}"#);
    place.file(
        "jobs.jsonl",
        &format!(
            "{}\n{}\n{after}\n",
            format_args!(r#"{{"cmds": "exit 3 # {WORDS}", "name": "prepare"}}"#),
            format_args!(r#"{{"cmds": "exec sleep 1000 # {WORDS}", "name": "{NAME}"}}"#),
        ),
    );
    place
}

/// What is printed on a terminal, as lines of the terminal's width at most. A line that
/// the program itself does not end there would be seen as a full one.
fn on_terminal(place: &Place, args: &[&str]) -> Vec<String> {
    let mut screen = place.gjob(args).on_screen(60, COLUMNS);
    screen.end();
    let text = String::from_utf8(screen.bytes()).unwrap().replace('\r', "");
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for line in &lines {
        assert!(line.width() <= COLUMNS.into(), "{args:?}: {} columns: {line}", line.width());
    }
    lines
}

#[test]
fn tables_fit_the_terminal_and_are_whole_off_it() {
    let place = place();
    let mut manager = place.gjob(&["run", "-j", "2", "jobs.jsonl"]).start();
    manager.wait_until_printed("FAILED #0");
    let lines = on_terminal(&place, &["status", "--all"]);
    assert!(lines.iter().any(|line| line.contains("fit-with-") && line.contains('…')), "{lines:?}");
    on_terminal(&place, &["runs"]);
    let text = place.gjob(&["status", "--all"]).output().stdout;
    assert!(text.contains(NAME) && text.contains(&format!("sleep 1000 # {WORDS}")), "{text}");
    let text = place.gjob(&["runs"]).output().stdout;
    assert!(text.contains(&format!("exit 3 # {WORDS}")), "{text}");
    manager.kill_9();
    // What is said of a run without a manager is longer than a line.
    let lines = on_terminal(&place, &["status"]);
    assert!(lines.iter().any(|line| line.starts_with("    ")), "{lines:?}");
    assert_eq!(place.gjob(&["kill", "--all"]).output().code, 0);
    let lines = on_terminal(&place, &["status"]);
    let help = lines.iter().find(|line| line.starts_with("help: ")).unwrap();
    assert!(help.matches('`').count() % 2 == 0, "a command is not broken: {help}");
}

#[test]
fn hosts_and_disk_usage_fit_the_terminal() {
    let place = Place::new();
    let long = "a-host-with-a-name-that-is-longer-than-most-of-them-are.example.invalid";
    let hosts = format!(":,{long}");
    on_terminal(&place, &["hosts", "-H", &hosts]);
    on_terminal(&place, &["du", "-H", &hosts]);
    let text = place.gjob(&["hosts", "-H", &hosts]).output().stdout;
    assert!(text.contains(&format!("{long}  unreachable")), "{text}");
}

#[test]
fn hints_of_explain_fit_the_terminal_with_their_commands_whole() {
    let place = Place::new();
    place.file("jobs.txt", "exit 3\n");
    assert_eq!(place.gjob(&["run", "-q", "jobs.txt"]).output().code, 1);
    let lines = on_terminal(&place, &["explain", "0"]);
    assert!(
        lines.iter().any(|line| line.contains("`gjob retry 0 ") && line.ends_with('`')),
        "{lines:?}"
    );
}
