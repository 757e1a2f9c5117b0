//! Hosts whose results directory takes nothing more.

mod support;

use std::process::Command;
use std::time::Duration;

use support::Place;

/// Gives a shell in the home directory of a host. That of `h1` has a results directory
/// of its own with 96 MB.
const ENTER: &str = r#"
HOME=$(dirname "$0")/$1
export HOME
shift
mkdir -p "$HOME/results"
case $HOME in
*/h1) exec unshare -m sh -c 'mount -t tmpfs -o size=96m,mode=700 gjob "$HOME/results" && exec "$@"' enter "$@" ;;
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
