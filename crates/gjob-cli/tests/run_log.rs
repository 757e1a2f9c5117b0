//! A job can write to its host's run log: what is no record there is passed over, and
//! a log that is not what it was is named.

mod support;

use std::time::Duration;

use gjob_testbed::Bed;
use support::{Answer, Place};

const LOG: &str = "../../.gjob/runs/*/*/log";

fn run(jobs: &str, host: &str) -> (Place, Answer) {
    let (place, bed) = (Place::new(), Bed::start(1));
    place.file("jobs.txt", jobs);
    let config = bed.ssh_config().display().to_string();
    let args = ["run", "-F", &config, "-r", "results", "-H", host, "jobs.txt", "-j", "1"];
    let answer = place.gjob(&args).start().output_within(Duration::from_secs(60));
    (place, answer)
}

#[test]
fn lines_that_are_no_records_are_passed_over_and_named_once() {
    for size in [20_000, 3_000_000] {
        let spoils = format!("head -c {size} /dev/zero | tr '\\0' x >> {LOG}");
        let garbles = format!("echo garbage >> {LOG}");
        let jobs = format!("true\n{spoils}\ntrue\n{garbles}\n{spoils}\ntrue\n");
        let (place, answer) = run(&jobs, "h1");
        assert_eq!(answer.code, 0, "{answer:?}");
        let said = "of its run log that cannot be read";
        assert_eq!(answer.stderr.matches(said).count(), 1, "{answer:?}");
        assert!(place.of_jobs("attempt").iter().all(|attempt| *attempt == 1));
    }
}

#[test]
fn log_that_is_emptied_or_removed_takes_its_host_out_with_the_reason() {
    for (spoils, said) in [
        (
            format!("for log in {LOG}; do : > $log; done; sleep 100"),
            " but the manager has read it ",
        ),
        (format!("rm {LOG}; sleep 100"), " was removed or replaced"),
    ] {
        let (_, answer) = run(&format!("true\n{spoils}\n"), "h1");
        assert_eq!(answer.code, 3, "{answer:?}");
        let failed = answer.stderr.lines().find(|line| line.contains("host h1 failed: "));
        assert!(failed.is_some_and(|line| line.contains(said)), "{answer:?}");
    }
}
