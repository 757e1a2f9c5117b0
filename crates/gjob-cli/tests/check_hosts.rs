//! `gjob hosts`: how hosts are, and what is wrong with them, over a real sshd.

mod support;

use std::path::{Path, PathBuf};
use std::time::Duration;

use gjob_testbed::{Bed, eventually};
use serde_json::Value;
use support::{Answer, Gjob, Place};

fn hosts(place: &Place, bed: &Bed, args: &[&str]) -> Answer {
    hosts_command(place, bed, args).output()
}

fn hosts_command(place: &Place, bed: &Bed, args: &[&str]) -> Gjob {
    let config = bed.ssh_config().display().to_string();
    place.gjob(&[&["hosts", "-F", &config], args].concat())
}

/// What `--json` says of the hosts, in their order.
fn described(answer: &Answer) -> Vec<Value> {
    serde_json::from_str(&answer.stdout).unwrap_or_default()
}

#[test]
fn hosts_are_asked_at_once_and_what_is_wrong_stands_below_them() {
    let (place, bed) = (Place::new(), Bed::start(2));
    bed.host(2).stop();
    let conda = bed.host(1).home().join("miniconda3");
    std::fs::create_dir_all(conda.join("etc/profile.d")).unwrap();
    std::fs::write(conda.join("etc/profile.d/conda.sh"), "").unwrap();
    let answer = hosts(&place, &bed, &["-H", "h1,h2,nowhere"]);
    assert_eq!(answer.code, 1, "{}", answer.stderr);
    let lines: Vec<&str> = answer.stdout.lines().collect();
    assert!(lines[0].starts_with("HOST     STATE        LOGIN  CPUS  LOAD"), "{}", answer.stdout);
    assert!(lines[1].starts_with("h1       ok           "), "{}", answer.stdout);
    assert!(lines[2].starts_with("h2       unreachable  -  "), "{}", answer.stdout);
    let has = |text: &str| assert!(answer.stdout.contains(text), "{text}: {}", answer.stdout);
    has("\nhost h1: a job sees what `ssh HOST CMD` sees: no conda, which is in /");
    has("miniconda3/etc/profile.d/conda.sh\n");
    has("\nhost h2: the connection was refused");
    has("\nhost nowhere: its name does not resolve");
    has("\nhelp: `ssh nowhere true` must work without a question");
    assert_eq!((bed.host(1).logins(), place.has_run()), (1, false));
}

#[test]
fn json_has_what_a_host_has_and_its_problems() {
    let (place, bed) = (Place::new(), Bed::start(1));
    let answer = hosts(&place, &bed, &["--json", "-H", "h1,nowhere"]);
    assert_eq!(answer.code, 1, "{}", answer.stderr);
    let hosts = described(&answer);
    let number = |name: &str| hosts[0][name].as_u64().unwrap_or_default();
    for name in ["cpus", "memory_bytes", "free_bytes", "used_bytes", "open_files"] {
        assert!(number(name) > 0, "{name}: {}", answer.stdout);
    }
    assert!(hosts[0]["clock_ahead_ms"].as_i64().is_some_and(|ms| ms.abs() < 60_000));
    assert_eq!(hosts[0]["results_dir"], place.path("results").display().to_string());
    assert!(hosts[0].get("error").is_none());
    assert_eq!(hosts[1]["host"], "nowhere");
    assert!(hosts[1]["error"].as_str().is_some_and(|why| why.contains("does not resolve")));
}

#[test]
fn host_that_refuses_is_named_without_waiting_for_it() {
    let (place, bed) = (Place::new(), Bed::start(1));
    bed.host(1).stop();
    let asking = hosts_command(&place, &bed, &["-H", "h1"]).start();
    let answer = asking.output_within(Duration::from_secs(10));
    assert!(answer.stdout.contains("host h1: the connection was refused"), "{}", answer.stdout);
}

#[test]
fn probe_finds_that_jobs_survive_a_logout_and_leaves_nothing() {
    let (place, bed) = (Place::new(), Bed::start(1));
    let answer = hosts(&place, &bed, &["--probe", "-H", "h1"]);
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert!(answer.stdout.contains("\nhost h1: jobs survive a logout\n"), "{}", answer.stdout);
    assert_eq!(bed.host(1).logins(), 2);
    assert_eq!(job_dirs(&place), Vec::<String>::new());
    eventually("the probe's end", || bed.host(1).processes().is_empty());
}

/// Each login of the host ends what an earlier one has left, as systemd does.
#[test]
fn probe_that_was_killed_at_the_logout_is_reported_with_the_fix() {
    let (place, bed) = (Place::new(), Bed::start(1));
    let results = place.path("results").display().to_string();
    let kill = format!(
        "for f in {results}/*/*/.pid; do\n[ -f $f ] && kill $(grep -o '\"pid\":[0-9]*' $f | head -n 1 | cut -d: -f2)\ndone\n"
    );
    std::fs::write(bed.host(1).home().join(".bashrc"), kill).unwrap();
    let answer = hosts(&place, &bed, &["--probe", "--json", "-H", "h1"]);
    let found = described(&answer);
    assert_eq!(found[0]["survives_logout"], false, "{}{}", answer.stdout, answer.stderr);
    let problem = &found[0]["problems"].as_array().unwrap().last().unwrap();
    assert_eq!(problem["what"], "jobs are killed when gjob's connection ends");
    // Lingering alone does not keep what a session has left.
    let help = problem["help"].as_str().unwrap();
    assert!(help.contains("KillUserProcesses=no") && help.contains("systemd-run --user"), "{help}");
    assert_eq!(job_dirs(&place), Vec::<String>::new());
}

#[test]
fn probe_of_a_host_that_lets_nobody_in_again_ends_by_itself() {
    let (place, bed) = (Place::new(), Bed::start(1));
    let keys = bed.host(1).home().join("../authorized_keys");
    assert!(keys.exists(), "{}", keys.display());
    let lock = format!("rm -f {}\n", keys.display());
    std::fs::write(bed.host(1).home().join(".bashrc"), lock).unwrap();
    let answer = hosts(&place, &bed, &["--probe", "-H", "h1"]);
    let text = "host h1: whether jobs survive a logout is not known: no second login: login was";
    assert!(answer.stdout.contains(text), "{}{}", answer.stdout, answer.stderr);
    // It has a limit of its own.
    let probe = &job_dirs(&place)[0];
    let record = std::fs::read_to_string(place.path("results").join(probe).join(".job")).unwrap();
    let record: Value = serde_json::from_str(&record).unwrap();
    assert_eq!(record["request"]["timeout_ms"], 180_000);
    bed.host(1).accept_key();
    let ended =
        place.gjob(&["local", "kill", &place.path("results").join(probe).display().to_string()]);
    assert_eq!(ended.output().code, 0);
}

/// The job directories on the hosts.
fn job_dirs(place: &Place) -> Vec<String> {
    let below = |path: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    };
    let results = place.path("results");
    let hosts = below(&results).into_iter().filter(|path| !path.ends_with(".gjob"));
    let jobs = hosts.flat_map(|host| below(&host)).filter(|job| job.is_dir());
    jobs.map(|job| job.strip_prefix(&results).unwrap_or(&job).display().to_string()).collect()
}

#[test]
fn hosts_of_a_run_and_of_gjob_toml_are_asked() {
    let (place, bed) = (Place::new(), Bed::start(2));
    let config = bed.ssh_config().display().to_string();
    place.file("jobs.txt", "true\n");
    let ran = place.gjob(&["run", "-F", &config, "-H", "h1", "jobs.txt"]).output();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let of_run = place.gjob(&["hosts", "--json", "-R", "latest"]).output();
    assert_eq!(described(&of_run)[0]["host"], "h1", "{}", of_run.stderr);
    place.file("gjob.toml", &format!("[defaults]\nhosts = 'h2'\nssh-config = '{config}'\n"));
    let of_file = place.gjob(&["hosts", "--json"]).output();
    assert_eq!(described(&of_file)[0]["host"], "h2", "{}", of_file.stderr);
}

#[test]
fn note_on_several_hosts_is_printed_once_with_their_names() {
    let (place, bed) = (Place::new(), Bed::start(4));
    let down = [1, 2, 4];
    down.iter().for_each(|host| bed.host(*host).stop());
    let answer = hosts(&place, &bed, &["-H", "h1,h2,h3,h4,nowhere"]);
    assert_eq!(answer.code, 1, "{}", answer.stderr);
    let notes: Vec<&str> = answer.stdout.lines().skip(6).collect();
    assert!(notes[0].starts_with("hosts h[1-2],h4: the connection was refused"), "{notes:?}");
    let help = "help: `ssh HOST true` must work without a question; `ssh -v HOST` says more";
    assert_eq!(notes[1], help);
    let own = |note: &&&str| note.contains("`ssh -v nowhere` says more");
    assert_eq!(notes.iter().filter(own).count(), 1, "{notes:?}");
    assert_eq!(answer.stdout.matches("refused").count(), 1, "{}", answer.stdout);
}
