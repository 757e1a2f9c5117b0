//! What a person sees at a terminal while a run goes on, screen by screen.

#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop here")]

mod support;

use std::process::Command;

use gjob_testbed::{Bed, eventually};
use rustix::process::{Signal, kill_process};
use support::{Place, Screen, lines};

const CTRL_C: &str = "\u{3}";

/// Jobs that wait for a file to be there, and then say `commands`.
fn wait_for(place: &Place, name: &str, commands: &str) -> String {
    let file = place.path(name);
    format!("until test -e {}; do sleep 0.02; done; {commands}\n", file.display())
}

fn let_go(place: &Place, name: &str) {
    std::fs::write(place.path(name), "").unwrap();
}

/// The lines of a screen from the progress on.
fn progress(screen: &str) -> Vec<&str> {
    screen.lines().skip_while(|line| !line.starts_with('[')).collect()
}

#[test]
fn progress_fits_every_width() {
    for (columns, bar, hint) in [(40, 10, false), (80, 10, true), (120, 20, true), (160, 20, true)]
    {
        let place = Place::new();
        let jobs = "true\n".repeat(4) + &wait_for(&place, "go", "true").repeat(3);
        place.file("jobs.txt", &jobs);
        let mut screen = place.gjob(&["run", "-j", "2", "jobs.txt"]).on_screen(24, columns);
        let text = screen.wait_for_text("] 4/7 ");
        let line = progress(&text)[0];
        let filled = "=".repeat(bar * 4 / 7);
        assert!(line.starts_with(&format!("[{filled:bar$}] 4/7 <1s")), "{text}");
        assert!(line.contains(" · 2 running"), "{text}");
        assert_eq!(line.contains(", 1 waiting"), columns > 40, "{text}");
        assert_eq!(line.ends_with(" · t for top, d to detach"), hint, "{text}");
        let_go(&place, "go");
        assert_eq!(screen.end(), 0);
        let text = screen.text();
        assert!(text.contains(": 7 done in ") && !text.contains('['), "{text}");
    }
}

#[test]
fn failed_job_is_named_at_once_with_the_last_lines_of_its_output() {
    let place = Place::new();
    let jobs = "seq 30 >&2; exit 7\n".to_owned() + &wait_for(&place, "go", "true");
    place.file("jobs.txt", &jobs);
    let mut screen = place.gjob(&["run", "-j", "2", "jobs.txt"]).on_screen(40, 100);
    let text =
        screen.wait_for("the failure", |text| text.contains("\n30\n") && text.contains("] 1/2"));
    let lines: Vec<&str> = text.lines().collect();
    let at = lines.iter().position(|line| line.starts_with("FAILED #0: exit 7 · seq 30")).unwrap();
    assert_eq!(lines[at + 1], "… 10 earlier lines: gjob logs --err 0", "{text}");
    let tail: Vec<String> = (11..=30).map(|number| number.to_string()).collect();
    assert_eq!(lines[at + 2..at + 22], tail, "{text}");
    assert!(progress(&text)[0].contains(" · 1 failed, 1 running"), "{text}");
    let_go(&place, "go");
    assert_eq!(screen.end(), 1);
}

#[test]
fn failures_are_red_unless_colours_are_not_wanted() {
    let red = |args: &[&str], no_color: Option<&str>| {
        let place = Place::new();
        let mut gjob = place.gjob(&[&["run"], args, &["--", "exit", ":::", "3"]].concat());
        if let Some(value) = no_color {
            gjob = gjob.env("NO_COLOR", value);
        }
        let mut screen = gjob.on_screen(24, 80);
        assert_eq!(screen.end(), 1);
        assert!(screen.text().contains("FAILED #0: exit 3"), "{}", screen.text());
        let bytes = String::from_utf8_lossy(&screen.bytes()).into_owned();
        bytes.contains("\u{1b}[1m\u{1b}[31mFAILED")
    };
    assert!(red(&[], None));
    assert!(!red(&[], Some("1")));
    assert!(!red(&["--color", "never"], None));
    assert!(red(&["--color", "always"], Some("1")));
}

#[test]
fn progress_follows_the_size_of_the_terminal() {
    let place = Place::new();
    place.file("jobs.txt", &wait_for(&place, "go", "true").repeat(3));
    let mut screen = place.gjob(&["run", "-j", "2", "jobs.txt"]).on_screen(24, 160);
    screen.wait_for_text("[                    ] 0/3");
    screen.resize(24, 60);
    let text = screen.wait_for("a narrow line", |text| {
        text.lines().any(|line| line.starts_with("[          ] 0/3"))
            && text.contains("t for top, d to detach")
    });
    assert!(text.lines().all(|line| line.chars().count() <= 60), "{text}");
    let_go(&place, "go");
    assert_eq!(screen.end(), 0);
}

#[test]
fn jobs_that_run_long_are_listed_beneath() {
    let place = Place::new();
    place.file("jobs.jsonl", r#"{"cmds": "exec sleep 1000", "name": "train"}"#);
    let mut screen = place.gjob(&["run", "jobs.jsonl"]).on_screen(24, 80);
    screen.wait_for("the job", |text| {
        progress(text)
            .get(1)
            .is_some_and(|line| line.trim_start().starts_with("5s  #0 train: exec sleep 1000"))
    });
    screen.keys(CTRL_C);
    assert_eq!(screen.end(), 130);
}

#[test]
fn ctrl_c_ends_the_jobs_and_keeps_the_run() {
    let place = Place::new();
    let args = ["run", "-j", "2", "--", "exec sleep", ":::", "1000", "1001"];
    let mut screen = place.gjob(&args).on_screen(24, 120);
    screen.wait_for_text("2 running");
    screen.keys(CTRL_C);
    assert_eq!(screen.end(), 130);
    let text = screen.text();
    assert!(text.contains("interrupted; resume with `gjob attach "), "{text}");
    assert_eq!(place.of_jobs("state"), ["free", "free"]);
}

#[test]
fn key_t_shows_top_and_leads_back_and_nothing_is_lost_meanwhile() {
    let place = Place::new();
    let jobs =
        wait_for(&place, "one", "echo lost and found; exit 4") + &wait_for(&place, "two", "true");
    place.file("jobs.txt", &jobs);
    let mut screen = place.gjob(&["run", "-j", "2", "jobs.txt"]).on_screen(24, 100);
    screen.wait_for_text("2 running");
    screen.keys("t");
    screen.wait_for_text("? help");
    assert!(screen.has_whole_screen());
    let_go(&place, "one");
    screen.wait_for_text("1 failed, 1 running");
    screen.keys("t");
    let text = screen
        .wait_for("the failure", |text| text.contains("lost and found") && text.contains("] 1/2"));
    assert!(!screen.has_whole_screen());
    assert_eq!(text.matches("FAILED #0: exit 4").count(), 1, "{text}");
    screen.keys("t");
    screen.wait_for_text("? help");
    let_go(&place, "two");
    assert_eq!(screen.end(), 1);
    let text = screen.text();
    assert!(text.contains(": 1 done, 1 failed in "), "{text}");
}

#[test]
fn ctrl_c_in_top_of_a_run_does_what_it_does_without() {
    let place = Place::new();
    let mut screen = place.gjob(&["run", "--", "exec sleep", ":::", "1000"]).on_screen(24, 80);
    screen.wait_for_text("1 running");
    screen.keys("t");
    screen.wait_for_text("? help");
    screen.keys(CTRL_C);
    assert_eq!(screen.end(), 130);
    assert_eq!(place.of_jobs("state"), ["free"]);
}

#[test]
fn follower_has_top_too_and_ctrl_c_ends_nothing_else() {
    let place = Place::new();
    let mut manager = place.gjob(&["run", "--", "exec sleep", ":::", "1000"]).start();
    manager.wait_until_printed("start #");
    let mut screen = place.gjob(&["attach"]).on_screen(24, 80);
    screen.wait_for_text("1 running");
    screen.keys("t");
    screen.wait_for_text("? help");
    screen.keys("q");
    screen.wait_for_text("] 0/1");
    screen.keys(CTRL_C);
    assert_eq!(screen.end(), 130);
    assert_eq!(place.of_jobs("state"), ["busy"]);
    assert_eq!(place.gjob(&["kill", "--all"]).output().code, 0);
    manager.output();
}

#[test]
fn stopped_run_gives_the_terminal_back_until_it_continues() {
    let place = Place::new();
    let mut screen = place.gjob(&["run", "--", "exec sleep", ":::", "1000"]).on_screen(24, 80);
    screen.wait_for_text("1 running");
    for keys in ["", "t"] {
        screen.keys(keys);
        if !keys.is_empty() {
            screen.wait_for_text("? help");
        }
        screen.signal(Signal::TSTP);
        let stat = format!("/proc/{}/stat", screen.pid().as_raw_nonzero());
        eventually("it stops", || std::fs::read_to_string(&stat).unwrap().contains(") T "));
        eventually("the screen is back", || !screen.has_whole_screen());
        screen.assert_restored();
        kill_process(screen.pid(), Signal::CONT).unwrap();
    }
    screen.wait_for_text("? help");
    screen.keys("t");
    screen.wait_for_text("] 0/1");
    screen.keys(CTRL_C);
    assert_eq!(screen.end(), 130);
}

#[test]
fn closed_terminal_ends_what_was_shown_on_it_and_no_job() {
    let place = Place::new();
    let mut run = place.gjob(&["run", "--", "exec sleep", ":::", "1000"]).on_screen(24, 80);
    run.wait_for_text("1 running");
    run.keys("t");
    run.wait_for_text("? help");
    let mut top = place.gjob(&["top"]).on_screen(24, 80);
    top.wait_for_text("? help");
    top.hang_up();
    assert_eq!(run.hang_up().code(), Some(1));
    assert_eq!(place.of_jobs("state"), ["unknown"]);
    assert_eq!(place.gjob(&["kill", "--all"]).output().code, 0);
}

#[test]
fn run_whose_terminal_was_closed_alarms_nobody_and_goes_on_from_another() {
    let place = Place::new();
    place.file("jobs.txt", &format!("{}true\n", wait_for(&place, "go", "true")));
    let mut run = place.gjob(&["run", "-j", "1", "jobs.txt"]).on_screen(24, 80);
    run.wait_for_text("1 running");
    run.hang_up();
    let says = |args: &[&str], texts: &[&str]| {
        let text = place.gjob(args).output().stdout;
        assert!(texts.iter().all(|part| text.contains(part)), "{args:?}:\n{text}");
        assert!(!text.contains("unknown") && !text.contains("may be"), "{args:?}:\n{text}");
    };
    let known = "1 job running, as far as is known, 1 waiting; resume with `gjob attach ";
    says(&["status"], &["stopped, no gjob is attached: ", known]);
    says(&["status"], &["2 jobs: 0 done, 1 running as far as is known, 1 waiting"]);
    says(
        &["status", "--state", "running"],
        &["0    running  this machine  ", "  as far as is known  "],
    );
    says(&["explain", "0"], &["running on this machine, as far as is known: no gjob is attached"]);
    says(&["runs"], &["0 done, 1 running as far as is known, 1 waiting"]);
    let mut top = place.gjob(&["top"]).on_screen(24, 80);
    let text = top.wait_for_text("? help");
    assert!(text.contains("running") && !text.contains("unknown"), "{text}");
    top.keys("q");
    assert_eq!(top.end(), 0);
    let mut attach = place.gjob(&["attach"]).on_screen(24, 80);
    attach.wait_for_text("1 running");
    std::fs::write(place.path("go"), "").unwrap();
    assert_eq!(attach.end(), 0);
    assert_eq!(place.of_jobs("state"), ["done", "done"]);
}

#[test]
fn run_in_the_background_of_a_shell_leaves_the_keyboard_to_it() {
    let place = Place::new();
    place.file("jobs.txt", &wait_for(&place, "go", "true"));
    let mut shell = Command::new("bash");
    shell.args(["--norc", "--noprofile", "-i"]).current_dir(place.path("here"));
    shell.env("PS1", "$ ").env("GJOB", env!("CARGO_BIN_EXE_gjob"));
    let mut screen = place.invoke(shell).on_screen(24, 100);
    screen.wait_for_text("$");
    screen.keys("$GJOB run jobs.txt &\n");
    screen.wait_for_text("1 running");
    screen.keys("echo typed $((6 * 7))\n");
    screen.wait_for_text("typed 42");
    let_go(&place, "go");
    screen.wait_for_text(": 1 done in ");
    screen.keys("exit\n");
    assert_eq!(screen.end(), 0);
}

#[test]
fn keys_are_not_read_where_standard_input_has_the_values() {
    let place = Place::new();
    let script = wait_for(&place, "go", "echo {}");
    let mut screen = place.gjob(&["run", "-j", "1", "--", script.trim()]).on_screen(24, 120);
    screen.keys("a\nb\n\u{4}");
    let text = screen.wait_for_text("1 running");
    assert!(!text.contains("t for top"), "{text}");
    screen.assert_restored();
    let_go(&place, "go");
    assert_eq!(screen.end(), 0);
}

#[test]
fn host_is_said_to_be_silent_while_it_is_and_heard_when_it_answers_again() {
    let (place, bed) = (Place::new(), Bed::start(2));
    let config = bed.ssh_config().to_str().unwrap();
    place.file("jobs.txt", &wait_for(&place, "go", "true").repeat(2));
    let events = ["--events", "events"];
    let args = ["run", "-F", config, "-H", "1/h1,1/h2", "jobs.txt"];
    let mut screen = place.gjob(&[&args[..], &events].concat()).on_screen(24, 140);
    screen.wait_for_text("2 running");
    let signal = |signal| {
        bed.host(2).connections().iter().for_each(|process| assert!(process.signal(signal)));
    };
    signal(Signal::STOP);
    screen.wait_for_text("host h2: no answer for 1");
    screen.wait_for_text("1 of 2 hosts up · h2 silent 1");
    let status = place.gjob(&["status"]).output().stdout;
    let row = status.lines().find(|line| line.starts_with("h2 ")).unwrap();
    assert!(row.starts_with("h2    silent  1/1") && row.contains("no answer for 1"), "{row}");
    let top = place.gjob(&["top"]).on_screen(30, 100);
    top.wait_for("a host that is not counted", |text| {
        text.contains("1 of 2 hosts up") && text.contains("silent")
    });
    signal(Signal::CONT);
    screen.wait_for_text("host h2 answers again after ");
    top.wait_for_text("2 of 2 hosts up");
    drop(top);
    let_go(&place, "go");
    assert_eq!(screen.end(), 0);
    let events = lines(&place.path("here/events"));
    for event in ["host-silent", "host-heard"] {
        let is_it = |line: &&String| line.contains(&format!("\"event\":\"{event}\""));
        assert_eq!(events.iter().filter(is_it).count(), 1, "{event}");
    }
}

#[test]
fn hosts_that_are_not_there_are_named_with_the_reason_and_the_time() {
    let place = Place::new();
    let bed = Bed::start(2);
    let config = bed.ssh_config().to_str().unwrap();
    bed.host(2).stop();
    place.file("jobs.txt", &wait_for(&place, "go", "true").repeat(2));
    let args = ["run", "-F", config, "-H", "h2", "-j", "1", "jobs.txt"];
    let screen = place.gjob(&args).on_screen(24, 140);
    screen.wait_for("why", |text| {
        progress(text).get(1).is_some_and(|line| line.starts_with("h2 not reached "))
    });
    drop(screen);
    let args = ["run", "-F", config, "-H", "h1,h2", "-j", "1", "jobs.txt"];
    let mut screen = place.gjob(&args).on_screen(24, 140);
    screen.wait_for("one of them", |text| {
        progress(text)
            .get(1)
            .is_some_and(|line| line.starts_with("1 of 2 hosts up · h2 not reached "))
    });
    bed.host(2).start();
    screen.wait_for_text("host h2 is back after ");
    let text = screen.wait_for_text("2 running");
    assert_eq!(progress(&text).len(), 1, "{text}");
    let_go(&place, "go");
    assert_eq!(screen.end(), 0);
}

#[test]
fn many_short_jobs_do_not_flood_the_terminal() {
    let place = Place::new();
    place.file("jobs.txt", &"true\n".repeat(1000));
    let began = std::time::Instant::now();
    let mut screen = place.gjob(&["run", "jobs.txt"]).on_screen(24, 80);
    assert_eq!(screen.end(), 0);
    let drawn = String::from_utf8_lossy(&screen.bytes()).matches("/1000 ").count();
    // Ten a second, and each of them may be drawn again beside another line.
    let most = 2 * (began.elapsed().as_secs_f64() * 10.0) as usize + 10;
    assert!(drawn <= most, "{drawn} drawings, at most {most} are expected");
}

#[test]
fn control_sequences_of_jobs_do_nothing_to_the_terminal() {
    let place = Place::new();
    let script = r"printf 'a\033[2Jb\033]0;title\007c\033[?1049hd\n'; exit 1";
    place.file("jobs.txt", &format!("{script}\n"));
    let mut screen = place.gjob(&["run", "jobs.txt"]).on_screen(24, 100);
    assert_eq!(screen.end(), 1);
    let text = screen.text();
    assert!(text.lines().any(|line| line == "abcd"), "{text}");
    assert!(!String::from_utf8_lossy(&screen.bytes()).contains("\u{1b}]0;"));
}

#[test]
fn status_is_watched_until_the_run_has_no_manager() {
    let place = Place::new();
    place.file("jobs.txt", &wait_for(&place, "go", "true"));
    let mut manager = place.gjob(&["run", "jobs.txt"]).start();
    manager.wait_until_printed("start #");
    let mut screen: Screen = place.gjob(&["status", "--watch"]).on_screen(24, 100);
    screen.wait_for_text("1 job: 0 done, 1 running");
    let_go(&place, "go");
    assert_eq!(manager.output().code, 0);
    assert_eq!(screen.end(), 0);
    let text = screen.text();
    assert!(text.contains("1 job: 1 done") && !text.contains("1 running"), "{text}");
}

#[test]
fn detached_at_the_keyboard_a_run_goes_on_in_the_background() {
    let place = Place::new();
    let ledger = place.path("ledger");
    let note = format!("echo $GJOB_INDEX >> {}", ledger.display());
    place.file("jobs.txt", &(format!("{note}\n") + &wait_for(&place, "go", &note).repeat(4)));
    let args = ["run", "-j", "2", "--joblog", "log", "--results", "jobs.txt"];
    let mut screen = place.gjob(&args).on_screen(24, 80);
    screen.wait_for_text("] 1/5 ");
    let mut follower = place.gjob(&["attach"]).on_screen(24, 80);
    follower.wait_for_text("d to detach");
    follower.keys("d");
    assert_eq!(follower.end(), 0);
    assert!(follower.text().contains(" goes on"), "{}", follower.text());
    assert!(screen.text().contains("d to detach"), "the manager stays");
    screen.keys("d");
    assert_eq!(screen.end(), 0);
    let text = screen.text();
    assert!(text.contains(" goes on in the background: `gjob attach "), "{text}");
    assert_eq!(place.status()["managed"], true);
    let_go(&place, "go");
    eventually("all jobs are done", || place.of_jobs("state").iter().all(|state| state == "done"));
    eventually("the run has no manager", || place.status()["managed"] == false);
    let mut noted = support::lines(&ledger);
    noted.sort();
    assert_eq!(noted, ["0", "1", "2", "3", "4"], "each job ran once");
    assert!(place.of_jobs("attempt").iter().all(|attempt| attempt == 1));
    let joblog = support::lines(&place.path("here/log"));
    let mut numbers: Vec<&str> =
        joblog[1..].iter().filter_map(|line| line.split('\t').next()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, ["1", "2", "3", "4", "5"], "{joblog:?}");
}
