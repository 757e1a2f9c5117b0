//! Files that were mended after jobs had failed with them.

use super::{Field, assert_code};

#[test]
fn jobs_that_failed_run_again_with_the_mended_file() {
    let field = Field::new(2);
    field.place.file("fit.sh", "test $1 -lt 3\n");
    let args = ["-q", "-f", "fit.sh", "--", "bash fit.sh", ":::", "1", "2", "3", "4"];
    assert_code(&field.run(&args).output(), 1);
    assert_eq!(field.place.of_jobs("state"), ["done", "done", "error", "error"]);
    field.place.file("fit.sh", "echo mended\n");

    // The old file runs for nobody who has not asked for it.
    let refused = field.place.gjob(&["retry"]).output();
    assert_code(&refused, 2);
    assert!(refused.stderr.contains("fit.sh has changed since"), "{}", refused.stderr);
    assert!(refused.stderr.contains("--new-files"), "{}", refused.stderr);
    assert_eq!(field.place.of_jobs("state"), ["done", "done", "error", "error"]);

    field.said(&["retry", "--new-files"]);
    assert_code(&field.place.gjob(&["attach", "-q"]).output(), 0);
    assert_eq!(field.place.of_jobs("attempt"), [1, 1, 2, 2]);
    assert_eq!(field.said(&["logs", "3"]), "mended\n");
}

#[test]
fn a_mended_file_counts_for_skip_done_unless_the_command_alone_is_compared() {
    let field = Field::new(1);
    field.place.file("fit.sh", "test $1 -lt 3\n");
    let args = ["-q", "-f", "fit.sh", "--", "bash fit.sh", ":::", "1", "2", "3", "4"];
    assert_code(&field.run(&args).output(), 1);
    field.place.file("fit.sh", "echo mended\n");
    let skipping = |options: &[&str]| {
        let answer = field.run(&[options, &args[..]].concat()).output();
        assert_code(&answer, 0);
        field.place.of_jobs("state").len()
    };
    assert_eq!(skipping(&["--skip-done", "latest", "--same", "command"]), 2);
    let first = field.said(&["runs", "--json"]);
    let first: serde_json::Value = serde_json::from_str(&first).unwrap();
    let runs = first.as_array().unwrap().iter().map(|run| run["run"].as_str().unwrap());
    let first = runs.min().unwrap().to_owned();
    assert_eq!(skipping(&["--skip-done", &first]), 4);
}
