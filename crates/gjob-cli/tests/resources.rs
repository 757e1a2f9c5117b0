//! The CPUs, memory and GPUs that jobs get on their hosts, end to end.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod support;

use std::collections::BTreeMap;

use gjob_testbed::Bed;
use serde_json::{Value, json};
use snapbox::str;
use support::{Answer, Place, eventually, lines};

/// A job that notes when it starts and ends, and the resources that it sees.
fn job(place: &Place, name: &str, seconds: f64, asks: &Value) -> String {
    let file = place.path("here/noted");
    let file = file.display();
    let note = |what: &str| {
        format!(
            "echo {what} {name} $(date +%s%N) ${{GJOB_CPUS}} ${{CUDA_VISIBLE_DEVICES:-none}} >> {file}"
        )
    };
    let script = json!([note("begin"), format!("sleep {seconds}"), note("end")]);
    let mut job = json!({ "cmds": script, "name": name });
    for (field, value) in asks.as_object().unwrap() {
        job[field] = value.clone();
    }
    format!("{job}\n")
}

/// What a job noted.
#[derive(Debug, Default)]
struct Noted {
    begin: u64,
    end: u64,
    cpus: String,
    gpus: String,
}

fn noted(place: &Place) -> BTreeMap<String, Noted> {
    let mut jobs: BTreeMap<String, Noted> = BTreeMap::new();
    for line in lines(&place.path("here/noted")) {
        let words: Vec<&str> = line.split(' ').collect();
        let job = jobs.entry(words[1].to_owned()).or_default();
        let time = words[2].parse().unwrap();
        if words[0] == "begin" {
            job.begin = time;
        } else {
            job.end = time;
        }
        (job.cpus, job.gpus) = (words[3].to_owned(), words[4].to_owned());
    }
    jobs
}

/// Pairs of jobs that ran at the same time.
fn at_once(jobs: &BTreeMap<String, Noted>) -> Vec<(&str, &str)> {
    let all: Vec<(&str, &Noted)> = jobs.iter().map(|(name, job)| (name.as_str(), job)).collect();
    let mut pairs = Vec::new();
    for (at, (name, job)) in all.iter().enumerate() {
        for (other_name, other) in &all[..at] {
            if job.begin < other.end && other.begin < job.end {
                pairs.push((*other_name, *name));
            }
        }
    }
    pairs
}

fn run(place: &Place, args: &[&str]) -> Answer {
    let mut all = vec!["run", "--show", "none", "jobs.jsonl"];
    all.extend(args);
    place.gjob(&all).output()
}

#[test]
fn jobs_of_two_cpus_run_one_by_one_on_two_slots() {
    let place = Place::new();
    let two = |name: &str| job(&place, name, 0.1, &json!({ "cpus": 2 }));
    let one = |name: &str| job(&place, name, 0.1, &json!({}));
    let jobs = [two("a2"), one("b1"), two("c2"), one("d1"), one("e1"), two("f2")];
    place.file("jobs.jsonl", &jobs.concat());
    let answer = run(&place, &["-H", "2/:"]);
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    let jobs = noted(&place);
    assert!(jobs.iter().all(|(name, job)| name.ends_with(&job.cpus)), "{jobs:?}");
    let pairs = at_once(&jobs);
    assert!(pairs.iter().all(|(a, b)| a.ends_with('1') && b.ends_with('1')), "{pairs:?}");
}

#[test]
fn job_with_all_cpus_runs_alone() {
    let place = Place::new();
    let mut jobs = String::new();
    for at in 0..12 {
        let all = at % 4 == 2;
        let asks = if all { json!({ "cpus": "all" }) } else { json!({}) };
        let name = format!("{at}{}", if all { "-all" } else { "" });
        jobs.push_str(&job(&place, &name, 0.05, &asks));
    }
    place.file("jobs.jsonl", &jobs);
    let answer = run(&place, &["-H", "3/:"]);
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    let jobs = noted(&place);
    assert_eq!(jobs.len(), 12);
    let pairs = at_once(&jobs);
    assert!(pairs.iter().all(|(a, b)| !a.ends_with("all") && !b.ends_with("all")), "{pairs:?}");
}

/// Verifies that jobs which ran at the same time had different GPUs.
fn gpus_are_disjoint(jobs: &BTreeMap<String, Noted>) {
    let split = |name: &str| jobs[name].gpus.split(',').map(str::to_owned).collect::<Vec<_>>();
    for (a, b) in at_once(jobs) {
        let (of_a, of_b) = (split(a), split(b));
        assert!(of_a.iter().all(|gpu| !of_b.contains(gpu)), "{a} and {b}: {jobs:?}");
    }
}

#[test]
fn running_jobs_share_no_gpu() {
    let place = Place::new();
    let jobs: String = (0..12)
        .map(|at| job(&place, &at.to_string(), 0.05, &json!({ "gpus": 1 + at % 3 })))
        .collect();
    place.file("jobs.jsonl", &jobs);
    let args = ["run", "--show", "none", "jobs.jsonl", "-H", "8/:"];
    let answer = place.gjob(&args).env("GJOB_GPUS", "0,1,2").output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    let jobs = noted(&place);
    for (name, job) in &jobs {
        let many = 1 + name.parse::<usize>().unwrap() % 3;
        assert_eq!(job.gpus.split(',').count(), many, "{name}: {job:?}");
    }
    gpus_are_disjoint(&jobs);
}

/// The agent that a manager started on its own machine.
fn agent_of(manager: u32) -> Option<rustix::process::Pid> {
    let mut pids: Vec<u32> = Vec::new();
    for task in std::fs::read_dir(format!("/proc/{manager}/task")).ok()?.flatten() {
        let of_task = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        pids.extend(of_task.split_whitespace().map(|pid| pid.parse::<u32>().unwrap()));
    }
    pids.sort_unstable();
    pids.first().and_then(|pid| rustix::process::Pid::from_raw(*pid as i32))
}

#[test]
fn gpus_stay_with_their_jobs_after_the_agent_dies() {
    let place = Place::new();
    let jobs: String =
        (0..7).map(|at| job(&place, &at.to_string(), 0.7, &json!({ "gpus": 1 }))).collect();
    place.file("jobs.jsonl", &jobs);
    let args = ["run", "--show", "none", "-v", "jobs.jsonl", "-H", "8/:"];
    let manager = place.gjob(&args).env("GJOB_GPUS", "0,1,2").start();
    for begun in [3, 4] {
        eventually("jobs have begun", || noted(&place).len() >= begun);
        let agent = agent_of(manager.pid()).unwrap();
        rustix::process::kill_process(agent, rustix::process::Signal::KILL).unwrap();
    }
    let answer = manager.output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert!(answer.stderr.contains("this machine unreachable: "), "{}", answer.stderr);
    let jobs = noted(&place);
    assert_eq!(jobs.len(), 7);
    assert_eq!(place.of_jobs("attempt"), [1; 7]);
    gpus_are_disjoint(&jobs);
}

#[test]
fn running_jobs_fit_into_memory() {
    let place = Place::new();
    let text = std::fs::read_to_string("/proc/meminfo").unwrap();
    let kib = text.lines().find_map(|line| line.strip_prefix("MemTotal:")).unwrap();
    let kib: u64 = kib.trim().trim_end_matches(" kB").parse().unwrap();
    let share = kib * 1024 * 2 / 5;
    let jobs: String = (0..6)
        .map(|at| {
            let asks = if at % 2 == 0 { json!({ "mem": share }) } else { json!({ "mem": 1 }) };
            job(&place, &format!("{at}"), 0.1, &asks)
        })
        .collect();
    place.file("jobs.jsonl", &(jobs + &job(&place, "8", 0.1, &json!({ "mem": share }))));
    let answer = run(&place, &["-H", "8/:"]);
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    let mut jobs = noted(&place);
    jobs.retain(|name, _| name.parse::<u32>().unwrap() % 2 == 0);
    // Of four that need two fifths each, no three ever run at the same time.
    let pairs = at_once(&jobs);
    let names: Vec<&str> = jobs.keys().map(String::as_str).collect();
    let both = |a: &str, b: &str| pairs.contains(&(a, b)) || pairs.contains(&(b, a));
    for (a, b) in &pairs {
        let third = names.iter().find(|c| *c != a && *c != b && both(a, c) && both(b, c));
        assert_eq!(third, None, "{jobs:?}");
    }
}

/// A script that has 40 MB in two processes each.
const USES_80_MB: &str =
    "use() { x=$(head -c 40000000 /dev/zero | tr '\\0' x); sleep 2; }\nuse & use & wait";

#[test]
fn memory_is_limited_to_what_a_job_asks_for_its_processes_together() {
    let place = Place::new();
    let job = |mem: &str| format!("{}\n", json!({ "cmds": USES_80_MB, "mem": mem }));
    place.file("jobs.jsonl", &(job("50M") + &job("1G")));
    let answer = run(&place, &["-H", "2/:"]);
    assert_eq!(answer.code, 1, "{}", answer.stderr);
    assert!(answer.stderr.contains("FAILED #0: out of memory (used "), "{}", answer.stderr);
    assert!(answer.stderr.contains("M of 50M) · "), "{}", answer.stderr);
    assert_eq!(place.of_jobs("state"), ["error", "done"]);
    let cause = place.status()["jobs"][0]["attempts"][0]["cause"].clone();
    assert_eq!(cause, "memory", "{}", place.status());
    // Both processes together are what was killed.
    let explained = place.gjob(&["explain", "0"]).output().stdout;
    let words: Vec<&str> = explained.split(' ').collect();
    let mib = words.windows(2).find(|pair| pair[1].starts_with("of") && pair[0].ends_with('M'));
    let mib = mib.unwrap()[0].trim_end_matches('M');
    assert!(explained.contains(": out of memory after "), "{explained}");
    assert!(mib.parse::<f64>().unwrap() >= 48.0, "{explained}");
    for text in [&answer.stderr, &explained, &place.gjob(&["explain", "--failed"]).output().stdout]
    {
        assert!(text.contains("`gjob retry --attach --mem SIZE -R "), "{text}");
    }
    let explained = place.gjob(&["explain", "--failed", "1"]).output();
    assert_eq!((explained.code, explained.stdout), (0, String::new()));
}

#[test]
fn job_that_ran_out_of_memory_is_retried_with_more() {
    let place = Place::new();
    let job = json!({ "cmds": USES_80_MB, "mem": "50M", "retry_mem": 3 });
    place.file("jobs.jsonl", &format!("{job}\n"));
    let answer = run(&place, &["-v"]);
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert!(answer.stderr.contains("job 0 begins again with "));
    let job = &place.status()["jobs"][0];
    let causes: Vec<&Value> =
        job["attempts"].as_array().unwrap().iter().map(|attempt| &attempt["cause"]).collect();
    assert_eq!(causes, [&json!("memory"), &Value::Null]);
    let explained = place.gjob(&["explain", "0"]).output().stdout;
    assert!(explained.contains("it gets "), "{explained}");
}

#[test]
fn failed_job_is_retried_with_the_memory_that_a_user_gives_it() {
    let place = Place::new();
    let job = json!({ "cmds": USES_80_MB, "mem": "50M", "name": "big" });
    let after = json!({ "cmds": "true", "mem": "60M", "after": "big" });
    place.file("jobs.jsonl", &format!("{job}\n{after}\n"));
    assert_eq!(run(&place, &["-q"]).code, 1);
    // Nothing is resumed or changed for that.
    let run = place.status()["run"].as_str().unwrap().to_owned();
    let db = rusqlite::Connection::open(place.path("state/runs").join(run).join("run.db")).unwrap();
    let recorded = || -> (i64, i64) {
        let sql = "SELECT epoch, (SELECT count(*) FROM events) FROM run";
        db.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
    };
    let before = recorded();
    let refused = place.gjob(&["retry", "--attach", "--mem", "1000T"]);
    let why = "gjob: no host offers 1000T of memory\ngjob: no job was retried\n";
    refused.code(2).stderr(why).run();
    assert_eq!(recorded(), before);
    assert_eq!(place.gjob(&["retry", "--mem", "300M"]).output().code, 0);
    // The next manager knows it.
    assert_eq!(place.of_jobs("memory_bytes"), [300 << 20, 60 << 20]);
    let status = place.gjob(&["status", "--all"]).output().stdout;
    assert!(status.contains("300M of memory by now"), "{status}");
    let answer = place.gjob(&["attach", "-v"]).output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    let explained = place.gjob(&["explain", "big"]).output().stdout;
    assert!(explained.contains("it gets 300M of memory from now on"), "{explained}");
    // Under a living manager, too.
    let hold = format!("while ! test -e {}; do sleep 0.05; done", place.path("go").display());
    let hold = json!({ "cmds": hold, "name": "hold" });
    place.file("jobs.jsonl", &format!("{job}\n{hold}\n"));
    let manager = place.gjob(&["run", "-q", "-j", "2", "jobs.jsonl"]).start();
    eventually("the job has run out of memory", || {
        place.has_run() && place.status()["jobs"][0]["reason"] == "out of memory"
    });
    assert_eq!(place.gjob(&["retry", "big", "--mem", "300M"]).output().code, 0);
    eventually("it is done", || place.of_jobs("state")[0] == "done");
    std::fs::write(place.path("go"), "").unwrap();
    assert_eq!(manager.output().code, 0);
    place
        .gjob(&["retry", "--mem", "much"])
        .code(2)
        .stderr(
            "gjob: --mem: invalid size \"much\": expected bytes (4096) or units (500M, 1.5G, 2T)\n",
        )
        .run();
}

#[test]
fn factor_that_raises_nothing_is_refused() {
    let place = Place::new();
    place.file("jobs.jsonl", "{\"cmds\": \"true\"}\n");
    let answer = run(&place, &["--retry-mem", "1"]);
    assert_eq!(answer.code, 2);
    assert_eq!(
        answer.stderr.lines().next(),
        Some("gjob: --retry-mem: invalid retry_mem: expected a factor from 1.1 to 100")
    );
}

#[test]
fn libraries_start_as_many_threads_as_a_job_has_cpus() {
    let place = Place::new();
    let print = "echo $OMP_NUM_THREADS $MKL_NUM_THREADS";
    let job = |asks: Value| {
        let mut job = json!({ "cmds": print });
        job.as_object_mut().unwrap().extend(asks.as_object().unwrap().clone());
        format!("{job}\n")
    };
    let own = json!({ "cpus": 2, "env": { "OMP_NUM_THREADS": "7" } });
    place.file("jobs.jsonl", &(job(json!({ "cpus": 2 })) + &job(own)));
    let args = ["run", "--show", "all", "jobs.jsonl", "-H", "2/:"];
    let threads = |answer: Answer| {
        assert_eq!(answer.code, 0, "{}", answer.stderr);
        let mut lines: Vec<String> = answer.stdout.lines().map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    };
    let cpus = std::thread::available_parallelism().unwrap().get();
    let each = 2 * (cpus / 2).max(1);
    let expected = [format!("{each} {each}"), format!("7 {each}")];
    assert_eq!(threads(place.gjob(&args).output()), expected);
    // The host's own setting stays.
    let answer = place.gjob(&args).env("OMP_NUM_THREADS", "3").output();
    assert_eq!(threads(answer), [format!("3 {each}"), format!("7 {each}")]);
}

#[test]
fn job_that_fits_no_host_is_refused() {
    let place = Place::new();
    let bed = Bed::start(2);
    let config = bed.ssh_config().to_str().unwrap();
    let gjob = |jobs: &[Value]| {
        let jobs: String = jobs.iter().map(|job| format!("{job}\n")).collect();
        place.file("jobs.jsonl", &jobs);
        let args = ["jobs.jsonl", "-F", config, "-r", "results", "-H", "2/h1,3/h2"];
        place.gjob(&[&["run", "--show", "none"][..], &args].concat())
    };
    let jobs = [json!({ "cmds": "true" }), json!({ "cmds": "true", "cpus": 4 })];
    gjob(&jobs)
        .code(2)
        .stderr(str![[r#"
gjob: job 1 asks for 4 CPUs: no host offers that; the closest is h2 with 3 CPUs, [MEMORY], 0 GPUs
gjob: nothing was started

"#]])
        .run();
    // One that waits for another is as hopeless. Of each kind, one is named.
    let jobs = [
        json!({ "cmds": "true", "name": "first" }),
        json!({ "cmds": "true", "cpus": 4_294_967_295_u32, "after": "first" }),
        json!({ "cmds": "true", "mem": u64::MAX }),
        json!({ "cmds": "true", "mem": u64::MAX, "after": 2 }),
        json!({ "cmds": "true", "gpus": 4_294_967_295_u32 }),
    ];
    gjob(&jobs).code(2).stderr(str![[r#"
gjob: job 1 asks for 4294967295 CPUs: no host offers that; the closest is h1 with 2 CPUs, [MEMORY], 0 GPUs
gjob: job 2 asks for 1 CPU, 16383P of memory: no host offers that; the closest is h1 with 2 CPUs, [MEMORY], 0 GPUs
gjob: job 4 asks for 1 CPU, 4294967295 GPUs: no host offers that; the closest is h1 with 2 CPUs, [MEMORY], 0 GPUs
gjob: nothing was started

"#]]).run();
    // Nothing of them is left on the hosts.
    let usage = place.gjob(&["du", "-F", config, "-r", "results", "h1,h2"]).output();
    assert!(!usage.stdout.contains("not recorded"), "{}", usage.stdout);
    let jobs = [json!({ "cmds": "true", "mem": "16777216T" })];
    gjob(&jobs)
        .code(2)
        .stderr(str![[r#"
gjob: jobs.jsonl:1:22: field "mem": invalid size "16777216T": expected less than 16384P
gjob: nothing was started

"#]])
        .run();
    assert!(!place.has_run());
    place
        .gjob(&["status"])
        .code(2)
        .stderr(str![[r#"
gjob: no runs in [PLACE]/state/runs

"#]])
        .run();
    // The next run has nothing to do with these.
    let answer = gjob(&[json!({ "cmds": "true", "cpus": 3 })]).output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
}

#[test]
fn unreachable_host_may_take_a_job_later() {
    let place = Place::new();
    let bed = Bed::start(2);
    bed.host(2).stop();
    let config = bed.ssh_config().to_str().unwrap();
    place.file("jobs.jsonl", "{\"cmds\": \"true\", \"cpus\": 4}\n{\"cmds\": \"true\"}\n");
    let args = ["run", "-F", config, "-r", "results", "-H", "2/h1,4/h2", "jobs.jsonl"];
    let manager = place.gjob(&args).start();
    eventually("the small job is done", || {
        place.has_run() && place.of_jobs("state") == ["free", "done"]
    });
    bed.host(2).start();
    let answer = manager.output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert_eq!(place.of_jobs("host"), ["h2", "h1"]);
}

/// On two hosts with four slots each, every fifth job needs four CPUs.
#[test]
fn big_jobs_do_not_starve_and_hosts_stay_busy() {
    let place = Place::new();
    let bed = Bed::start(2);
    let mut jobs = String::new();
    for at in 0..150 {
        let big = at % 5 == 4;
        let (size, asks) = if big { (4, json!({ "cpus": 4 })) } else { (1, json!({})) };
        let seconds = 0.2 + f64::from(at * 7 % 10) * 0.03;
        jobs.push_str(&job(&place, &format!("{at}-{size}"), seconds, &asks));
    }
    place.file("jobs.jsonl", &jobs);
    let config = bed.ssh_config().to_str().unwrap();
    let answer = run(&place, &["-F", config, "-r", "results", "-H", "4/h1,4/h2"]);
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    let jobs = noted(&place);
    let size = |name: &str| name.rsplit('-').next().unwrap().parse::<u64>().unwrap();
    let begin = jobs.values().map(|job| job.begin).min().unwrap();
    let end = jobs.values().map(|job| job.end).max().unwrap();
    let used = |from: u64, to: u64| {
        let of_job = |(name, job): (&String, &Noted)| {
            job.end.min(to).saturating_sub(job.begin.max(from)) * size(name)
        };
        jobs.iter().map(of_job).sum::<u64>() * 100 / ((to - from) * 8)
    };
    // Without the end, when there is nothing left to start.
    let last_begin = jobs.values().map(|job| job.begin).max().unwrap();
    let tenth = (last_begin - begin) / 10;
    let over_time: Vec<u64> =
        (0..10).map(|at| used(begin + at * tenth, begin + (at + 1) * tenth)).collect();
    let mut bigs: Vec<u64> =
        jobs.iter().filter(|(name, _)| size(name) == 4).map(|(_, job)| job.begin).collect();
    bigs.sort_unstable();
    let gap = bigs.windows(2).map(|pair| (pair[1] - pair[0]) / 1_000_000).max().unwrap();
    let all = used(begin, last_begin);
    println!(
        "{all} % of the slots used, {over_time:?} over time; {} ms in all; at most {gap} ms \
         between the beginnings of big jobs",
        (end - begin) / 1_000_000
    );
    assert!(all >= 50, "{all} %: {over_time:?}");
    assert!(gap < (end - begin) / 1_000_000 / 4, "{gap} ms");
}

#[test]
fn jobs_have_the_niceness_of_the_run() {
    let place = Place::new();
    place.file("jobs.txt", "test $(nice) = 7\n");
    let answer = place.gjob(&["run", "--nice", "7", "jobs.txt"]).output();
    assert_eq!(answer.code, 0, "{answer:?}");
    let refused = place.gjob(&["run", "--nice", "20", "--load", "0", "jobs.txt"]).output();
    assert_eq!(refused.code, 2);
    for said in ["--nice: invalid niceness \"20\"", "--load: invalid load \"0\""] {
        assert!(refused.stderr.contains(said), "{refused:?}");
    }
}

#[test]
fn jobs_of_a_host_start_one_after_another_with_a_delay() {
    let place = Place::new();
    let jobs: String = (0..4).map(|at| job(&place, &at.to_string(), 0.01, &json!({}))).collect();
    place.file("jobs.jsonl", &jobs);
    place.file("gjob.toml", "[host.\":\"]\ndelay = 0.5\n");
    let answer = run(&place, &["-H", "4/:"]);
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    let begins: Vec<u64> = noted(&place).values().map(|job| job.begin).collect();
    let length = begins.iter().max().unwrap() - begins.iter().min().unwrap();
    // Until a job notes its start, it may be a little late.
    assert!(length > 1_200_000_000, "{length}");
}

/// Bytes that this process has written for disks.
fn written_here() -> u64 {
    let counts = std::fs::read_to_string("/proc/self/io").unwrap();
    let bytes = counts.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    bytes.unwrap().parse().unwrap()
}

#[test]
fn bytes_that_a_job_has_written_are_shown() {
    let place = Place::new();
    let before = written_here();
    place.file("probe", &"x".repeat(1 << 20));
    if written_here() < before + (1 << 20) {
        return gjob_testbed::skip("temporary files are in memory");
    }
    place.file("jobs.txt", "head -c 3000000 /dev/zero > out\n");
    assert_eq!(place.gjob(&["run", "-q", "jobs.txt"]).output().code, 0);
    let written = &place.of_jobs("attempts")[0][0]["written_bytes"];
    assert!((3_000_000..4_000_000).contains(&written.as_u64().unwrap()), "{written}");
    let explained = place.gjob(&["explain", "0"]).output().stdout;
    assert!(explained.contains("M written, "), "{explained}");
    let table = place.gjob(&["table"]).output().stdout;
    assert!(table.lines().nth(1).unwrap().ends_with(&written.to_string()), "{table}");
}
