//! Bad input: exit status 2, all errors at once with their places, nothing started.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod support;

use snapbox::{IntoData, str};
use support::Place;

/// Runs `gjob` with bad input beside some job files.
#[track_caller]
fn refused(args: &[&str], stderr: impl IntoData) {
    let place = Place::new();
    place.file("ok.txt", "true\n");
    place.file("empty.txt", "# nothing\n\n");
    place.file("nul.txt", "echo a\0b\n");
    std::fs::write(place.path("here/latin1.txt"), b"echo ok\necho caf\xe9\n").unwrap();
    place.file("unknown.jsonl", "{\"cmds\": [\"true\"], \"fles\": [\"x\"]}\n{\"cmds\": []}\n");
    place.file("name.jsonl", "{\"cmds\": [\"true\"], \"name\": \"a\\nb\"}\n");
    place.file("none.jsonl", "{\"cmds\": [\"true\"], \"repeat\": 0}\n");
    place.file("turned.jsonl", "{\"cmds\": [\"true\"], \"name\": \"a\u{202e}b\"}\n");
    place.file(
        "many.jsonl",
        "{\"cmds\": [\"true\"]}\n{\"cmds\": [\"true\"], \"repeat\": 10000000}\n",
    );
    place.gjob(args).code(2).stderr(stderr).run();
    assert!(!place.has_run(), "{args:?} left a run");
    assert!(!place.path("results").exists(), "{args:?} made job directories");
}

#[test]
fn host_that_could_be_an_option_is_refused() {
    refused(
        &["run", "-H=-oProxyCommand=x", "ok.txt"],
        str![[r#"
gjob: host list, item 1: invalid host name "-oProxyCommand=x": expected up to 200 letters, digits and -._, not starting with a dash
gjob: nothing was started

"#]],
    );
    refused(
        &["run", "-H", "a;b", "ok.txt"],
        str![[r#"
gjob: host list, item 1: invalid host name "a;b": expected up to 200 letters, digits and -._, not starting with a dash
gjob: nothing was started

"#]],
    );
    refused(
        &["run", "-H", "a$(b)", "ok.txt"],
        str![[r#"
gjob: host list, item 1: invalid host name "a$(b)": expected up to 200 letters, digits and -._, not starting with a dash
gjob: nothing was started

"#]],
    );
    refused(
        &["run", "-H", "a\nb", "ok.txt"],
        str![[r#"
gjob: host list, item 1: invalid host name "a\nb": expected up to 200 letters, digits and -._, not starting with a dash
gjob: nothing was started

"#]],
    );
}

#[test]
fn malformed_host_list_is_refused() {
    refused(
        &["run", "-H", "n[3-1]", "ok.txt"],
        str![[r#"
gjob: host list, item 1: reversed range 3-1: expected 1-3
gjob: nothing was started

"#]],
    );
    refused(
        &["run", "-H", "n[1-", "ok.txt"],
        str![[r#"
gjob: host list, item 1: invalid range "[1-": expected numbers and ascending ranges in brackets, such as [01-32,40]
gjob: nothing was started

"#]],
    );
    refused(
        &["run", "-H", "0/n1", "ok.txt"],
        str![[r#"
gjob: host list, item 1: invalid slots "0": expected a number from 1 to 10000
gjob: nothing was started

"#]],
    );
    refused(
        &["run", "-H", "n1,n1", "ok.txt"],
        str![[r#"
gjob: host list, item 2: host "n1" is named twice, first at host list, item 1
gjob: nothing was started

"#]],
    );
    refused(
        &["run", "--hosts-file", "no-such-file", "ok.txt"],
        str![[r#"
gjob: no-such-file: No such file or directory (os error 2)
gjob: nothing was started

"#]],
    );
    refused(
        &["run", "-j", "0", "ok.txt"],
        str![[r#"
gjob: invalid value '0' for '--slots <N>': 0 is not in 1..=10000
help: `gjob run --help` lists what it takes

"#]],
    );
}

#[test]
fn job_file_without_jobs_is_refused() {
    refused(
        &["run", "empty.txt"],
        str![[r#"
gjob: empty.txt: no jobs: expected at least one command
gjob: nothing was started

"#]],
    );
    refused(
        &["run", "none.jsonl"],
        str![[r#"
gjob: none.jsonl: no jobs: every job has repeat = 0
gjob: nothing was started

"#]],
    );
    refused(
        &["run", "no-such-file.txt"],
        str![[r#"
gjob: no-such-file.txt: cannot be read: No such file or directory (os error 2)
gjob: nothing was started

"#]],
    );
    refused(
        &["run", "--", "echo {}"],
        str![[r#"
gjob: command: no input values: give some after ::: or on standard input
help: to run the command once, as in a cron job: gjob run … -- CMD </dev/null
gjob: nothing was started

"#]],
    );
}

#[test]
fn invalid_job_file_is_refused() {
    refused(
        &["run", "nul.txt"],
        str![[r#"
gjob: nul.txt:1: command 1 contains a NUL byte: expected text without it
gjob: nothing was started

"#]],
    );
    refused(
        &["run", "latin1.txt"],
        str![[r#"
gjob: latin1.txt:2:9: invalid text: expected UTF-8
gjob: nothing was started

"#]],
    );
    refused(
        &["run", "name.jsonl"],
        str![[r#"
gjob: name.jsonl:1: invalid job name "a\nb": expected 1 to 255 bytes of printable characters
gjob: nothing was started

"#]],
    );
    refused(
        &["run", "turned.jsonl"],
        str![[r#"
gjob: turned.jsonl:1: invalid job name "a\u{202e}b": expected 1 to 255 bytes of printable characters
gjob: nothing was started

"#]],
    );
    refused(
        &["run", "unknown.jsonl"],
        str![[r#"
gjob: unknown.jsonl:1:20: unknown field "fles": expected one of commands, files, link, outputs, name, env, params, timeout, retries, cpus, affinity, gpus, mem, retry_mem, hosts, labels, after, pipefail, shell, repeat
help: did you mean "files"?
gjob: unknown.jsonl:2: no command: expected at least one that is not blank
gjob: nothing was started

"#]],
    );
    refused(
        &["run", "many.jsonl"],
        str![[r#"
gjob: many.jsonl:2: too many jobs: expected at most 10000000
gjob: nothing was started

"#]],
    );
}

#[test]
fn job_file_takes_no_arguments() {
    refused(
        &["run", "ok.txt", "--", "x"],
        str![[r#"
gjob: -- x: expected no arguments for a job file other than a Python script (.py)
help: to run a command with values, leave out the job file: -- CMD ::: VALUES
gjob: nothing was started

"#]],
    );
}

#[test]
fn invalid_option_is_refused() {
    refused(
        &["run", "ok.txt", "--cpus", "few", "--mem", "much", "--timeout=-1s"],
        str![[r#"
gjob: --timeout: invalid duration "-1s": expected 0 or more
gjob: --cpus: invalid cpus "few": expected a number of processors or "all"
gjob: --mem: invalid size "much": expected bytes (4096) or units (500M, 1.5G, 2T)
gjob: nothing was started

"#]],
    );
    refused(
        &["run", "ok.txt", "--cpus", "0", "--timeout", "0", "--mem", "16384P"],
        str![[r#"
gjob: --timeout: invalid duration "0": expected more than 0
gjob: --mem: invalid size "16384P": expected less than 16384P
gjob: --cpus: invalid cpus 0: expected 1 or more, or "all"
gjob: nothing was started

"#]],
    );
    refused(
        &["run", "ok.txt", "--name", &"n".repeat(300), "-o", "../x"],
        str![[r#"
gjob: --name: invalid job name "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn…": expected 1 to 255 bytes of printable characters
gjob: --output: output "../x" leads out of the job directory: expected a path without a leading /, . and ..
gjob: nothing was started

"#]],
    );
    refused(
        &["run", "ok.txt", "--env", "1=x", "--env", "GJOB_RUN=x"],
        str![[r#"
gjob: --env: invalid environment variable name "1": expected letters, digits and _, not starting with a digit
gjob: --env: reserved environment variable GJOB_RUN: expected a name that does not start with GJOB_
gjob: nothing was started

"#]],
    );
    refused(
        &["run", "ok.txt", "--repeat", "0"],
        str![[r#"
gjob: invalid value '0' for '--repeat <N>': 0 is not in 1..=4294967295
help: `gjob run --help` lists what it takes

"#]],
    );
}

#[test]
fn all_errors_of_a_command_line_are_shown_at_once() {
    let options = ["-H", "n[3-1]", "--timeout", "soon", "--env", "X", "-f", "missing"];
    refused(
        &[&["run"], &options[..], &["unknown.jsonl"]].concat(),
        str![[r#"
gjob: host list, item 1: reversed range 3-1: expected 1-3
gjob: --env: invalid variable "X": expected NAME=VALUE
gjob: --timeout: invalid duration "soon": expected seconds (90) or units (500ms, 1h30m, 2d)
gjob: --file: file "missing" does not exist
gjob: unknown.jsonl:1:20: unknown field "fles": expected one of commands, files, link, outputs, name, env, params, timeout, retries, cpus, affinity, gpus, mem, retry_mem, hosts, labels, after, pipefail, shell, repeat
help: did you mean "files"?
gjob: unknown.jsonl:2: no command: expected at least one that is not blank
gjob: nothing was started

"#]],
    );
}

#[test]
fn file_that_cannot_be_sent_is_refused() {
    refused(
        &["run", "-f", "missing.dat", "ok.txt"],
        str![[r#"
gjob: --file: file "missing.dat" does not exist
gjob: nothing was started

"#]],
    );
    refused(
        &["run", "-f", ".", "ok.txt"],
        str![[r#"
gjob: --file: file "." has no base name: expected a path to a file or directory
help: a directory arrives with its name: -f data; for what is in it, name each: -f a -f b
gjob: nothing was started

"#]],
    );
    refused(
        &["run", "-f", "/dev/null", "ok.txt"],
        str![[r#"
gjob: --file: file "/dev/null" is a device: expected a regular file or a directory
gjob: nothing was started

"#]],
    );
    refused(
        &["run", "-f", "ok.txt", "-f", "../here/ok.txt", "ok.txt"],
        str![[r#"
gjob: --file: files "ok.txt" and "../here/ok.txt" have the same base name: expected a different one for each file in the job directory
gjob: nothing was started

"#]],
    );
}

#[test]
fn unknown_run_is_refused() {
    refused(
        &["status", "2026-01-01-1"],
        str![[r#"
gjob: no run [DATE]-1 in [PLACE]/state/runs

"#]],
    );
    refused(
        &["attach", "2026-01-01-1"],
        str![[r#"
gjob: no run [DATE]-1 in [PLACE]/state/runs

"#]],
    );
    refused(
        &["status", "yesterday"],
        str![[r#"
gjob: invalid run "yesterday": expected an id such as [DATE]-1, the end of one (1, 22-1), or latest

"#]],
    );
}
