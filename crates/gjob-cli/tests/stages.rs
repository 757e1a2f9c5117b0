//! Outputs of jobs that are files of other jobs, end to end.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod support;

use std::path::Path;

use gjob_testbed::Bed;
use serde_json::{Value, json};
use snapbox::str;
use support::{Gjob, Place, eventually, lines};

/// `gjob run jobs.jsonl` on the hosts of a bed, with outputs below `out`.
fn run_on(place: &Place, bed: &Bed, rest: &[&str]) -> Gjob {
    let config = bed.ssh_config().to_str().unwrap();
    let hosts = bed.host_list();
    let args = ["run", "-F", config, "-H", &hosts, "-r", "results", "--into", "out"];
    place.gjob(&[&args, rest, &["jobs.jsonl"]].concat())
}

/// `gjob run jobs.jsonl` here, with outputs below `out`.
fn run(place: &Place, rest: &[&str]) -> Gjob {
    place.gjob(&[&["run", "--into", "out"], rest, &["jobs.jsonl"]].concat())
}

fn write_jobs(place: &Place, jobs: &[Value]) {
    place.file("jobs.jsonl", &jobs.iter().map(|job| format!("{job}\n")).collect::<String>());
}

fn make_dir(place: &Place, name: &str) {
    std::fs::create_dir(place.path("here").join(name)).unwrap();
}

fn remove(path: &Path) {
    std::fs::remove_file(path).unwrap();
}

#[test]
fn stages_hand_on_files_and_directories_between_hosts_byte_by_byte() {
    let place = Place::new();
    let bed = Bed::start(2);
    let list = "find . -mindepth 2 -printf '%P %y %m %s %l\\n' | sort; \
                find . -mindepth 2 -type f -exec sha256sum {} + | sort";
    let make = "mkdir -p d/sub d/empty; head -c 300000 /dev/urandom > d/sub/data; \
                printf '#!/bin/sh\\necho ran' > d/tool; chmod 750 d/tool; \
                ln -s sub/data d/link; printf x > \"d/$(printf 'n\\351 m\\n')\"; \
                : > d/nothing; sha256sum d/sub/data; touch unnamed";
    write_jobs(
        &place,
        &[
            json!({"name": "make", "cmds": make, "outputs": ["d", "unnamed"], "host": "h1"}),
            json!({"name": "pass", "cmds": ["make/d/tool", "sha256sum make/d/sub/data", "cp -r make/d/. e"],
                "outputs": "e", "files": "@make/d", "host": "h2"}),
            json!({"name": "here", "cmds": list, "files": "@make/d", "host": "h1"}),
            json!({"name": "there", "cmds": list, "files": "@pass/e", "host": "h1"}),
        ],
    );
    let answer = run_on(&place, &bed, &["-k", "--show", "all"]).output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    let printed: Vec<&str> = answer.stdout.lines().collect();
    let sum = printed[0].split(' ').next().unwrap();
    assert_eq!(printed[1], "ran");
    assert!(printed[2].starts_with(sum), "{printed:?}");
    let (here, there) = printed[3..].split_at((printed.len() - 3) / 2);
    let renamed: Vec<String> = here.iter().map(|line| line.replace("make/d", "pass/e")).collect();
    assert_eq!(renamed, there);
    assert_eq!(here.iter().filter(|line| line.contains(sum)).count(), 2, "a link is followed");
    for expected in ["make/d/empty d ", "make/d/tool f 750 ", "make/d/nothing f "] {
        assert!(here.iter().any(|line| line.starts_with(expected)), "{expected}: {here:?}");
    }
    assert!(!here.iter().any(|line| line.contains("unnamed")), "only what is named");
}

#[test]
fn what_cannot_be_an_input_is_refused_with_its_place_before_anything_starts() {
    let place = Place::new();
    let jobs = [
        json!({"name": "fit-1", "cmds": "true", "outputs": "x"}),
        json!({"name": "plain", "cmds": "true"}),
        json!({"cmds": "true", "files": ["@fti-1/x", "@fit-1", "@fit-1/../x"]}),
        json!({"cmds": "true", "files": "@gone-*/x"}),
        json!({"cmds": "true", "files": "@plain/x"}),
    ];
    write_jobs(&place, &jobs);
    run(&place, &[])
        .code(2)
        .stderr(str![[r#"
gjob: jobs.jsonl:3: invalid file "@fit-1": expected @JOBS/PATH for outputs of other jobs, or ./@fit-1 for a file
gjob: jobs.jsonl:3: file "@fit-1/../x": "../x" leads out of the job directory: expected a path without a leading /, . and ..
gjob: nothing was started

"#]])
        .run();
    write_jobs(&place, &[jobs[0].clone(), jobs[1].clone(), jobs[3].clone(), jobs[4].clone()]);
    run(&place, &[])
        .code(2)
        .stderr(str![[r#"
gjob: jobs.jsonl:3: file "@gone-*/x": no job is called "gone-*": expected the name of another job or a glob of names, or ./@gone-*/x for a file
gjob: jobs.jsonl:4: file "@plain/x": job 1 (plain) has no outputs: expected `outputs` that the path matches
gjob: nothing was started

"#]])
        .run();
    let cycle = [
        json!({"name": "a", "cmds": "true", "outputs": "x", "files": "@b/x"}),
        json!({"name": "b", "cmds": "true", "outputs": "x", "after": "a"}),
    ];
    write_jobs(&place, &cycle);
    run(&place, &[])
        .code(2)
        .stderr(str![[r#"
gjob: jobs.jsonl: dependency cycle: job 0 (a) after job 1 (b) after job 0 (a)
gjob: nothing was started

"#]])
        .run();
    write_jobs(
        &place,
        &[jobs[0].clone(), json!({"cmds": "true", "files": ["@fit-1/x", "d/fit-1"]})],
    );
    make_dir(&place, "d");
    place.file("d/fit-1", "");
    run(&place, &[]).code(2).stderr(str![[r#"
gjob: jobs.jsonl: job 1: file "d/fit-1" and the outputs of job 0 (fit-1) have the same name: expected a different one for each in the job directory
gjob: nothing was started

"#]]).run();
    assert!(!place.has_run());
}

#[test]
fn job_without_the_output_that_another_needs_fails_that_before_it_starts() {
    let place = Place::new();
    let ledger = place.path("ledger");
    let started = format!("echo started >> {}", ledger.display());
    write_jobs(
        &place,
        &[
            json!({"name": "fit", "cmds": "echo 1 > a.csv", "outputs": "*.csv"}),
            json!({"name": "sum", "cmds": started, "files": ["@fit/b.csv"], "outputs": "x"}),
            json!({"name": "last", "cmds": started, "files": ["@sum/x"]}),
        ],
    );
    run(&place, &[])
        .code(1)
        .stderr(str![[r#"
run [DATE]-1: 3 jobs, 1 host
start #0 fit: echo 1 > a.csv
ok #0 fit in [ELAPSED]
this machine cannot start job 1: input: job fit is done, and none of its outputs matches "b.csv"
FAILED #1 sum: input: job fit is done, and none of its outputs matches "b.csv" · echo started >> [PLACE]/ledger
FAILED #2 last: dependency: job sum is not done · echo started >> [PLACE]/ledger
2 jobs not done:
  1 × input: job fit is done, and none of its outputs matches "b.csv": #1
  1 × dependency: job sum is not done: #2
help: `gjob logs 1 -R [DATE]-1` and `gjob explain 1 -R [DATE]-1` say more, `gjob retry --attach -R [DATE]-1` retries failed jobs
outputs: [PLACE]/here/out
run [DATE]-1: 1 done, 2 failed in [ELAPSED]

"#]])
        .run();
    assert_eq!(lines(&ledger), [""; 0]);
    assert_eq!(place.of_jobs("state"), ["done", "error", "error"]);
}

#[test]
fn job_gets_the_outputs_of_the_attempt_that_counts() {
    let place = Place::new();
    write_jobs(
        &place,
        &[
            json!({"name": "fit", "outputs": "out", "retries": 2,
                "cmds": "echo $GJOB_ATTEMPT > out; test $GJOB_ATTEMPT = 3"}),
            json!({"name": "sum", "cmds": "cat fit/out", "files": "@fit/out"}),
        ],
    );
    assert_eq!(run(&place, &["--show", "all", "-q", "--results"]).output().stdout, "3\n");
}

#[test]
fn copies_of_a_job_have_directories_with_their_numbers() {
    let place = Place::new();
    write_jobs(
        &place,
        &[
            json!({"name": "r/1", "cmds": "echo $GJOB_REPEAT > x", "outputs": "x", "repeat": 2}),
            json!({"cmds": "cat r_1-0/x r_1-1/x; cat s/x", "files": ["@r?1/x", "@s/x"], "link": true}),
            json!({"name": "s", "cmds": "echo s > x", "outputs": "x"}),
        ],
    );
    let answer = run(&place, &["-q", "--show", "all"]).output();
    assert_eq!((answer.code, answer.stdout.as_str()), (0, "0\n1\ns\n"), "{}", answer.stderr);
}

#[test]
fn producer_that_fails_fails_its_consumers_and_retry_retries_both() {
    let place = Place::new();
    let fails = place.path("fails");
    std::fs::write(&fails, "").unwrap();
    write_jobs(
        &place,
        &[
            json!({"name": "fit", "outputs": "out",
                "cmds": format!("date +%N > out; ! test -e {}", fails.display())}),
            json!({"name": "sum", "cmds": "cat fit/out", "files": "@fit/out"}),
        ],
    );
    assert_eq!(run(&place, &["-q"]).output().code, 1);
    assert_eq!(place.of_jobs("reason")[1], "dependency: job fit is not done");
    remove(&fails);
    assert_eq!(place.gjob(&["retry", "fit", "--attach"]).output().code, 0);
    let out = std::fs::read_to_string(place.path("here/out/fit-0/out")).unwrap();
    place.gjob(&["logs", "sum"]).stdout(out).run();
}

#[test]
fn outputs_that_were_removed_are_fetched_again_and_changed_ones_are_named() {
    let place = Place::new();
    let go = place.path("go");
    let wait = format!("while ! test -e {}; do sleep 0.02; done", go.display());
    // Where it was written it is not the same any more, either.
    let dir_of_b = place.path("dir-of-b");
    let make = format!("echo b > x; pwd > {}", dir_of_b.display());
    let wait = format!("{wait}; echo X > $(cat {})/x", dir_of_b.display());
    write_jobs(
        &place,
        &[
            json!({"name": "a", "cmds": "mkdir d; echo a > d/x; echo z > 'd/[z]'; echo k > kept", "outputs": ["d", "kept"]}),
            json!({"name": "b", "cmds": make, "outputs": "x"}),
            json!({"name": "c", "cmds": "echo c > x", "outputs": "x"}),
            json!({"name": "d", "cmds": "echo d > x", "outputs": "x"}),
            json!({"name": "gate", "cmds": wait, "after": ["a", "b", "c", "d"]}),
            json!({"cmds": "cat a/kept a/d/*", "files": ["@a/d", "@a/kept"], "after": "gate"}),
            json!({"cmds": "cat b/x", "files": "@b/x", "after": "gate"}),
            json!({"cmds": "cat c/x", "files": "@c/x", "after": "gate"}),
            json!({"cmds": "cat d/x", "files": "@d/x", "after": "gate"}),
        ],
    );
    let running = run(&place, &["-k", "--show", "all"]).start();
    eventually("the gate runs", || place.has_run() && place.of_jobs("started")[4] != json!(null));
    let out = place.path("here/out");
    std::fs::remove_dir_all(out.join("a-0/d")).unwrap();
    std::fs::write(out.join("a-0/mine"), "mine").unwrap();
    std::fs::write(out.join("b-1/x"), "B\n").unwrap();
    std::fs::write(out.join("c-2/x"), "longer\n").unwrap();
    std::fs::write(out.join("d-3/x"), "D\n").unwrap();
    std::fs::write(&go, "").unwrap();
    let answer = running.output();
    assert_eq!(answer.stdout, "k\nz\na\nd\n");
    assert_eq!(answer.code, 1, "{}", answer.stderr);
    assert_eq!(std::fs::read_to_string(out.join("a-0/mine")).unwrap(), "mine");
    let changed = |path: &str, which: &str| {
        let path = out.join(path);
        format!("{which}file {path:?} changed: it must stay the same until the jobs are done")
    };
    let reasons = place.of_jobs("reason");
    assert_eq!([&reasons[5], &reasons[8]], [&json!(null); 2]);
    assert_eq!(reasons[6], changed("b-1/x", ""));
    assert_eq!(reasons[7], changed("c-2/x", "input: output of job c: "));
}

#[test]
fn outputs_that_are_gone_everywhere_are_named() {
    let place = Place::new();
    let go = place.path("go");
    let wait = format!("while ! test -e {}; do sleep 0.02; done", go.display());
    write_jobs(
        &place,
        &[
            json!({"name": "a", "cmds": "echo a > x", "outputs": "x"}),
            json!({"name": "gate", "cmds": wait, "after": "a"}),
            json!({"cmds": "cat a/x", "files": "@a/x", "after": "gate"}),
        ],
    );
    let running = run(&place, &["--cleanup", "-q"]).start();
    eventually("the gate runs", || place.has_run() && place.of_jobs("started")[1] != json!(null));
    let path = place.path("here/out/a-0/x");
    remove(&path);
    std::fs::write(&go, "").unwrap();
    assert_eq!(running.output().code, 1);
    let reason = place.of_jobs("reason")[2].as_str().unwrap().to_owned();
    let expected = format!(
        "input: output of job a: file {path:?} does not exist, and cannot be fetched again: --cleanup removes the directories of done jobs: "
    );
    assert!(reason.starts_with(&expected), "{reason}");
    std::fs::write(&path, "a\n").unwrap();
    assert_eq!(place.gjob(&["retry", "2", "--attach"]).output().code, 0);
}

/// Jobs of which `make` on h1 has outputs, which `use` on h2 gets once there is a file `go`.
fn write_gated(place: &Place, make: &Value) {
    let wait = format!("while ! test -e {}; do sleep 0.02; done", place.path("go").display());
    let gate = json!({"name": "gate", "cmds": wait, "after": "make", "host": "h2"});
    let user = json!({"name": "use", "cmds": "cat make/x", "files": "@make/x", "after": "gate", "host": "h2"});
    write_jobs(place, &[make.clone(), gate, user]);
}

/// Lets a gated job go that needs the output `make/x`, which is not there any more; gives its path.
fn remove_x(place: &Place) -> std::path::PathBuf {
    eventually("the gate runs", || place.has_run() && place.of_jobs("started")[1] != json!(null));
    let path = place.path("here/out/make-0/x");
    remove(&path);
    std::fs::write(place.path("go"), "").unwrap();
    path
}

fn cannot_be_fetched(path: &Path, why: &str) -> String {
    format!(
        "input: output of job make: file {path:?} does not exist, and cannot be fetched again: {why}"
    )
}

#[test]
fn missing_output_on_a_removed_host_fails_its_consumer_with_the_host() {
    let place = Place::new();
    let bed = Bed::start(2);
    let make = json!({"name": "make", "cmds": "echo x > x", "outputs": "x", "host": "h1"});
    write_gated(&place, &make);
    let running = run_on(&place, &bed, &["-q", "--lost-after", "2s"]).start();
    eventually("the gate runs", || place.has_run() && place.of_jobs("started")[1] != json!(null));
    assert_eq!(place.gjob(&["hosts", "remove", "h1"]).output().code, 0);
    eventually("h1 is removed", || place.status()["hosts"][0]["leaving"] == "removed");
    let path = remove_x(&place);
    assert_eq!(running.output().code, 1);
    let expected = cannot_be_fetched(&path, "host h1 was removed from the run");
    assert_eq!(place.of_jobs("reason")[2], expected);
}

#[test]
fn missing_output_is_fetched_again_once_its_host_answers_and_given_up_when_it_is_lost() {
    let bed = Bed::start(2);
    let make = json!({"name": "make", "cmds": "echo x > x", "outputs": "x", "host": "h1"});
    for (lost_after, is_lost) in [("60s", false), ("1s", true)] {
        let place = Place::new();
        write_gated(&place, &make);
        let running = run_on(&place, &bed, &["-q", "--lost-after", lost_after]).start();
        eventually("the gate runs", || {
            place.has_run() && place.of_jobs("started")[1] != json!(null)
        });
        bed.host(1).stop();
        bed.host(1).kill_connections();
        eventually("h1 is away", || place.status()["hosts"][0]["state"] == "unknown");
        let path = remove_x(&place);
        if !is_lost {
            eventually("the job waits", || {
                let explained = place.gjob(&["explain", "use"]).output().stdout;
                explained.contains("fetched again from h1, which does not answer")
            });
            bed.host(1).start();
        }
        assert_eq!(running.output().code, i32::from(is_lost));
        let reason = place.of_jobs("reason")[2].clone();
        let expected = cannot_be_fetched(&path, "host h1 is lost: no contact for ");
        assert_eq!(
            reason.as_str().is_some_and(|it| it.starts_with(&expected)),
            is_lost,
            "{reason}"
        );
        assert_eq!(path.exists(), !is_lost);
    }
}

#[test]
fn job_whose_inputs_are_on_a_host_that_is_away_leaves_its_slot_to_others() {
    let (place, bed) = (Place::new(), Bed::start(2));
    let make = json!({"name": "make", "cmds": "echo x > x", "outputs": "x", "host": "h1"});
    write_gated(&place, &make);
    let other = json!({"name": "other", "cmds": "true", "after": "gate", "host": "h2"});
    let jobs = std::fs::read_to_string(place.path("here/jobs.jsonl")).unwrap();
    place.file("jobs.jsonl", &format!("{jobs}{other}\n"));
    let running = run_on(&place, &bed, &["-q", "-j1"]).start();
    eventually("the gate runs", || place.has_run() && place.of_jobs("started")[1] != json!(null));
    bed.host(1).stop();
    bed.host(1).kill_connections();
    eventually("h1 is away", || place.status()["hosts"][0]["state"] == "unknown");
    let path = remove_x(&place);
    eventually("the other job is done", || place.of_jobs("state")[3] == "done");
    assert_eq!(place.of_jobs("state")[2], "free");
    let explained = place.gjob(&["explain", "use"]).output().stdout;
    let said = format!(
        "it waits for outputs of job make to be fetched again from h1, which does not answer: {path:?} does not exist\n"
    );
    assert!(explained.contains(&said), "{explained}");
    bed.host(1).start();
    let answer = running.output();
    assert_eq!(answer.code, 0, "{}: {:?}", answer.stderr, place.of_jobs("reason"));
    assert_eq!(place.of_jobs("attempt"), [1, 1, 1, 1]);
}

#[test]
fn jobs_that_need_different_missing_outputs_of_one_job_get_them() {
    let place = Place::new();
    let bed = Bed::start(2);
    let path = |name: &str| place.path("here/out/p-0").join(name).display().to_string();
    let gate = format!("rm {} {}", path("x"), path("y"));
    let user = |name: &str, file: &str, host: &str| {
        let (cmds, file) = (format!("cat p/{file}"), format!("@p/{file}"));
        json!({"name": name, "cmds": cmds, "files": file, "host": host, "after": "gate"})
    };
    write_jobs(
        &place,
        &[
            json!({"name": "p", "cmds": "echo x > x; echo y > y", "outputs": ["x", "y"], "host": "h1"}),
            json!({"name": "gate", "cmds": gate, "after": "p", "host": "h1"}),
            user("a", "x", "h2"),
            user("b", "y", "h1"),
            user("c", "*", "h1"),
        ],
    );
    let answer = run_on(&place, &bed, &["-q", "-j2"]).output();
    assert_eq!(answer.code, 0, "{}: {:?}", answer.stderr, place.of_jobs("reason"));
}

#[test]
fn output_that_its_host_has_changed_is_not_put_in_place_of_a_missing_one() {
    let place = Place::new();
    let dir = place.path("job-dir");
    let make =
        format!("echo one > x; echo kept > k; mkdir d; echo d > d/x; pwd > {}", dir.display());
    let local = place.path("here/out/make-0");
    let gate = format!(
        "rm {0}/x {0}/d/x; cd $(cat {1}); echo two > x; rm d/x; mkdir d/x",
        local.display(),
        dir.display()
    );
    write_jobs(
        &place,
        &[
            json!({"name": "make", "cmds": make, "outputs": ["x", "k", "d"]}),
            json!({"name": "gate", "cmds": gate, "after": "make"}),
            json!({"cmds": "cat make/*", "files": ["@make/x", "@make/k"], "after": "gate"}),
            json!({"cmds": "cat make/d/*", "files": "@make/d", "after": "gate"}),
        ],
    );
    assert_eq!(run(&place, &["-q", "-k"]).output().code, 1);
    let reasons = place.of_jobs("reason");
    let expected = |path: &str| {
        let why = format!(
            "its host has something else now: output {path:?} changed since it was fetched"
        );
        cannot_be_fetched(&local.join(path), &why)
    };
    assert_eq!(reasons[2..], [expected("x"), expected("d/x")]);
    assert!(!local.join("x").exists() && !local.join("d/x").exists());
    assert_eq!(std::fs::read_to_string(local.join("k")).unwrap(), "kept\n");
}

#[test]
fn outputs_that_were_replaced_by_symlinks_or_were_empty_directories_are_named() {
    let place = Place::new();
    let local = place.path("here/out/make-0");
    let gate = format!("cd {}; mv f g; ln -s g f; mv d e; ln -s e d; rmdir empty", local.display());
    let user = |file: &str| json!({"cmds": "true", "files": file, "after": "gate"});
    write_jobs(
        &place,
        &[
            json!({"name": "make", "cmds": "echo f > f; mkdir d empty; echo x > d/x",
                "outputs": ["f", "d", "empty"]}),
            json!({"name": "gate", "cmds": gate, "after": "make"}),
            user("@make/f"),
            user("@make/d"),
            user("@make/empty"),
        ],
    );
    assert_eq!(run(&place, &["-q", "-k"]).output().code, 1);
    let replaced = |name: &str| {
        let path = local.join(name);
        format!(
            "input: output of job make: file {path:?} was replaced by a symlink: it must stay the same until the jobs are done"
        )
    };
    let empty = local.join("empty");
    let gone = format!("input: output of job make: directory {empty:?} does not exist any more");
    assert_eq!(place.of_jobs("reason")[2..], [replaced("f"), replaced("d"), gone]);
}

#[test]
fn large_output_goes_to_a_host_once_for_all_its_jobs_and_never_to_where_it_was_written() {
    let place = Place::new();
    let bed = Bed::start(2);
    let size: u64 = 50 << 20;
    let check = "sha256sum < big/data | cmp - big/sum";
    let check = |name: &str, host: &str| json!({"name": name, "cmds": check, "files": "@big/*", "host": host});
    let make = format!("head -c {size} /dev/urandom > data; sha256sum < data > sum");
    let big = json!({"name": "big", "cmds": make, "outputs": ["data", "sum"], "host": "h1"});
    let (a, b, c) = (check("a", "h2"), check("b", "h2"), check("c", "h1"));
    write_jobs(&place, &[big, a, b, c]);
    let answer = run_on(&place, &bed, &["-q", "-j3"]).output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    let status = place.status();
    let of_hosts = |field: &str| -> Vec<u64> {
        let hosts = status["hosts"].as_array().unwrap().iter();
        hosts.map(|host| host[field].as_u64().unwrap()).collect()
    };
    let sent = of_hosts("bytes_sent");
    assert_eq!(sent[1] - sent[0], size, "each got the program, and the other one the file, once");
    assert_eq!(of_hosts("bytes_fetched"), [size + 68, 0]);
}

#[test]
fn outputs_that_were_changed_on_their_host_since_they_were_fetched_arrive_as_they_were() {
    let place = Place::new();
    let bed = Bed::start(1);
    let job_dir = place.path("job-dir");
    let (make, change) = (
        "mkdir d; echo one > d/x; echo two > d/y; echo three > d/z; echo four > d/w",
        "echo 1ne > d/x; rm d/y; echo threes > d/z; ln -sf /etc/hostname d/w",
    );
    let make = format!("{make}; pwd > {}", job_dir.display());
    let change = format!("cd $(cat {}); {change}", job_dir.display());
    write_jobs(
        &place,
        &[
            json!({"name": "make", "cmds": make, "outputs": "d"}),
            json!({"name": "change", "cmds": change, "after": "make"}),
            json!({"cmds": "cat make/d/[xyzw]", "files": "@make/d", "after": "change"}),
        ],
    );
    let answer = run_on(&place, &bed, &["-q", "--show", "all"]).output();
    assert_eq!((answer.code, answer.stdout.as_str()), (0, "four\none\ntwo\nthree\n"), "{answer:?}");
    assert_eq!(place.of_jobs("attempts")[2].as_array().unwrap().len(), 1);
    assert_eq!(place.status()["hosts"][0]["host_failures"], 0);
}

#[test]
fn manager_and_agent_that_are_killed_while_an_output_is_copied_on_its_host_send_nothing_of_it() {
    let place = Place::new();
    let bed = Bed::start(2);
    let job_dir = place.path("job-dir");
    let make = "head -c 100M /dev/urandom > data; sha256sum < data > sum";
    let make = format!("{make}; pwd > {}", job_dir.display());
    let check = "sha256sum < big/data | cmp - big/sum";
    write_jobs(
        &place,
        &[
            json!({"name": "big", "cmds": make, "outputs": ["data", "sum"], "host": "h1"}),
            json!({"name": "other", "cmds": "true", "host": "h2"}),
            json!({"cmds": check, "files": "@big/*", "host": "h1"}),
        ],
    );
    let running = run_on(&place, &bed, &["-q"]).start();
    let files = || -> Vec<String> {
        let Ok(dir) = std::fs::read_to_string(&job_dir) else { return Vec::new() };
        let blobs = Path::new(dir.trim_end()).join("../../.gjob/blobs");
        let entries = std::fs::read_dir(blobs).into_iter().flatten();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    eventually("it is being copied", || files().iter().any(|name| name.ends_with(".copy.part")));
    bed.host(1).kill_connections();
    running.kill_9();
    let answer = place.gjob(&["attach", "-q"]).output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    let status = place.status();
    let sent = |host: usize| status["hosts"][host]["bytes_sent"].as_u64().unwrap();
    assert_eq!(sent(0), sent(1), "the program alone");
    assert_eq!(files().iter().filter(|name| name.contains('.')).count(), 0, "{:?}", files());
}

/// The jobs of three stages: many parts, sums of some of them, and a sum of these. Each says
/// what it has found wrong.
fn pyramid(place: &Place, parts: u32) {
    let mut jobs = Vec::new();
    for part in 0..parts {
        jobs.push(json!({"name": format!("part-{part}"), "outputs": "d",
            "cmds": format!("mkdir d; seq {part}000 > d/numbers; echo {part} > d/which")}));
    }
    for digit in 0..10.min(parts) {
        jobs.push(json!({"name": format!("sum-{digit}"), "outputs": "sum", "files": [format!("@part-*{digit}/d")],
            "cmds": ["for dir in part-*; do n=$(cat $dir/d/which); test part-$n = $dir; \
                seq ${n}000 | cmp - $dir/d/numbers; cat $dir/d/numbers; done | wc -l > sum"]}));
    }
    jobs.push(
        json!({"name": "all", "cmds": "cat sum-*/sum | paste -sd+ | bc", "files": "@sum-*/sum"}),
    );
    write_jobs(place, &jobs);
}

#[test]
fn manager_that_is_killed_again_and_again_hands_on_the_right_outputs() {
    let place = Place::new();
    let bed = Bed::start(2);
    pyramid(&place, 10);
    let mut running = run_on(&place, &bed, &["-j", "2"]).start();
    for stop in 0..2 {
        let ended = move |states: Vec<Value>| states.iter().filter(|s| **s == "done").count();
        eventually("some jobs are done", || {
            place.has_run() && ended(place.of_jobs("state")) > stop * 9
        });
        bed.host(1 + stop % 2).kill_connections();
        running.kill_9();
        running = place.gjob(&["attach"]).start();
    }
    let answer = running.output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    place.gjob(&["logs", "all"]).stdout("45000\n").run();
    let attempts = place.of_jobs("attempts");
    let again = attempts.iter().filter(|attempts| {
        let attempts = attempts.as_array().unwrap().iter();
        attempts.filter(|attempt| !attempt["started"].is_null()).count() > 1
    });
    assert_eq!(again.collect::<Vec<_>>(), [&json!(null); 0], "no job was started twice");
}

#[test]
fn consumer_on_a_lost_host_runs_on_another_with_the_same_inputs() {
    let bed = Bed::start(2);
    let place = Place::new();
    let ledger = place.path("ledger");
    let hold = format!(
        "cat fit/out; echo $GJOB_DIR >> {}; test $GJOB_ATTEMPT = 2 || exec sleep 60",
        ledger.display()
    );
    write_jobs(
        &place,
        &[
            json!({"name": "fit", "outputs": "out", "host": "h1", "cmds": "seq 100000 > out"}),
            json!({"name": "sum", "cmds": hold, "files": "@fit/out"}),
        ],
    );
    let running = run_on(&place, &bed, &["-q", "-j1", "--lost-after", "1s"]).start();
    eventually("the second job runs", || lines(&ledger).len() == 1);
    let lost = place.of_jobs("host")[1].clone();
    let host = bed.host(if lost == "h1" { 1 } else { 2 });
    host.stop();
    host.kill_connections();
    let answer = running.output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert_ne!(place.of_jobs("host")[1], lost);
    let expected: String = (1..=100_000).map(|n| format!("{n}\n")).collect();
    place.gjob(&["logs", "sum"]).stdout(expected).run();
}

#[test]
fn explain_and_status_name_the_jobs_whose_outputs_are_waited_for() {
    let place = Place::new();
    let go = place.path("go");
    let wait = format!("while ! test -e {}; do sleep 0.02; done; echo > x", go.display());
    write_jobs(
        &place,
        &[
            json!({"name": "fit-0", "cmds": "echo > x", "outputs": "x"}),
            json!({"name": "fit-1", "cmds": wait, "outputs": "x"}),
            json!({"name": "sum", "cmds": "true", "files": "@fit-*/x"}),
        ],
    );
    run(&place, &["--dry-run"])
        .stdout(str![[r#"
host :
job 0 fit-0
    commands: echo > x
    outputs:  x
job 1 fit-1
    commands: while ! test -e [PLACE]/go; do sleep 0.02; done; echo > x
    outputs:  x
job 2 sum
    commands: true
    files:    @fit-*/x

"#]])
        .run();
    let running = run(&place, &["-q", "-j2"]).start();
    eventually("the first is done", || place.has_run() && place.of_jobs("state")[0] == "done");
    place
        .gjob(&["explain", "sum"])
        .stdout(str![[r#"
job 2 sum: waiting
  true
asks for 1 CPU
needs @fit-*/x: outputs of 2 jobs, not done: job fit-1
it waits for job fit-1 to be done

"#]])
        .run();
    let expected = json!([{"file": "@fit-*/x", "jobs": [0, 1]}]);
    assert_eq!(place.of_jobs("inputs"), [json!([]), json!([]), expected]);
    std::fs::write(&go, "").unwrap();
    assert_eq!(running.output().code, 0);
    place
        .gjob(&["explain", "sum"])
        .redact("[ID]", place.of_jobs("id")[2].as_str().unwrap())
        .stdout(str![[r#"
job 2 sum: done on this machine
  true
asks for 1 CPU
needs @fit-*/x: outputs of 2 jobs, all done

attempts:
  1 on this machine ([ID]): exit 0 after [ELAPSED], [MEMORY], [ELAPSED] of CPU time

what happened:
  [CLOCK]  attempt 1 assigned to this machine
  [CLOCK]  attempt 1 started on this machine
  [CLOCK]  attempt 1: exit 0
  [CLOCK]  done

"#]])
        .run();
}

#[test]
fn option_gives_outputs_of_some_jobs_to_all_others() {
    let place = Place::new();
    let jobs = [
        json!({"name": "model", "cmds": "echo m > m", "outputs": "m"}),
        json!({"name": "a", "cmds": "cat model/m"}),
        json!({"cmds": "cat model/m"}),
    ];
    write_jobs(&place, &jobs);
    let quiet = ["-k", "-q", "--show", "all"];
    let printed = run(&place, &[&quiet[..], &["-f", "@mod*/m"]].concat()).output().stdout;
    assert_eq!(printed, "m\nm\n");
    let python = "Job('echo n > n', name='n', outputs='n')\nJob('cat n/n', files=['@n/n'])\n";
    place.file("jobs.py", python);
    let printed = place.gjob(&["run", "jobs.py", "-q", "--show", "all"]).output().stdout;
    assert_eq!(printed, "n\n");
    make_dir(&place, "@odd");
    place.file("@odd/x", "a file\n");
    let file = ["run", "-q", "--show", "all", "-f", "./@odd/x", "--", "cat x"];
    assert_eq!(place.gjob(&file).output().stdout, "a file\n");
}

#[test]
fn skip_done_compares_inputs_by_the_jobs_that_write_them() {
    let place = Place::new();
    let jobs = |number: u32, sum: &str| {
        [
            json!({"name": "a", "cmds": "echo 1 > x", "outputs": "x"}),
            json!({"name": "b", "cmds": format!("echo {number} > x"), "outputs": "x"}),
            json!({"name": "sum-a", "cmds": sum, "files": "@a/x", "outputs": "s"}),
            json!({"name": "sum-b", "cmds": "cat b/x", "files": "@b/x"}),
            json!({"name": "last", "cmds": "cat sum-a/s", "files": "@sum-a/s"}),
        ]
    };
    write_jobs(&place, &jobs(1, "cp a/x s"));
    assert_eq!(run(&place, &["-q"]).output().code, 0);
    let skipped = |jobs: &[Value]| {
        write_jobs(&place, jobs);
        let args = ["run", "-v", "--into", "again", "--skip-done", "latest", "--dry-run"];
        let text = place.gjob(&[&args[..], &["jobs.jsonl"]].concat()).output().stderr;
        let what = |line: &str| line.split_once("): ").map(|(_, what)| what.to_owned());
        text.lines().filter_map(what).collect::<Vec<_>>()
    };
    assert_eq!(skipped(&jobs(1, "cp a/x s")), ["done, skipped"; 5]);
    let done = "done, skipped";
    assert_eq!(skipped(&jobs(2, "cp a/x s")), [done, "new", done, "other files", done]);
    let needed = "its outputs are needed";
    let changed = "cat a/x > s";
    assert_eq!(skipped(&jobs(1, changed)), [needed, done, "new", done, "other files"]);
}
