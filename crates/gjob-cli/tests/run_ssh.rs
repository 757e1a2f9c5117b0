//! `gjob run` over real sshds.

#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop here")]

mod support;

use std::collections::BTreeSet;

use gjob_testbed::{Bed, NOWHERE};
use serde_json::{Value, json};
use snapbox::str;
use support::{Place, eventually};

/// `gjob` against a bed: results go below each host's own home.
fn gjob(place: &Place, bed: &Bed, args: &[&str]) -> support::Gjob {
    let config = bed.ssh_config().to_str().unwrap();
    let (command, rest) = args.split_first().unwrap();
    let mut all = vec![*command, "-F", config, "-r", "results"];
    all.extend(rest);
    place.gjob(&all)
}

fn file_of(bed: &Bed, job: &Value, name: &str) -> String {
    let host = job["host"].as_str().unwrap();
    let host = bed.hosts().iter().find(|known| known.alias() == host).unwrap();
    let path = host.home().join("results").join(job["id"].as_str().unwrap()).join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn four_hundred_jobs_on_four_hosts_take_one_login_each_and_leave_nothing_behind() {
    let place = Place::new();
    let bed = Bed::start(4);
    place.file("input.txt", "line of input\n");
    let jobs: String = (0..400)
        .map(|i| format!("grep -c input input.txt; echo job {i} > out.txt; cat out.txt\n"))
        .collect();
    place.file("jobs.txt", &jobs);
    let answer =
        gjob(&place, &bed, &["run", "-H", "h[1-4]", "-j", "2", "-f", "input.txt", "jobs.txt"])
            .output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);

    let status = place.status();
    assert_eq!(status["counts"]["done"], 400);
    let jobs = status["jobs"].as_array().unwrap();
    let mut used = BTreeSet::new();
    for (index, job) in jobs.iter().enumerate() {
        assert_eq!(file_of(&bed, job, "log"), format!("1\njob {index}\n"));
        used.insert(job["host"].as_str().unwrap().to_owned());
    }
    assert_eq!(used.len(), 4, "each host is used");
    // An attempt that was taken back unstarted leaves none.
    let began = bed.hosts().iter().flat_map(|host| {
        let results = std::fs::read_dir(host.home().join("results")).unwrap().flatten();
        let of_jobs = results.map(|entry| entry.path()).filter(|path| !path.ends_with(".gjob"));
        of_jobs.flat_map(|path| std::fs::read_dir(path).unwrap().flatten())
    });
    let began = began.filter(|entry| entry.path().is_dir());
    assert_eq!(began.count(), 400, "each job began once");
    for host in bed.hosts() {
        assert_eq!(host.logins(), 1, "logins at {}", host.alias());
    }
    eventually("no process is left on any host", || bed.processes().is_empty());
}

#[test]
fn twenty_slots_on_one_host_lose_no_job_to_a_default_sshd() {
    let place = Place::new();
    let bed = Bed::builder().max_startups("10:30:100").start();
    place.file("jobs.txt", &"true\n".repeat(400));
    let answer = gjob(&place, &bed, &["run", "-H", "h1", "-j", "20", "jobs.txt"]).output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert_eq!(place.status()["counts"]["done"], 400);
    assert_eq!(bed.host(1).logins(), 1);
}

#[test]
fn unusable_hosts_have_their_reasons_and_the_others_do_the_work() {
    let place = Place::new();
    let bed = Bed::start(3);
    bed.host(2).refuse_key();
    bed.host(3).stop();
    place.file("jobs.txt", &"true\n".repeat(20));
    let hosts = format!("h1,h2,h3,{NOWHERE}");
    let answer = gjob(&place, &bed, &["run", "-H", &hosts, "-j", "2", "jobs.txt"]).output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    place.gjob(&["status"]).any_width().stdout(str![[r#"
run [DATE]-1: done in [ELAPSED]
20 jobs: 20 done

HOST  STATE  BUSY  DONE  FAILED  MEDIAN  NOTE
h1  -  0/2  20  0  [ELAPSED]  -
h2  failed  -  0  0  -  login was not permitted: root@127.0.0.1: Permission denied (publickey).
h3  not used  -  0  0  -  the connection was refused: ssh: connect to host 127.0.0.1 port [PORT]: Connection refused
nowhere  failed  -  0  0  -  its name does not resolve: ssh: Could not resolve hostname nowhere..invalid: Name or service not known

"#]]).run();
}

#[test]
fn run_without_a_usable_host_ends_with_status_3_and_keeps_its_jobs() {
    let place = Place::new();
    let bed = Bed::start(1);
    bed.host(1).refuse_key();
    place.file("jobs.txt", "true\n");
    let hosts = format!("h1,{NOWHERE}");
    gjob(&place, &bed, &["run", "-H", &hosts, "jobs.txt"])
        .code(3)
        .side_by_side()
        .stderr(str![[r#"
run [DATE]-1: 0 done, 1 left in [ELAPSED] (stopped: no usable host; resume with `gjob attach [DATE]-1`)
host nowhere failed: its name does not resolve: ssh: Could not resolve hostname nowhere..invalid: Name or service not known
host h1 failed: login was not permitted: root@127.0.0.1: Permission denied (publickey).
run [DATE]-1: 1 job, 2 hosts

"#]])
        .run();
    assert_eq!(place.of_jobs("state"), ["free"]);
    bed.host(1).accept_key();
    // The host that does not resolve is still out; the other one does the work.
    place.gjob(&["attach"]).side_by_side().stderr(str![[r#"
run [DATE]-1: 1 done in [ELAPSED]
host nowhere failed: its name does not resolve: ssh: Could not resolve hostname nowhere..invalid: Name or service not known
run [DATE]-1 resumed: 1 job, 2 hosts
start #0 on [ANY]: true
ok #0 on [ANY] in [ELAPSED]
1 of 2 hosts was not used: nowhere (`gjob status [DATE]-1` says why)

"#]]).run();
    assert_eq!(place.of_jobs("state"), ["done"]);
}

#[test]
fn each_kind_of_end_is_told_apart_over_ssh() {
    let place = Place::new();
    let bed = Bed::start(2);
    let jobs = ["exit 7", "exit 255", "kill -SEGV $$", "sleep 60", "echo words >&2"];
    place.file("jobs.txt", &jobs.join("\n"));
    gjob(&place, &bed, &["run", "-H", "h1,h2", "--timeout", "1s", "jobs.txt"])
        .code(1)
        .side_by_side()
        .stderr(str![[r#"
run [DATE]-1: 5 jobs, 2 hosts
4 jobs not done:
  1 × exit 255: #1
  1 × exit 7: #0
  1 × signal 11: #2
  1 × timeout: #3
help: `gjob logs 0 -R [DATE]-1` and `gjob explain 0 -R [DATE]-1` say more, `gjob retry --attach -R [DATE]-1` retries failed jobs
run [DATE]-1: 1 done, 4 failed in [ELAPSED]
start #0 on [ANY]: exit 7
FAILED #0 on [ANY]: exit 7 · exit 7
start #1 on [ANY]: exit 255
FAILED #1 on [ANY]: exit 255 · exit 255
start #2 on [ANY]: kill -SEGV $$
FAILED #2 on [ANY]: signal 11 · kill -SEGV $$
start #3 on [ANY]: sleep 60
start #4 on [ANY]: echo words >&2
ok #4 on [ANY] in [ELAPSED]
FAILED #3 on [ANY]: timeout · sleep 60
help: timeout: `gjob run … --only-failed [DATE]-1 --timeout DURATION` gives more time

"#]])
        .run();
    assert_eq!(place.of_jobs("state"), ["error", "error", "error", "error", "done"]);
    let reasons = place.of_jobs("reason");
    assert_eq!(
        reasons,
        [json!("exit 7"), json!("exit 255"), json!("signal 11"), json!("timeout"), json!(null)]
    );
    let exits = place.of_jobs("exit");
    assert_eq!(exits, [json!(7), json!(255), json!(null), json!(null), json!(0)]);
}

#[test]
fn hosts_with_other_login_shells_and_noisy_start_up_files_work_the_same() {
    let place = Place::new();
    let bed = Bed::builder().hosts(2).noise("Welcome! You have mail.").start();
    bed.host(2).set_login_shell("dash");
    let values = ["$HOME", "a'b", "`x`", "{1,2}"];
    let mut args = vec!["run", "-k", "-H", "h1,h2", "--", "printf '%s\\n'", ":::"];
    args.extend(values);
    let run = gjob(&place, &bed, &args).side_by_side().stderr(str![[r#"
run [DATE]-1: 4 done in [ELAPSED]
run [DATE]-1: 4 jobs, 2 hosts
start #1 on [ANY]: printf '%s\n' "a'b"
start #0 on [ANY]: printf '%s\n' '$HOME'
ok #1 on [ANY] in [ELAPSED]
ok #0 on [ANY] in [ELAPSED]
start #3 on [ANY]: printf '%s\n' '{1,2}'
ok #3 on [ANY] in [ELAPSED]
start #2 on [ANY]: printf '%s\n' '`x`'
ok #2 on [ANY] in [ELAPSED]

"#]]);
    run.stdout(values.join("\n") + "\n").run();
}

#[test]
fn output_of_every_host_arrives() {
    let place = Place::new();
    let bed = Bed::start(2);
    let args = [
        "run",
        "-k",
        "-H",
        "2/h1,2/h2",
        "--",
        "head -c 300000 /dev/zero | tr '\\0' x; echo",
        ":::",
        "1",
        "2",
        "3",
        "4",
    ];
    let answer = gjob(&place, &bed, &args).output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    let expected: String = (1..=4).map(|i| "x".repeat(300_000) + &format!("{i}\n")).collect();
    assert!(answer.stdout == expected, "{} bytes came", answer.stdout.len());
    let logs = place.gjob(&["logs", "2"]).output();
    assert!(logs.stdout.ends_with("x3\n"), "{}", logs.stderr);
}
