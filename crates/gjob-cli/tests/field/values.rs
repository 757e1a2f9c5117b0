//! Values and names as other systems and programs write them, and where values come from.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::process::Command;
use std::time::Duration;

use super::{Field, assert_code};

#[test]
fn values_with_other_ends_of_lines_and_a_byte_order_mark_are_the_same() {
    let field = Field::new(1);
    for text in ["a\r\nb\r\n", "a\nb\n", "\u{feff}a\r\nb", "\u{feff}a\nb\n"] {
        let run = field.run(&["-q", "-k", "--", "printf '[%s]' {}"]).stdin(text).output();
        assert_code(&run, 0);
        assert_eq!(run.stdout, "[a][b]", "{text:?}");
    }
}

/// A text as an editor for another system writes it.
fn foreign(text: &str) -> String {
    format!("\u{feff}{}", text.replace('\n', "\r\n"))
}

#[test]
fn every_file_that_people_write_may_have_other_ends_of_lines() {
    let field = Field::new(1);
    let config = field.bed.ssh_config().to_str().unwrap();
    field.place.file(
        "gjob.toml",
        &foreign(&format!(
            "[host.h1]\nenv = {{ X = \"x\" }}\nresults_dir = \"~/mine\"\n\
             setup = '''\necho a > set\necho b >> set\n'''\n\
             [defaults]\nssh-config = {config:?}\n"
        )),
    );
    field.place.file("lab.hosts", &foreign("# the lab\n\nh1 labels=big env.Y=y\n"));
    let jobs = "test \"$X$Y\" = xy; test $(wc -c < $GJOB_SETUP_DIR/set) = 4; echo ran\n";
    let args = ["run", "-q", "--show", "all", "--label", "big", "--hosts-file", "lab.hosts", "-"];
    let answer = field.place.gjob(&args).env("GJOB_REMOTE_PATH", "").stdin(&foreign(jobs)).output();
    assert_code(&answer, 0);
    assert_eq!(answer.stdout, "ran\n");
    let job = field.place.status()["jobs"][0]["id"].as_str().unwrap().to_owned();
    assert!(field.bed.host(1).home().join("mine").join(job).is_dir());
}

#[test]
fn results_and_scripts_of_single_jobs_may_have_other_ends_of_lines() {
    let field = Field::new(1);
    let print = "printf '\\xef\\xbb\\xbfrate,loss\\r\\n1,2\\r\\n' > loss.csv";
    let args = ["-q", "-o", "loss.csv", "--into", "out", "--", print];
    assert_code(&field.run(&args).output(), 0);
    let table = field.said(&["table", "loss.csv"]);
    let rows: Vec<&str> = table.lines().collect();
    assert!(rows[0].ends_with(",rate,loss") && rows[1].ends_with(",1,2"), "{table:?}");

    let config = field.bed.ssh_config().to_str().unwrap();
    let start = ["remote", "start", "h1", "-F", config];
    let script = foreign("if true; then\necho ran > out\nfi\n");
    let answer = field.place.gjob(&start).stdin(&script).output();
    assert_code(&answer, 0);
    let id = answer.stdout.trim().to_owned();
    crate::support::eventually("it has run", || {
        field.said(&["remote", "status", &id, "-F", config]) == "done\n"
    });
    let read = ["remote", "cmd", &id, "-F", config];
    field.place.gjob(&read).stdin("cat out\n").stdout("ran\n").run();
}

#[test]
fn value_with_a_line_break_is_one_job() {
    let field = Field::new(1);
    let answer = field.run(&["-q", "-k", "--", "printf '[%s]' {}", ":::", "a\nb", "c"]).output();
    assert_code(&answer, 0);
    assert_eq!(answer.stdout, "[a\nb][c]");
    assert_eq!(field.place.of_jobs("state").len(), 2);
}

#[test]
fn names_that_find_prints_are_values() {
    let field = Field::new(1);
    let here = field.place.path("here");
    for name in [&b"a\nb.raw"[..], b"caf\xe9.raw", b" c .raw"] {
        std::fs::write(here.join(OsStr::from_bytes(name)), "").unwrap();
    }
    let mut find = Command::new("find");
    find.args([".", "-name", "*.raw", "-print0"]).current_dir(&here);
    let mut found = find.output().unwrap().stdout;
    let values = field.place.path("values");
    std::fs::write(&values, &found).unwrap();
    // Values that end in NUL are not mistaken for lines, and the option for them is named.
    let config = field.bed.ssh_config().to_str().unwrap().to_owned();
    let script = format!(
        "exec \"$0\" run -F {config} -r results -H h1 -q -k \"$@\" -- \"printf '%s\\\\0'\" < {}",
        values.display()
    );
    let gjob = |options: &[&str]| {
        let mut shell = Command::new("bash");
        shell.args(["-c", &script, env!("CARGO_BIN_EXE_gjob")]).args(options);
        shell.current_dir(&here);
        field.place.invoke(shell)
    };
    let refused = gjob(&[]).output();
    assert_code(&refused, 2);
    assert!(refused.stderr.contains("-0"), "{}", refused.stderr);
    let out = field.place.path("out");
    assert_code(&gjob(&["-0"]).stdout_to(File::create(&out).unwrap()).output(), 0);
    let mut printed = std::fs::read(&out).unwrap();
    found.sort_unstable();
    printed.sort_unstable();
    assert_eq!(printed, found);
}

#[test]
fn outputs_of_any_name_come_back() {
    let field = Field::new(1);
    let args = ["-q", "-o", "*.out", "--into", "back", "--", "echo x > $'caf\\xe9.out'"];
    assert_code(&field.run(&args).output(), 0);
    assert_eq!(field.place.of_jobs("state"), ["done"]);
    let back = std::fs::read_dir(field.place.path("here/back/0")).unwrap();
    let names: Vec<OsString> = back.flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(names, [OsString::from_vec(b"caf\xe9.out".to_vec())]);
}

#[test]
fn command_at_a_prompt_or_without_standard_input_is_one_job() {
    let field = Field::new(1);
    field.place.file("train.sh", "#!/bin/sh\necho trained $#\n");
    let train = ["-f", "train.sh", "--", "sh ./train.sh"];
    // At a prompt it does not wait for the terminal.
    let mut screen = field.run(&train).on_screen(24, 80);
    screen.wait_for_text("1 done");
    assert_eq!(screen.end(), 0);
    assert_eq!(field.said(&["logs", "0"]), "trained 0\n");
    // Tests are given /dev/null, unless they say otherwise.
    let quiet = [&["-q"], &train[..]].concat();
    let answer = field.run(&quiet).start().output_within(Duration::from_secs(30));
    assert_eq!((answer.code, answer.stdout.as_str()), (0, "trained 0\n"), "{}", answer.stderr);
}

#[test]
fn pipe_or_file_on_standard_input_gives_values_and_none_of_them_is_said() {
    let field = Field::new(1);
    field.place.file("train.sh", "echo trained $1\n");
    let train = ["-q", "-k", "-f", "train.sh", "--", "bash train.sh"];
    let answer = field.run(&train).stdin("a\nb\n").output();
    assert_eq!((answer.code, answer.stdout.as_str()), (0, "trained a\ntrained b\n"));
    let answer = field.run(&train).stdin("").output();
    assert_code(&answer, 2);
    assert!(answer.stderr.contains("no input values"), "{}", answer.stderr);

    let values = field.place.file("values", "c\n");
    let config = field.bed.ssh_config().to_str().unwrap();
    let script =
        "exec \"$0\" run -F \"$1\" -r results -H h1 -q -f train.sh -- bash train.sh < \"$2\"";
    let mut shell = Command::new("bash");
    shell.args(["-c", script, env!("CARGO_BIN_EXE_gjob"), config]).arg(values);
    shell.current_dir(field.place.path("here"));
    let answer = field.place.invoke(shell).output();
    assert_eq!((answer.code, answer.stdout.as_str()), (0, "trained c\n"), "{}", answer.stderr);
}
