//! `gjob top`: what a person sees on the whole screen, and does from there. Leaving it
//! stops nothing.

#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop here")]

mod support;

use std::fs::File;
use std::io::Write;
use std::process::Command;

use gjob_testbed::eventually;
use rustix::process::{Signal, kill_process};
use support::{Place, Running, Screen};

const TAB: &str = "\t";
const UP: &str = "\u{1b}[A";
const HOME: &str = "\u{1b}[H";
const END: &str = "\u{1b}[F";
const DOWN: &str = "\u{1b}[B";
const ESC: &str = "\u{1b}";
const CTRL_C: &str = "\u{3}";

/// Two jobs that run until they are killed, one that has failed, and three that wait.
fn start(place: &Place) -> Running {
    place.file(
        "jobs.jsonl",
        r#"{"cmds": "printf 'epoch 1\\n\\033]0;owned\\007\\033[2Jepoch 2\\n'; exec sleep 1000", "name": "train-a"}
{"cmds": "echo no such data >&2; exit 3", "name": "prepare"}
{"cmds": "exec sleep 1000", "name": "train-b"}
{"cmds": "true", "name": "eval-a"}
{"cmds": "true", "name": "eval-b"}
{"cmds": "true", "name": "eval-c"}
"#,
    );
    let mut manager = place.gjob(&["run", "-j", "2", "jobs.jsonl"]).start();
    manager.wait_until_printed("start #2");
    manager
}

fn end(place: &Place, manager: Running) {
    assert_eq!(place.gjob(&["kill", "--all"]).output().code, 0);
    manager.output();
}

fn top(place: &Place, rows: u16, columns: u16) -> Screen {
    let screen = place.gjob(&["top"]).on_screen(rows, columns);
    screen.wait_for_text("q leave");
    screen
}

fn state(place: &Place, job: usize) -> String {
    place.of_jobs("state")[job].as_str().unwrap().to_owned()
}

/// The line of the screen that has this text in it.
#[track_caller]
fn line(screen: &str, text: &str) -> String {
    let found = screen.lines().find(|line| line.contains(text));
    found.unwrap_or_else(|| panic!("no {text:?} in\n{screen}")).to_owned()
}

#[test]
fn living_run_is_shown_with_all_panels_and_left_as_it_is() {
    let place = Place::new();
    let manager = start(&place);
    let mut screen = top(&place, 40, 120);
    let text = screen.wait_for("all of it", |text| text.contains("? help"));
    line(&text, "running for ");
    line(
        &text,
        "6 jobs: 0 done, 1 failed, 2 running, 3 waiting · 1 of 1 host up  a gjob manages it",
    );
    line(&text, "[||||||||||] 2/2");
    line(&text, "train-a");
    let slots = text.lines().filter(|line| line.starts_with(":   ")).count();
    assert!(slots >= 2 && text.contains('>'), "{text}");
    screen.keys("q");
    assert_eq!(screen.end(), 0);
    assert_eq!([state(&place, 0), state(&place, 2)], ["busy", "busy"]);
    end(&place, manager);
}

#[test]
fn small_screen_shows_one_panel_at_a_time() {
    let place = Place::new();
    let manager = start(&place);
    let mut screen = top(&place, 14, 80);
    let text = screen.wait_for_text("Jobs 6 · by state");
    assert!(!text.contains("Hosts 1"), "{text}");
    screen.keys(TAB);
    let text = screen.wait_for_text("Hosts 1 · by order");
    assert!(!text.contains("Jobs 6") && text.contains("SLOTS IN USE"), "{text}");
    screen.keys(TAB);
    screen.wait_for_text("Slots 2 · the last ");
    screen.keys("\u{1b}[Z");
    screen.wait_for_text("Hosts 1 · by order");
    screen.resize(30, 100);
    screen.wait_for("all panels", |text| {
        ["Hosts 1", "Slots 2", "Jobs 6"].iter().all(|panel| text.contains(panel))
    });
    screen.keys(ESC);
    assert_eq!(screen.end(), 0);
    end(&place, manager);
}

#[test]
fn jobs_are_filtered_and_sorted() {
    let place = Place::new();
    let manager = start(&place);
    let mut screen = top(&place, 24, 80);
    screen.keys("/eval");
    screen.wait_for_text("/eval_");
    let text = screen.wait_for_text("Jobs 3 · by state · with \"eval\"");
    assert!(!text.contains("train-a"), "{text}");
    screen.keys("\n");
    screen.wait_for_text("q leave");
    screen.keys("s");
    screen.wait_for_text("Jobs 3 · by number · with \"eval\"");
    screen.keys("/");
    screen.keys("\u{7f}\u{7f}\u{7f}\u{7f}");
    let text = screen.wait_for_text("Jobs 6 · by number");
    let rows: Vec<&str> = text.lines().skip_while(|line| !line.starts_with("JOB")).collect();
    assert!(rows[1].starts_with('0') && rows[6].starts_with('5'), "{text}");
    screen.keys("x\u{1b}");
    screen.wait_for_text("Jobs 3 · by number · with \"eval\"");
    screen.keys("q");
    assert_eq!(screen.end(), 0);
    end(&place, manager);
}

#[test]
fn log_of_a_job_is_shown_as_harmless_text() {
    let place = Place::new();
    let manager = start(&place);
    let mut screen = top(&place, 24, 80);
    screen.keys("\n");
    screen.wait_for_text("Log of #0 train-a");
    line(&screen.wait_for_text("epoch 2"), "epoch 2");
    assert!(!String::from_utf8_lossy(&screen.bytes()).contains("\u{1b}]0;owned"));
    screen.keys("q");
    screen.wait_for_text("Jobs 6");
    screen.keys("/prepare\n");
    screen.wait_for_text("Jobs 1 ");
    screen.keys("l");
    let text = screen.wait_for_text("stderr: 1 line");
    assert!(text.contains("no such data") && !text.contains("following"), "{text}");
    screen.keys("qq");
    assert_eq!(screen.end(), 0);
    end(&place, manager);
}

#[test]
fn log_of_a_running_job_grows_and_its_end_stays_in_sight_unless_it_is_scrolled() {
    let place = Place::new();
    let (out, err) = (place.path("out"), place.path("err"));
    for pipe in [&out, &err] {
        assert!(Command::new("mkfifo").arg(pipe).status().unwrap().success());
    }
    let (to_out, to_err) = (out.display(), err.display());
    place.file("jobs.txt", &format!("seq 40; cat {to_out}; cat {to_err} >&2; exec sleep 1000\n"));
    let mut manager = place.gjob(&["run", "jobs.txt"]).start();
    manager.wait_until_printed("start #0");
    let mut screen = top(&place, 20, 80);
    screen.keys("l");
    let follows = |text: &str, last: &str| {
        let shown = text.lines().filter(|line| !line.is_empty()).collect::<Vec<_>>();
        text.contains(" · following") && shown.get(shown.len() - 2) == Some(&last)
    };
    screen.wait_for("the end", |text| follows(text, "40"));
    let mut writer = File::create(&out).unwrap();
    writer.write_all(b"more\n50%\r").unwrap();
    screen.wait_for("a line without end", |text| follows(text, "50%"));
    screen.keys(UP);
    screen.wait_for_text(" · not following");
    writer.write_all(b"100%\nlast\n").unwrap();
    let text = screen.wait_for_text(" of 44 · not following");
    assert!(text.contains("\nmore") && !text.contains("last"), "{text}");
    screen.keys("f");
    screen.wait_for("the end again", |text| follows(text, "last") && text.contains("\n100%"));
    screen.keys(HOME);
    screen.wait_for_text("1-");
    drop(writer);
    screen.keys(END);
    File::create(&err).unwrap().write_all(b"a warning\n").unwrap();
    let text = screen.wait_for("the other stream", |text| follows(text, "a warning"));
    line(&text, "stderr:");
    assert_eq!(place.gjob(&["kill", "0"]).output().code, 0);
    let text = screen.wait_for_text("the job has ended");
    assert!(!text.contains("following"), "{text}");
    screen.keys("qq");
    assert_eq!(screen.end(), 0);
    manager.output();
}

#[test]
fn thread_that_follows_a_log_ends_when_it_is_left() {
    let place = Place::new();
    let manager = start(&place);
    let mut screen = top(&place, 24, 80);
    let threads = || {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", screen.pid().as_raw_nonzero()));
        let names = tasks.unwrap().flatten().map(|task| task.path().join("comm"));
        let names = names.filter_map(|name| std::fs::read_to_string(name).ok());
        names.filter(|name| name.trim() == "gjob-errand").count()
    };
    screen.keys("l");
    screen.wait_for_text("epoch 2");
    assert_eq!(threads(), 1);
    screen.keys("q");
    eventually("it ends", || threads() == 0);
    screen.wait_for_text("Jobs 6");
    screen.keys("q");
    assert_eq!(screen.end(), 0);
    end(&place, manager);
}

#[test]
fn jobs_are_explained_and_keys_listed() {
    let place = Place::new();
    let manager = start(&place);
    let mut screen = top(&place, 30, 80);
    screen.keys("/prepare\n");
    screen.wait_for_text("Jobs 1 ");
    screen.keys("e");
    let text = screen.wait_for_text("Explain #1 prepare");
    line(&text, "job 1 prepare: failed on this machine: exit 3");
    screen.keys(ESC);
    screen.wait_for_text("Jobs 1 ");
    screen.keys("?");
    line(&screen.wait_for_text("Keys · 1-"), "leave; this stops nothing");
    screen.keys("qq");
    assert_eq!(screen.end(), 0);
    end(&place, manager);
}

#[test]
fn jobs_are_killed_paused_resumed_and_retried_once_that_is_confirmed() {
    let place = Place::new();
    let manager = start(&place);
    let mut screen = top(&place, 24, 100);
    screen.keys("k");
    screen.wait_for_text("kill #0 train-a? y for yes, any other key for no");
    screen.keys("n");
    screen.wait_for_text("nothing was done");
    assert_eq!(state(&place, 0), "busy");
    screen.keys("p");
    screen.wait_for_text("pause #0 train-a?");
    screen.keys("y");
    screen.wait_for_text("job 0: paused 1 job");
    line(&screen.wait_for_text("paused  "), "train-a");
    screen.keys("p");
    screen.wait_for_text("resume #0 train-a?");
    screen.keys("y");
    screen.wait_for_text("job 0: resumed 1 job");
    screen.keys(DOWN);
    screen.keys("k");
    screen.wait_for_text("kill #2 train-b?");
    screen.keys("y");
    screen.wait_for_text("job 2: killed 1 job");
    assert_eq!(state(&place, 2), "error");
    screen.keys("r");
    screen.wait_for_text("retry #2 train-b?");
    screen.keys("y");
    screen.wait_for_text("job 2: reopened 1 job");
    screen.keys("q");
    assert_eq!(screen.end(), 0);
    end(&place, manager);
}

#[test]
fn run_that_is_over_and_one_without_a_manager_are_shown() {
    let place = Place::new();
    let manager = start(&place);
    let mut screen = top(&place, 24, 100);
    manager.kill_9();
    screen.wait_for_text("no gjob manages it");
    screen.wait_for_text("stopped, no gjob is attached: ");
    assert_eq!(place.gjob(&["kill", "--all"]).output().code, 0);
    screen.wait_for_text("failed in ");
    screen.wait_for_text("6 jobs: ");
    screen.keys(CTRL_C);
    assert_eq!(screen.end(), 0);
}

#[test]
fn terminal_is_restored_by_signals_and_while_stopped() {
    let place = Place::new();
    let manager = start(&place);
    let mut screen = top(&place, 24, 80);
    screen.signal(Signal::TSTP);
    let stat = format!("/proc/{}/stat", screen.pid().as_raw_nonzero());
    let is_stopped = || std::fs::read_to_string(&stat).unwrap().contains(") T ");
    eventually("it stops", is_stopped);
    eventually("it gives the screen back", || !screen.has_whole_screen());
    screen.assert_restored();
    kill_process(screen.pid(), Signal::CONT).unwrap();
    screen.wait_for_text("q leave");
    assert!(screen.has_whole_screen());
    screen.signal(Signal::TERM);
    assert_eq!(screen.end(), 128 + 15);
    assert_eq!(state(&place, 0), "busy");
    end(&place, manager);
}

#[test]
fn without_a_terminal_it_is_refused() {
    let place = Place::new();
    place
        .gjob(&["top"])
        .code(2)
        .stderr(snapbox::str![[r#"
gjob: top needs a terminal
help: `gjob status` prints the same once, `gjob status --watch` again and again

"#]])
        .run();
}

#[test]
fn without_colour_nothing_is_coloured() {
    let place = Place::new();
    let manager = start(&place);
    let coloured = |text: &[u8]| String::from_utf8_lossy(text).contains("\u{1b}[38;5;");
    let screen = top(&place, 24, 80);
    screen.wait_for_text("train-a");
    assert!(coloured(&screen.bytes()));
    let screen = place.gjob(&["top"]).env("NO_COLOR", "1").on_screen(24, 80);
    screen.wait_for_text("? help");
    assert!(!coloured(&screen.bytes()));
    end(&place, manager);
}

#[test]
fn log_that_is_left_before_it_was_read_is_not_shown_later() {
    let place = Place::new();
    let manager = start(&place);
    let mut screen = top(&place, 30, 100);
    // Both keys at once: the second leaves the log, not the screen of the run.
    screen.keys("lq");
    screen.keys("?");
    screen.wait_for_text("look at a shorter or longer time");
    screen.keys("q");
    screen.wait_for("the jobs", |text| text.contains("q leave") && !text.contains("Log of"));
    screen.keys("q");
    assert_eq!(screen.end(), 0);
    end(&place, manager);
}
