//! `gjob hosts`: how hosts are, and what is wrong with them, over a real sshd.

mod support;

use gjob_testbed::Bed;
use serde_json::Value;
use support::{Answer, Place};

fn hosts(place: &Place, bed: &Bed, args: &[&str]) -> Answer {
    let config = bed.ssh_config().display().to_string();
    place.gjob(&[&["hosts", "-F", &config], args].concat()).output()
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
