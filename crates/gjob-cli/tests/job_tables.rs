//! Job files in TOML: mistakes in them are shown with the line and a marker, all
//! at once, before anything is started.

mod support;

use snapbox::{IntoData, str};
use support::Place;

/// Runs `jobs.toml` with this text, which has something wrong with it.
#[track_caller]
fn refused(text: &str, stderr: impl IntoData) {
    let place = Place::new();
    place.file("jobs.toml", text);
    place.gjob(&["run", "jobs.toml"]).code(2).stderr(stderr).run();
    assert!(!place.has_run() && !place.path("results").exists(), "something was started");
}

#[test]
fn matrix_runs_a_job_for_each_combination() {
    let place = Place::new();
    place.file("data", "7\n");
    place.file(
        "jobs.toml",
        "[defaults]\nfiles = ['data']\n\n[[job]]\nname = 'x-{a}-{b}'\n\
         commands = 'echo $GJOB_NAME $GJOB_REPEAT $(cat data)'\nrepeat = 2\n\
         matrix = { a = ['p', 'q'], b = '1..2' }\nexclude = [{ a = 'p', b = 1 }]\n",
    );
    // In another directory: paths are relative to the job file.
    place
        .gjob(&["run", "here/jobs.toml", "-k", "-j", "1", "--show", "all"])
        .current_dir(&place.path(""))
        .stdout(str![[r#"
x-p-2 0 7
x-p-2 1 7
x-q-1 0 7
x-q-1 1 7
x-q-2 0 7
x-q-2 1 7

"#]])
        .stderr(str![[r#"
run [DATE]-1: 6 jobs, 1 host
start #0 x-p-2: echo $GJOB_NAME $GJOB_REPEAT $(cat data)
ok #0 x-p-2 in [ELAPSED]
start #1 x-p-2: echo $GJOB_NAME $GJOB_REPEAT $(cat data)
ok #1 x-p-2 in [ELAPSED]
start #2 x-q-1: echo $GJOB_NAME $GJOB_REPEAT $(cat data)
ok #2 x-q-1 in [ELAPSED]
start #3 x-q-1: echo $GJOB_NAME $GJOB_REPEAT $(cat data)
ok #3 x-q-1 in [ELAPSED]
start #4 x-q-2: echo $GJOB_NAME $GJOB_REPEAT $(cat data)
ok #4 x-q-2 in [ELAPSED]
start #5 x-q-2: echo $GJOB_NAME $GJOB_REPEAT $(cat data)
ok #5 x-q-2 in [ELAPSED]
run [DATE]-1: 6 done in [ELAPSED]

"#]])
        .run();
}

#[test]
fn invalid_toml_is_shown() {
    refused(
        "[[job]]\ncommands = make\n",
        str![[r#"
gjob: jobs.toml:2:12: invalid TOML: string values must be quoted, expected literal string
gjob:   |
gjob: 2 | commands = make
gjob:   |            ^^^^
gjob: nothing was started

"#]],
    );
}

#[test]
fn unknown_field_is_shown_with_the_nearest_one() {
    let text = "[default]\nenv = {}\n\n[[job]]\ncommands = 'true'\n\ttimout = 3\n";
    refused(
        text,
        str![[r#"
gjob: jobs.toml:1:2: unknown field "default": expected one of defaults, job
gjob:   |
gjob: 1 | [default]
gjob:   |  ^^^^^^^
help: did you mean "defaults"?
gjob: jobs.toml:6:2: unknown field "timout": expected one of commands, files, link, outputs, name, env, params, timeout, retries, cpus, affinity, gpus, mem, retry_mem, hosts, labels, after, pipefail, shell, repeat, matrix, include, exclude
gjob:   |
gjob: 6 |     timout = 3
gjob:   |     ^^^^^^
help: did you mean "timeout"?
gjob: nothing was started

"#]],
    );
}

#[test]
fn invalid_value_is_shown() {
    refused(
        "[[job]]\ncommands = 'true'\nmem = 'much'\nfiles = [1]\nname = ''\n",
        str![[r#"
gjob: jobs.toml:3:7: field "mem": invalid size "much": expected bytes (4096) or units (500M, 1.5G, 2T)
gjob:   |
gjob: 3 | mem = 'much'
gjob:   |       ^^^^^^
gjob: jobs.toml:4:9: field "files": invalid type: integer `1`, expected a string
gjob:   |
gjob: 4 | files = [1]
gjob:   |         ^^^
gjob: nothing was started

"#]],
    );
    refused(
        "[[job]]\ncommands = ['', ' ']\nname = ''\nenv = { 1 = 'x' }\n",
        str![[r#"
gjob: jobs.toml:2:12: no command: expected at least one that is not blank
gjob:   |
gjob: 2 | commands = ['', ' ']
gjob:   |            ^^^^^^^^^
gjob: jobs.toml:3:8: invalid job name "": expected 1 to 255 bytes of printable characters
gjob:   |
gjob: 3 | name = ''
gjob:   |        ^^
gjob: jobs.toml:4:7: invalid environment variable name "1": expected letters, digits and _, not starting with a digit
gjob:   |
gjob: 4 | env = { 1 = 'x' }
gjob:   |       ^^^^^^^^^^^
gjob: nothing was started

"#]],
    );
    refused(
        "[defaults]\ncpus = 0\n[[job]]\ncommands = 'true'\n",
        str![[r#"
gjob: jobs.toml:2:8: invalid cpus 0: expected 1 or more, or "all"
gjob:   |
gjob: 2 | cpus = 0
gjob:   |        ^
gjob: nothing was started

"#]],
    );
    refused(
        "defaults = 1\njob = 2\n",
        str![[r#"
gjob: jobs.toml:1:12: invalid value of "defaults": expected a table, [defaults], found an integer
gjob:   |
gjob: 1 | defaults = 1
gjob:   |            ^
gjob: jobs.toml:2:7: invalid value of "job": expected an array of tables, [[job]], found an integer
gjob:   |
gjob: 2 | job = 2
gjob:   |       ^
gjob: nothing was started

"#]],
    );
}

#[test]
fn unknown_parameter_is_shown_with_the_nearest_one() {
    let text = "[[job]]\ncommands = './fit {rat}'\nname = 'fit-{rat}'\nmatrix.rate = [0.1]\n\
                exclude = [{ rates = 0.1 }]\n";
    refused(
        text,
        str![[r#"
gjob: jobs.toml:3:13: unknown parameter "rat": expected rate
gjob:   |
gjob: 3 | name = 'fit-{rat}'
gjob:   |             ^^^^^
help: did you mean "rate"?
gjob: jobs.toml:5:14: unknown parameter "rates": expected rate
gjob:   |
gjob: 5 | exclude = [{ rates = 0.1 }]
gjob:   |              ^^^^^
help: did you mean "rate"?
gjob: nothing was started

"#]],
    );
    refused(
        "[[job]]\ncommands = 'true'\nexclude = [{ p = 1 }]\n",
        str![[r#"
gjob: jobs.toml:3:14: unknown parameter "p": `matrix` has no parameters
gjob:   |
gjob: 3 | exclude = [{ p = 1 }]
gjob:   |              ^
gjob: nothing was started

"#]],
    );
}

#[test]
fn excluding_all_combinations_is_refused() {
    let text = "[[job]]\ncommands = 'true'\nmatrix.p = '1..2'\nexclude = [{ p = 1 }, { p = 2 }]\n";
    refused(
        text,
        str![[r#"
gjob: jobs.toml: no jobs: `exclude` drops every combination of the matrix
gjob: nothing was started

"#]],
    );
}

#[test]
fn long_name_is_cut() {
    refused(
        &format!("[[job]]\ncommands = 'true'\nname = '{}'\n", "n".repeat(300)),
        str![[r#"
gjob: jobs.toml:3:8: invalid job name "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn…": expected 1 to 255 bytes of printable characters
gjob:   |
gjob: 3 | ... = 'nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn...nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn
gjob:   |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^...^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
gjob: nothing was started

"#]],
    );
}

#[test]
fn invalid_matrix_is_shown() {
    let text = "[[job]]\ncommands = 'true'\n\
                matrix = { seed = '1-10', lr = [], include = [{ lr = 1 }] }\n";
    refused(
        text,
        str![[r#"
gjob: jobs.toml:3:19: invalid range "1-10" of "seed": expected FIRST..LAST (1..10) or FIRST..LAST..STEP (0..100..20)
gjob:   |
gjob: 3 | matrix = { seed = '1-10', lr = [], include = [{ lr = 1 }] }
gjob:   |                   ^^^^^^
gjob: jobs.toml:3:32: invalid value of "lr": expected a list of values or a range such as "1..10", found an empty list
gjob:   |
gjob: 3 | matrix = { seed = '1-10', lr = [], include = [{ lr = 1 }] }
gjob:   |                                ^^
gjob: jobs.toml:3:36: "include" inside `matrix`: expected include = [{ … }] beside `matrix`
gjob:   |
gjob: 3 | matrix = { seed = '1-10', lr = [], include = [{ lr = 1 }] }
gjob:   |                                    ^^^^^^^
gjob: nothing was started

"#]],
    );
}

#[test]
fn missing_files_and_jobs_are_shown() {
    let text = "[[job]]\nname = 'train-{a}'\ncommands = 'true'\nfiles = ['data-{a}']\n\
                matrix.a = '1..2'\n\n[[job]]\ncommands = 'true'\nafter = ['train-2', 'train-3']\n";
    refused(
        text,
        str![[r#"
gjob: jobs.toml:4:9: file "data-1" does not exist
gjob:   |
gjob: 4 | files = ['data-{a}']
gjob:   |         ^^^^^^^^^^^^
gjob: jobs.toml:4:9: file "data-2" does not exist
gjob:   |
gjob: 4 | files = ['data-{a}']
gjob:   |         ^^^^^^^^^^^^
gjob: jobs.toml:9:9: unknown job "train-3": expected the name of another job
gjob:   |
gjob: 9 | after = ['train-2', 'train-3']
gjob:   |         ^^^^^^^^^^^^^^^^^^^^^^
help: did you mean "train-1"?
gjob: nothing was started

"#]],
    );
}

#[test]
fn matrix_that_is_too_large_is_refused() {
    let range = "\"1..1000\"";
    let matrix = format!("{{ p = {range}, q = {range}, r = {range}, s = {range} }}");
    refused(
        &format!("[[job]]\ncommands = \"true\"\nmatrix = {matrix}\n"),
        str![[r#"
gjob: jobs.toml:3:10: too many jobs: expected at most 10000000
gjob:   |
gjob: 3 | matrix = { p = "1..1000", q = "1..1000", r = "1..1000", s = "1..1000" }
gjob:   |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
gjob: nothing was started

"#]],
    );
}
