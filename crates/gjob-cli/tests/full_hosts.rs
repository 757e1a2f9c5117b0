//! Hosts whose results directory takes nothing more, or that are to keep space or time free.

mod support;

use std::process::Command;
use std::time::Duration;

use support::Place;

/// Gives a shell in the home directory of a host. That of `h1` has a results directory
/// of its own with 96 MB, and the load that the file `load` says.
const ENTER: &str = r#"
HOME=$(dirname "$0")/$1
export HOME
unset GJOB_LEDGER_DIR
shift
mkdir -p "$HOME/results"
case $HOME in
*/h1) exec unshare -m sh -c 'mount -t tmpfs -o size=96m,mode=700 gjob "$HOME/results"
    ! [ -e "$HOME/../load" ] || mount --bind "$HOME/../load" /proc/loadavg
    exec "$@"' enter "$@" ;;
*) exec "$@" ;;
esac
"#;

#[test]
fn host_with_a_full_disk_is_paused_and_costs_no_job_an_attempt() {
    if !Command::new("unshare").args(["-m", "true"]).status().is_ok_and(|done| done.success()) {
        return gjob_testbed::skip("only root can mount a small file system");
    }
    let place = Place::new();
    let enter = place.file("enter", ENTER);
    // The other host's jobs wait until this has happened.
    let fills = "case $HOME in */h1) cat /dev/zero > hog 2> /dev/null || true; touch ~/../full;; esac; \
                 until [ -e ~/../full ]; do sleep 0.05; done\n";
    place.file("jobs.txt", &fills.repeat(6));
    let connect = format!("sh '{}' {{host}}", enter.display());
    let args =
        ["run", "--connect", &connect, "-r", "results", "-H", "1/h1,1/h2", "-j", "1", "jobs.txt"];
    let answer = place.gjob(&args).start().output_within(Duration::from_secs(60));
    assert_eq!(answer.code, 0, "{answer:?}");
    let said = "host h1 paused: its results disk is full; trying again every 30 s";
    assert_eq!(answer.stderr.matches(said).count(), 1, "{answer:?}");
    assert!(!answer.stderr.contains("cannot start"), "{answer:?}");
    assert!(place.of_jobs("attempt").iter().all(|attempt| *attempt == 1), "{answer:?}");
}

/// Runs two jobs on h1 and h2, of which h1 is to get none, and says what is known meanwhile:
/// what `gjob run` printed until the end, and what `explain` and `status` said.
fn while_h1_is_spared(place: &Place, option: &[&str], reason: [&str; 2]) -> String {
    let enter = place.file("enter", ENTER);
    place.file("jobs.txt", &"until [ -e ~/../go ]; do sleep 0.05; done\n".repeat(2));
    let connect = format!("sh '{}' {{host}}", enter.display());
    let args = ["run", "--connect", &connect, "-r", "results", "-H", "1/h1,1/h2", "jobs.txt"];
    let mut run = place.gjob(&[&args, option].concat()).start();
    let [begin, end] = reason;
    run.wait_until_printed(&format!("host h1 paused: {begin}"));
    let mut waiting = String::new();
    gjob_testbed::eventually("a job waits for h1", || {
        let explain = |job: &str| place.gjob(&["explain", job]).output().stdout;
        waiting = [explain("0"), explain("1")].concat();
        waiting.contains("it waits")
    });
    let is_said = |text: &str| text.contains(begin) && text.contains(end);
    assert!(is_said(&waiting) && waiting.contains("h1 is paused: "), "{waiting}");
    let status = place.gjob(&["status"]).output().stdout;
    assert!(is_said(&status), "{status}");
    place.file("go", "");
    let answer = run.output_within(Duration::from_secs(60));
    assert_eq!(answer.code, 0, "{answer:?}");
    assert!(place.of_jobs("host").iter().all(|host| host == "h2"), "{answer:?}");
    assert!(place.of_jobs("attempt").iter().all(|attempt| *attempt == 1), "{answer:?}");
    answer.stderr
}

#[test]
fn host_without_the_space_that_is_to_stay_free_gets_no_jobs() {
    if !Command::new("unshare").args(["-m", "true"]).status().is_ok_and(|done| done.success()) {
        return gjob_testbed::skip("only root can mount a small file system");
    }
    let place = Place::new();
    let reason = ["its results disk has ", "M free, less than --min-free 100M"];
    let said = while_h1_is_spared(&place, &["--min-free", "100M"], reason);
    assert!(said.contains(&format!("{}; trying again every 30 s", reason[1])), "{said}");
}

#[test]
fn host_with_a_high_load_gets_no_jobs() {
    if !Command::new("unshare").args(["-m", "true"]).status().is_ok_and(|done| done.success()) {
        return gjob_testbed::skip("only root can set the load that a host shows");
    }
    let place = Place::new();
    place.file("load", "9000.25 0.00 0.00 1/100 1000\n");
    let reason = ["its load is 9000.2", ", not below --load 9000"];
    let said = while_h1_is_spared(&place, &["--load", "9000"], reason);
    assert!(said.contains(&format!("{}; trying again every 10 s", reason.concat())), "{said}");
}

#[test]
fn job_that_its_only_host_has_refused_again_and_again_begins_with_its_first_attempt() {
    if !Command::new("unshare").args(["-m", "true"]).status().is_ok_and(|done| done.success()) {
        return gjob_testbed::skip("only root can set the load that a host shows");
    }
    let place = Place::new();
    let load = |load: &str| place.file("load", &format!("{load} 0.00 0.00 1/100 1000\n"));
    load("9000.25");
    let connect = format!("sh '{}' {{host}}", place.file("enter", ENTER).display());
    let args = ["run", "--connect", &connect, "-r", "results", "-H", "2/h1", "--load", "9000"];
    let job = ["--events", "events", "--", "echo $GJOB_ATTEMPT; : {}", ":::", "a", "b", "c"];
    let run = place.gjob(&[&args[..], &job].concat()).start();
    gjob_testbed::eventually("it was refused twice", || {
        let events = std::fs::read_to_string(place.path("here/events")).unwrap_or_default();
        events.matches("\"host-full\"").count() >= 2
    });
    load("1.00");
    let answer = run.output_within(Duration::from_secs(60));
    assert_eq!((answer.code, answer.stdout.as_str()), (0, "1\n1\n1\n"), "{answer:?}");
    assert!(!answer.stderr.contains("attempt"), "{answer:?}");
    assert_eq!(place.of_jobs("attempt"), [1, 1, 1]);
    let explained = place.gjob(&["explain", "0"]).output().stdout;
    assert!(!explained.contains("attempt 2"), "{explained}");
}
