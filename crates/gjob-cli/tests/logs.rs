//! `gjob logs`: what jobs have printed, of several jobs, as it comes, from their hosts or from
//! what was fetched.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod support;

use snapbox::str;
use support::{Place, eventually};

/// Three jobs of this machine: one prints to both streams, one fails twice, one is
/// silent.
fn place() -> Place {
    let place = Place::new();
    place.file(
        "jobs.jsonl",
        r#"{"cmds": "echo one; echo 1 >&2; echo two", "name": "fit-0.1"}
{"cmds": "echo attempt $GJOB_ATTEMPT >&2; seq 1 100; exit 3", "name": "fit-0.2"}
{"cmds": "true", "name": "last"}
"#,
    );
    let run = ["run", "-j", "1", "--show", "none", "--retries", "1", "jobs.jsonl"];
    assert_eq!(place.gjob(&run).output().code, 1);
    place
}

#[test]
fn logs_of_a_job_go_to_the_streams_that_it_wrote_to() {
    let place = place();
    place.gjob(&["logs", "0"]).stdout("one\ntwo\n").stderr("1\n").run();
    place.gjob(&["logs", "0", "--out"]).stdout("one\ntwo\n").run();
    place.gjob(&["logs", "0", "--err"]).stdout("1\n").run();
    place.gjob(&["logs", "last"]).stderr("gjob: job 2 has printed nothing\n").run();
}

#[test]
fn logs_of_several_jobs_tell_whose_they_are() {
    let place = place();
    place
        .gjob(&["logs", "fit-*", "--tail", "1"])
        .stdout(str![[r#"
==> #0 fit-0.1 <==
two

==> #0 fit-0.1, stderr <==
1

==> #1 fit-0.2 <==
100

==> #1 fit-0.2, stderr <==
attempt 2

"#]])
        .run();
    place
        .gjob(&["logs", "--failed", "--tail", "2"])
        .stdout("99\n100\n")
        .stderr("attempt 2\n")
        .run();
    place
        .gjob(&["logs", "--err", "0", "2"])
        .stdout("==> #0 fit-0.1 <==\n1\n\n==> #2 last <==\n")
        .run();
    place
        .gjob(&["logs", "--grep", "o"])
        .stdout(str![[r#"
#0 fit-0.1: one
#0 fit-0.1: two

"#]])
        .run();
    place
        .gjob(&["logs", "9-8"])
        .code(2)
        .stderr(str![[r#"
gjob: invalid range "9-8": its first index is greater than its last

"#]])
        .run();
    place
        .gjob(&["logs", "fat-*"])
        .code(2)
        .stderr(str![[r#"
gjob: no job named "fat-*": expected an index, a range (3-7), a name or a glob of names

"#]])
        .run();
}

#[test]
fn logs_of_an_earlier_attempt_can_be_read() {
    let place = place();
    place.gjob(&["logs", "1", "--err", "--attempt", "1"]).stdout("attempt 1\n").run();
    place.gjob(&["logs", "1", "--err"]).stdout("attempt 2\n").run();
    place
        .gjob(&["logs", "1", "--attempt", "3"])
        .code(2)
        .stderr(str![[r#"
gjob: job 1 has no attempt 3 that has started

"#]])
        .run();
}

#[test]
fn attempt_is_shown_of_the_jobs_that_had_it_and_each_job_once() {
    let place = place();
    place.gjob(&["logs", "--attempt", "2", "--err"]).stdout("attempt 2\n").run();
    place
        .gjob(&["logs", "0-2", "--attempt", "9"])
        .code(2)
        .stderr(str![[r#"
gjob: no job has an attempt 9 that has started

"#]])
        .run();
    place.gjob(&["logs", "0", "fit-0.1", "0-0", "--out"]).stdout("one\ntwo\n").run();
}

#[test]
fn last_lines_with_a_text_are_counted_among_those_that_have_it() {
    let place = place();
    place
        .gjob(&["logs", "1", "--grep", "9", "--tail", "2"])
        .stdout("#1 fit-0.2: 98\n#1 fit-0.2: 99\n")
        .run();
}

#[test]
fn logs_are_followed_from_their_last_lines_on_and_by_what_they_have_in_them() {
    let place = Place::new();
    place.file(
        "jobs.txt",
        "seq 1 9; printf half; echo 1 >&2; until test -e go; do sleep 0.05; done; echo -line; echo end\n",
    );
    let mut manager = place.gjob(&["run", "-j", "1", "--show", "none", "jobs.txt"]).start();
    manager.wait_until_printed("start");
    let printed = |name: &str| std::fs::File::create(place.path(name)).unwrap();
    let read = |name: &str| std::fs::read_to_string(place.path(name)).unwrap();
    let follow = ["logs", "-f", "0", "--tail", "2", "--out"];
    let tail = place.gjob(&follow).stdout_to(printed("tail")).start();
    eventually("the last lines are shown", || read("tail") == "8\n9\nhalf");
    let follow = ["logs", "-f", "0", "--grep", "n"];
    let search = place.gjob(&follow).stdout_to(printed("search")).start();
    std::fs::write(job_dir(&place).join("go"), "").unwrap();
    assert_eq!((tail.output().code, search.output().code), (0, 0));
    assert_eq!(read("tail"), "8\n9\nhalf-line\nend\n");
    assert_eq!(read("search"), "#0: half-line\n#0: end\n");
    manager.output();
}

/// The directory of the only job.
fn job_dir(place: &Place) -> std::path::PathBuf {
    let dirs = std::fs::read_dir(place.path("results")).unwrap().flatten();
    let host = dirs.map(|dir| dir.path()).find(|dir| !dir.ends_with(".gjob")).unwrap();
    let mut found = std::fs::read_dir(host).unwrap().flatten().map(|entry| entry.path());
    found.find(|path| path.is_dir()).unwrap()
}

/// Jobs that go on when the file of their name is made in the place.
fn waiting_jobs(place: &Place, jobs: &[(&str, &str, &str)]) {
    let wait =
        |name: &str| format!("until test -e {}; do sleep 0.05; done", place.path(name).display());
    let job = |(name, before, after): &(&str, &str, &str)| {
        let cmds = format!("{before}\n{}\n{after}", wait(name));
        serde_json::json!({"name": name, "cmds": cmds}).to_string() + "\n"
    };
    place.file("jobs.jsonl", &jobs.iter().map(job).collect::<String>());
}

#[test]
fn logs_of_several_jobs_are_followed_line_by_line_as_they_come() {
    let place = Place::new();
    waiting_jobs(
        &place,
        &[
            ("a", "echo a1; printf a2", "echo; exit 3"),
            ("b", "echo b1; echo b-err >&2", "printf b2"),
            ("late", "", "echo late"),
        ],
    );
    let manager = place.gjob(&["run", "-j", "2", "--show", "none", "jobs.jsonl"]).start();
    eventually("two jobs run", || place.has_run() && !place.of_jobs("started")[1].is_null());
    let shown = || std::fs::read_to_string(place.path("shown")).unwrap();
    let printed = std::fs::File::create(place.path("shown")).unwrap();
    let logs = place.gjob(&["logs", "-f"]).stdout_to(printed).start();
    eventually("the first lines are shown", || shown().lines().count() == 3);
    let mut first: Vec<String> = shown().lines().map(str::to_owned).collect();
    first.sort();
    assert_eq!(first, ["#0 a: a1", "#1 b: b-err", "#1 b: b1"]);
    let go = |name: &str| std::fs::write(place.path(name), "").unwrap();
    go("b");
    eventually("the second job is shown", || shown().ends_with("#1 b: b2\n"));
    go("a");
    eventually("the first job is shown", || shown().ends_with("#0 a: a2\n"));
    go("late");
    let answer = logs.output();
    assert!(shown().ends_with("#0 a: a2\n#2 late: late\n"), "{}", shown());
    let said: Vec<&str> = answer.stderr.lines().collect();
    assert_eq!(answer.code, 0);
    assert_eq!(said[0], "job late has not started yet: no host has room");
    assert!(said[1].starts_with("ok #1 b in "), "{said:?}");
    assert!(said[2].starts_with("FAILED #0 a: exit 3 · echo a1"), "{said:?}");
    assert!(said[3].starts_with("ok #2 late in "), "{said:?}");
    manager.output();
}

#[test]
fn it_is_said_when_a_followed_job_has_printed_nothing_and_when_it_waits() {
    let place = Place::new();
    waiting_jobs(&place, &[("a", "", "echo a"), ("b", "", "")]);
    let manager = place.gjob(&["run", "-j", "1", "--show", "none", "jobs.jsonl"]).start();
    eventually("a job runs", || place.has_run() && !place.of_jobs("started")[0].is_null());
    let mut silent = place.gjob(&["logs", "-f", "a"]).start();
    silent.wait_until_printed("#0 a runs, and has printed nothing yet\n");
    let mut waiting = place.gjob(&["logs", "-f", "b"]).start();
    waiting.wait_until_printed("job b has not started yet: no host has room\n");
    std::fs::write(place.path("a"), "").unwrap();
    assert_eq!(silent.output().stdout, "a\n");
    waiting.wait_until_printed("#1 b runs, and has printed nothing yet\n");
    manager.kill_9();
    std::fs::write(place.path("b"), "").unwrap();
    assert_eq!(waiting.output().code, 0);
}

#[test]
fn logs_are_followed_through_every_attempt() {
    let place = Place::new();
    waiting_jobs(&place, &[("a", "echo attempt $GJOB_ATTEMPT", "exit 1")]);
    let run = ["run", "-j", "1", "--show", "none", "--retries", "1", "jobs.jsonl"];
    let manager = place.gjob(&run).start();
    eventually("a job runs", || place.has_run() && !place.of_jobs("started")[0].is_null());
    let logs = place.gjob(&["logs", "-f", "0"]).start();
    std::fs::write(place.path("a"), "").unwrap();
    assert_eq!(logs.output().stdout, "attempt 1\nattempt 2\n");
    manager.output();
}

#[test]
fn lines_of_several_jobs_are_whole_in_a_pipe_and_harmless_on_a_terminal() {
    let place = Place::new();
    place.file(
        "jobs.txt",
        "head -c 9999 /dev/zero | tr '\\0' x; printf '\\0end'\nprintf '\\033[31mred\\033[2J\\nplain\\n'\n",
    );
    assert_eq!(place.gjob(&["run", "-j", "1", "--show", "none", "jobs.txt"]).output().code, 0);
    let answer = place.gjob(&["logs", "-f"]).output();
    let long = "x".repeat(9999);
    let expected = format!("#0: {long}\0end\n#1: \u{1b}[31mred\u{1b}[2J\n#1: plain\n");
    assert_eq!((answer.stdout, answer.stderr.as_str()), (expected, ""));
    let mut screen = place.gjob(&["logs", "-f", "0", "1"]).on_screen(5, 80);
    screen.end();
    screen.wait_for_text("#1: red");
    screen.wait_for_text("#1: plain");
}

#[test]
fn logs_are_followed_on_both_streams_until_the_job_has_ended() {
    let place = Place::new();
    place.file(
        "jobs.txt",
        "echo first; echo second >&2; until test -e go; do sleep 0.05; done; echo last\n",
    );
    let mut manager = place.gjob(&["run", "-j", "1", "--show", "none", "jobs.txt"]).start();
    manager.wait_until_printed("start");
    let mut logs = place.gjob(&["logs", "-f", "0"]).start();
    logs.wait_until_printed("second");
    std::fs::write(job_dir(&place).join("go"), "").unwrap();
    let answer = logs.output();
    assert_eq!((answer.code, answer.stdout.as_str()), (0, "first\nlast\n"), "{}", answer.stderr);
    manager.output();
}

#[test]
fn logs_that_were_fetched_are_read_where_their_job_is_gone() {
    let place = Place::new();
    place.file("jobs.txt", "echo kept\n");
    let run = ["run", "-j", "1", "--show", "none", "--results", "--into", "out", "jobs.txt"];
    assert_eq!(place.gjob(&run).output().code, 0);
    assert_eq!(place.gjob(&["clean", "latest"]).output().code, 0);
    place.gjob(&["logs", "0"]).stdout("kept\n").run();
}

#[test]
fn job_that_has_printed_nothing_is_named_and_of_several_failed_ones_left_out() {
    let place = Place::new();
    place.file("jobs.txt", "exit 1\necho one; exit 1\nexit 2\necho two >&2; exit 1\n");
    assert_eq!(place.gjob(&["run", "-q", "--show", "none", "jobs.txt"]).output().code, 1);
    let logs = |args: &[&str]| {
        let answer = place.gjob(&[&["logs"], args].concat()).output();
        (answer.stdout, answer.stderr)
    };
    let nothing = |to: &str| (String::new(), format!("gjob: job 0 has printed nothing{to}\n"));
    assert_eq!(logs(&["0"]), nothing(""));
    assert_eq!(logs(&["0", "--err"]), nothing(" to standard error"));
    assert_eq!(logs(&["1"]), ("one\n".to_owned(), String::new()));
    let failed = "==> #1 <==\none\n\n==> #3, stderr <==\ntwo\n".to_owned();
    assert_eq!(logs(&["--failed"]), (failed, String::new()));
}
