//! Jobs that are bound to processors: those of all runs that are bound at once have different
//! ones, as far as there are enough.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use support::{Gjob, Place, eventually, lines};

/// The processors that the process of a script may use, as the kernel lists them.
const LIST: &str = "list=$(awk '/^Cpus_allowed_list/ { print $2 }' /proc/$$/status)";

fn run(place: &Place, args: &[&str]) -> Gjob {
    place.gjob(&[&["run", "--show", "none"], args].concat())
}

fn succeeded(answer: &support::Answer) {
    assert_eq!(answer.code, 0, "{}", answer.stderr);
}

/// A job that fails if another one has its processors, or if it has several.
fn alone(place: &Place) -> String {
    let dir = place.path("here").display().to_string();
    format!("{LIST}; mkdir {dir}/cpu.$list; sleep 0.02; rmdir {dir}/cpu.$list; [ $list -ge 0 ]\n")
}

/// A job that notes its processors and waits for as many others that do.
fn together(place: &Place, name: &str, jobs: usize) -> String {
    let dir = place.path("here").display().to_string();
    format!(
        "{LIST}; echo $list > {dir}/{name}.$GJOB_INDEX; \
         until [ $(ls {dir}/{name}.* | wc -l) = {jobs} ]; do sleep 0.02; done\n"
    )
}

/// How many of these jobs had each list of processors.
fn lists(place: &Place, name: &str, jobs: usize) -> BTreeMap<String, usize> {
    let mut lists_of = BTreeMap::new();
    for at in 0..jobs {
        let list = lines(&place.path(&format!("here/{name}.{at}"))).remove(0);
        *lists_of.entry(list).or_default() += 1;
    }
    lists_of
}

/// The processors that this test may use, as the kernel lists them, and by their numbers.
fn own() -> (String, BTreeSet<usize>) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:\t")).unwrap();
    let numbers = list.split(',').flat_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        first.parse().unwrap()..=last.parse().unwrap()
    });
    (list.to_owned(), numbers.collect())
}

#[test]
fn bound_jobs_of_two_runs_have_different_processors() {
    let place = Place::new();
    let slots = own().1.len().to_string();
    place.file("jobs.txt", &alone(&place).repeat(30));
    let args = ["--slots", &slots, "--affinity", "jobs.txt"];
    let runs = [(); 2].map(|()| run(&place, &args).start());
    runs.into_iter().for_each(|run| succeeded(&run.output()));
}

#[test]
fn bound_job_waits_for_the_processors_of_another_one() {
    let place = Place::new();
    let (begun, go) = (place.path("here/begun"), place.path("here/go"));
    let (begun_file, go_file) = (begun.display(), go.display());
    let wait = format!("touch {begun_file}; until [ -e {go_file} ]; do sleep 0.02; done\n");
    place.file("jobs.txt", &wait);
    // The one slot has all processors of the machine.
    let first = run(&place, &["--slots", "1", "--affinity", "jobs.txt"]).start();
    eventually("the first job", || begun.exists());
    let slots = own().1.len().to_string();
    let holder = place.status()["run"].as_str().unwrap().to_owned();
    let mut second = run(&place, &["--slots", &slots, "--affinity", "--", "true"]).start();
    second.wait_until_printed(&format!("waits for processors that run {holder} uses"));
    place.file("go", "");
    succeeded(&first.output());
    succeeded(&second.output());
}

#[test]
fn bound_jobs_of_one_machine_under_two_names_have_different_processors() {
    let place = Place::new();
    let slots = own().1.len().to_string();
    place.file("jobs.txt", &alone(&place).repeat(40));
    let connect = "sh -c 'shift; exec \"$@\"' {host} {host}";
    let hosts = ["-H", "h1,h2", "--connect", connect, "--slots", &slots];
    succeeded(&run(&place, &[&hosts[..], &["--affinity", "jobs.txt"]].concat()).output());
    let hosts = place.of_jobs("host");
    assert!(hosts.contains(&"h1".into()) && hosts.contains(&"h2".into()), "{hosts:?}");
}

#[test]
fn bound_jobs_of_a_run_without_a_ledger_have_different_processors() {
    let place = Place::new();
    let (slots, count) = (own().1.len().to_string(), own().1.len());
    place.file("jobs.txt", &together(&place, "one", count).repeat(count));
    let args = ["--slots", &slots, "--affinity", "--oversubscribe", "jobs.txt"];
    succeeded(&run(&place, &args).output());
    let lists = lists(&place, "one", count);
    let one_by_one = own().1.iter().map(|number| (number.to_string(), 1)).collect();
    assert_eq!(lists, one_by_one);
}

/// The agent that a manager started on its own machine: its first child.
fn agent_of(manager: u32) -> rustix::process::Pid {
    let tasks = std::fs::read_dir(format!("/proc/{manager}/task")).unwrap().flatten();
    let of_task = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("children"));
    let all: String = tasks.map(|task| of_task(task).unwrap_or_default()).collect();
    let pid = all.split_whitespace().map(|pid| pid.parse::<i32>().unwrap()).min();
    rustix::process::Pid::from_raw(pid.unwrap()).unwrap()
}

#[test]
fn bound_job_keeps_its_processors_to_itself_after_the_agent_has_died() {
    let count = own().1.len();
    if count < 2 {
        return gjob_testbed::skip("this machine has one processor");
    }
    for (name, ledger) in [("shared", &[][..]), ("left-out", &["--oversubscribe"])] {
        let place = Place::new();
        let dir = place.path("here").display().to_string();
        let held = |until: &str| {
            format!(
                "{LIST}; mkdir {dir}/cpu.$list; touch {dir}/begun.$GJOB_INDEX; \
                 until [ -e {dir}/{until} ]; do sleep 0.02; done; rmdir {dir}/cpu.$list\n"
            )
        };
        let others = alone(&place).repeat(10);
        place.file("jobs.txt", &[held("go"), held("killed"), others].concat());
        let slots = count.to_string();
        let args = ["--slots", &slots, "--affinity", "jobs.txt"];
        let running = run(&place, &[&args[..], ledger].concat()).start();
        let begun = |job: &str| place.path("here").join(format!("begun.{job}")).exists();
        eventually("both jobs", || begun("0") && begun("1"));
        let agent = agent_of(running.pid());
        rustix::process::kill_process(agent, rustix::process::Signal::KILL).unwrap();
        place.file("killed", "");
        let is_done = |state: &serde_json::Value| state == "done";
        eventually("all other jobs", || place.of_jobs("state").iter().skip(1).all(is_done));
        place.file("go", "");
        succeeded(&running.output());
        assert_eq!(place.of_jobs("attempt"), [1; 12], "{name}");
    }
}

#[test]
fn more_bound_jobs_than_processors_are_spread_evenly() {
    let place = Place::new();
    let jobs = 2 * own().1.len();
    for (name, ledger) in [("shared", &[][..]), ("left-out", &["--oversubscribe"])] {
        place.file("jobs.txt", &together(&place, name, jobs).repeat(jobs));
        let slots = jobs.to_string();
        let args = ["--slots", &slots, "--affinity", "jobs.txt"];
        succeeded(&run(&place, &[&args[..], ledger].concat()).output());
        let evenly = own().1.iter().map(|number| (number.to_string(), 2)).collect();
        assert_eq!(lists(&place, name, jobs), evenly, "{name}");
    }
}

#[test]
fn only_jobs_that_ask_for_it_are_bound_and_to_as_many_processors_as_they_have() {
    let place = Place::new();
    let (all, numbers) = own();
    // Without a shell and with one, and each slot gets jobs of all kinds.
    let plain = "awk '/^Cpus_allowed_list/ { print $2 }' /proc/self/status";
    let jobs = [plain.to_owned(), format!("{LIST}; echo $list")].map(|command| {
        let job = format!("[[job]]\ncommands = \"\"\"{command}\"\"\"\n");
        format!("{job}affinity = true\n{job}{job}affinity = true\ncpus = 'all'\n")
    });
    place.file("jobs.toml", &jobs.concat());
    let slots = numbers.len().to_string();
    succeeded(&run(&place, &["--slots", &slots, "jobs.toml"]).output());
    for job in [0, 3] {
        let list = |job: usize| place.gjob(&["logs", &job.to_string()]).output().stdout;
        let bound: usize = list(job).trim().parse().unwrap();
        assert!(numbers.contains(&bound), "{bound} of {all}");
        assert_eq!([list(job + 1).trim(), list(job + 2).trim()], [&all; 2]);
        let recorded = |job: usize| place.of_jobs("attempts")[job][0]["processors"].clone();
        let of_all: Vec<usize> = numbers.iter().copied().collect();
        assert_eq!([recorded(job), recorded(job + 1)], [json!([bound]), json!([])]);
        assert_eq!(recorded(job + 2), json!(of_all));
        let explained = place.gjob(&["explain", &job.to_string()]).output().stdout;
        assert!(explained.contains(&format!(", bound to processor {bound}\n")), "{explained}");
        let explained = place.gjob(&["explain", &(job + 1).to_string()]).output().stdout;
        assert!(!explained.contains("bound to"), "{explained}");
    }
}
