//! The fixture of these tests: what was not expected fails.

mod support;

use support::Place;

#[test]
#[should_panic(expected = "exit status 2, expected 0")]
fn an_unexpected_exit_status_fails() {
    Place::new().gjob(&["agent", "--help"]).run();
}

#[test]
#[should_panic(expected = "actual:   stdout")]
fn unexpected_output_fails() {
    Place::new().gjob(&["--version"]).run();
}

#[test]
#[should_panic(expected = "actual:   stderr")]
fn missing_output_fails() {
    Place::new().gjob(&["agent", "--help"]).code(2).stderr("a word\n").run();
}
