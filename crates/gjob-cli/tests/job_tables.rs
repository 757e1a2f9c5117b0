//! Job files in TOML: mistakes in them are shown with the line and a marker, all
//! at once, before anything is started.

mod support;

use support::Place;

fn mistake(text: &str) -> String {
    let place = Place::new();
    place.file("jobs.toml", text);
    let answer = place.gjob(&["run", "jobs.toml"]).output();
    assert_eq!((answer.code, answer.stdout.as_str()), (2, ""), "{answer:?}");
    assert!(!place.has_run() && !place.path("results").exists(), "something was started");
    let last = "gjob: nothing was started\n";
    assert!(answer.stderr.ends_with(last), "{answer:?}");
    answer.stderr.replace(last, "")
}

#[test]
fn a_matrix_runs_a_job_for_each_combination() {
    let place = Place::new();
    place.file("data", "7\n");
    place.file(
        "jobs.toml",
        "[defaults]\nfiles = ['data']\n\n[[job]]\nname = 'x-{a}-{b}'\n\
         commands = 'echo $GJOB_NAME $GJOB_REPEAT $(cat data)'\nrepeat = 2\n\
         matrix = { a = ['p', 'q'], b = '1..2' }\nexclude = [{ a = 'p', b = 1 }]\n",
    );
    // From elsewhere: paths are those beside the job file.
    let answer = place
        .gjob(&["run", "here/jobs.toml", "-k", "--show", "all"])
        .current_dir(&place.path(""))
        .output();
    assert_eq!(answer.code, 0, "{answer:?}");
    assert_eq!(answer.stdout, "x-p-2 0 7\nx-p-2 1 7\nx-q-1 0 7\nx-q-1 1 7\nx-q-2 0 7\nx-q-2 1 7\n");
}

#[test]
fn what_is_no_toml_is_shown() {
    assert_eq!(
        mistake("[[job]]\ncommands = make\n"),
        "gjob: jobs.toml:2:12: no TOML: string values must be quoted, expected literal string\n\
         gjob:   2 | commands = make\n\
         gjob:     |            ^^^^\n"
    );
}

#[test]
fn unknown_words_are_shown_with_the_nearest_known_ones() {
    assert_eq!(
        mistake("[default]\nenv = {}\n\n[[job]]\ncommands = 'true'\n\ttimout = 3\n"),
        "gjob: jobs.toml:1:2: unknown field \"default\", perhaps \"defaults\" is meant: the \
         fields are defaults, job\n\
         gjob:   1 | [default]\n\
         gjob:     |  ^^^^^^^\n\
         gjob: jobs.toml:6:2: unknown field \"timout\", perhaps \"timeout\" is meant: the fields \
         are commands, files, link, outputs, name, env, timeout, retries, cpus, gpus, mem, \
         after, repeat, matrix, include, exclude\n\
         gjob:   6 |  timout = 3\n\
         gjob:     |  ^^^^^^\n"
    );
}

#[test]
fn values_that_a_field_cannot_have_are_shown() {
    assert_eq!(
        mistake("[[job]]\ncommands = 'true'\nmem = 'much'\nfiles = [1]\nname = ''\n"),
        "gjob: jobs.toml:3:7: field \"mem\": size \"much\" is not accepted: bytes such as 4096, \
         or a number with a unit such as 500M, 1.5G or 2T is\n\
         gjob:   3 | mem = 'much'\n\
         gjob:     |       ^^^^^^\n\
         gjob: jobs.toml:4:9: field \"files\": invalid type: integer `1`, expected a string\n\
         gjob:   4 | files = [1]\n\
         gjob:     |         ^^^\n"
    );
    assert_eq!(
        mistake("[[job]]\ncommands = ['', ' ']\nname = ''\n"),
        "gjob: jobs.toml:2:12: a job needs at least one command that is not blank\n\
         gjob:   2 | commands = ['', ' ']\n\
         gjob:     |            ^^^^^^^^^\n\
         gjob: jobs.toml:3:8: name \"\" is not accepted: one line of 1 to 255 bytes without \
         control characters is\n\
         gjob:   3 | name = ''\n\
         gjob:     |        ^^\n"
    );
}

#[test]
fn parameters_that_there_are_not_are_shown() {
    assert_eq!(
        mistake(
            "[[job]]\ncommands = './fit {rat}'\nname = 'fit-{rat}'\nmatrix.rate = [0.1]\n\
             exclude = [{ rates = 0.1 }]\n"
        ),
        "gjob: jobs.toml:3:13: \"rat\" is no parameter, perhaps \"rate\" is meant: the \
         parameters are rate\n\
         gjob:   3 | name = 'fit-{rat}'\n\
         gjob:     |             ^^^^^\n\
         gjob: jobs.toml:5:14: \"rates\" is no parameter, perhaps \"rate\" is meant: the \
         parameters are rate\n\
         gjob:   5 | exclude = [{ rates = 0.1 }]\n\
         gjob:     |              ^^^^^\n"
    );
}

#[test]
fn a_matrix_that_loses_all_combinations_is_said() {
    assert_eq!(
        mistake(
            "[[job]]\ncommands = 'true'\nmatrix.p = '1..2'\nexclude = [{ p = 1 }, { p = 2 }]\n"
        ),
        "gjob: no jobs: `exclude` drops every combination of the matrix\n"
    );
}

#[test]
fn what_is_excluded_of_no_matrix_is_said() {
    assert_eq!(
        mistake("[[job]]\ncommands = 'true'\nexclude = [{ p = 1 }]\n"),
        "gjob: jobs.toml:3:14: \"p\" is no parameter: there are no parameters in `matrix`\n\
         gjob:   3 | exclude = [{ p = 1 }]\n\
         gjob:     |              ^\n"
    );
}

#[test]
fn a_name_that_is_too_long_is_cut_and_marked_so() {
    let said = mistake(&format!("[[job]]\ncommands = 'true'\nname = '{}'\n", "n".repeat(300)));
    assert!(said.contains(&format!("name \"{}...\" is not accepted", "n".repeat(80))), "{said}");
    let place = Place::new();
    let answer =
        place.gjob(&["run", "--name", &"n".repeat(300), "--", "true", ":::", "1"]).output();
    assert_eq!(answer.code, 2, "{answer:?}");
    assert!(answer.stderr.contains(&format!("name \"{}...\"", "n".repeat(80))), "{answer:?}");
}

#[test]
fn a_command_without_values_is_said() {
    let place = Place::new();
    let answer = place.gjob(&["run", "--", "echo {}"]).output();
    assert_eq!(answer.code, 2, "{answer:?}");
    assert_eq!(
        answer.stderr,
        "gjob: no values: a job is made for each value behind :::, or line of standard input \
         without it, and there is none\ngjob: nothing was started\n"
    );
}

#[test]
fn a_matrix_that_has_no_combinations_is_shown() {
    assert_eq!(
        mistake(
            "[[job]]\ncommands = 'true'\n\
             matrix = { seed = '1-10', lr = [], include = [{ lr = 1 }] }\n"
        ),
        "gjob: jobs.toml:3:19: range \"1-10\" of \"seed\" is not accepted: whole numbers such as \
         1..10 or 0..100..20 are\n\
         gjob:   3 | matrix = { seed = '1-10', lr = [], include = [{ lr = 1 }] }\n\
         gjob:     |                   ^^^^^^\n\
         gjob: jobs.toml:3:32: \"lr\" is an empty list: a list of values, or a range such as \
         \"1..10\", is expected\n\
         gjob:   3 | matrix = { seed = '1-10', lr = [], include = [{ lr = 1 }] }\n\
         gjob:     |                                ^^\n\
         gjob: jobs.toml:3:36: \"include\" stands beside the matrix, not in it: include = [{ … }] \
         below `matrix` is expected\n\
         gjob:   3 | matrix = { seed = '1-10', lr = [], include = [{ lr = 1 }] }\n\
         gjob:     |                                    ^^^^^^^\n"
    );
}

#[test]
fn files_and_jobs_that_are_not_there_are_shown() {
    assert_eq!(
        mistake(
            "[[job]]\nname = 'train-{a}'\ncommands = 'true'\nfiles = ['data-{a}']\n\
             matrix.a = '1..2'\n\n[[job]]\ncommands = 'true'\nafter = ['train-2', 'train-3']\n"
        ),
        "gjob: jobs.toml:4:9: file \"data-1\" does not exist: a file or a directory is expected\n\
         gjob:   4 | files = ['data-{a}']\n\
         gjob:     |         ^^^^^^^^^^^^\n\
         gjob: jobs.toml:4:9: file \"data-2\" does not exist: a file or a directory is expected\n\
         gjob:   4 | files = ['data-{a}']\n\
         gjob:     |         ^^^^^^^^^^^^\n\
         gjob: jobs.toml:9:9: after \"train-3\" names no job, perhaps \"train-1\" is meant: the \
         name of another job is expected\n\
         gjob:   9 | after = ['train-2', 'train-3']\n\
         gjob:     |         ^^^^^^^^^^^^^^^^^^^^^^\n"
    );
}

#[test]
fn a_matrix_beyond_all_bounds_is_refused_at_once() {
    let place = Place::new();
    let range = "\"1..1000\"";
    let matrix = format!("{{ p = {range}, q = {range}, r = {range}, s = {range} }}");
    place.file("jobs.toml", &format!("[[job]]\ncommands = \"true\"\nmatrix = {matrix}\n"));
    let answer = place.gjob(&["run", "jobs.toml", "--dry-run"]).output();
    assert_eq!(answer.code, 2, "{answer:?}");
    assert!(answer.stderr.contains("jobs.toml:3:10: more jobs than a run may have"), "{answer:?}");
}
