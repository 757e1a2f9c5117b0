//! Every way in which a job is not done, and what each surface says of it: lines,
//! `status`, JSON, events, job log and `explain`. What programs read is checked against
//! the schemas in `docs/schemas`.

mod support;

use serde_json::{Value, json};
use support::{Place, eventually, lines};

/// A way of not being done.
struct Way {
    name: &'static str,
    job: Value,
    state: &'static str,
    reason: &'static str,
    exit: Option<i64>,
    signal: Option<i64>,
    /// `Exitval` and `Signal` of the job log.
    logged: (&'static str, &'static str),
}

/// A script whose shell has 100 MB in a variable.
const USES_100_MB: &str = "x=$(head -c 100000000 /dev/zero | tr '\\0' x); sleep 300";

fn ways() -> Vec<Way> {
    let way = |name, job, reason| Way {
        name,
        job,
        reason,
        state: "error",
        exit: None,
        signal: None,
        logged: ("-1", "0"),
    };
    let exits = json!({ "cmds": "exit 3" });
    let dies = json!({ "cmds": "kill -9 $$" });
    let late = json!({ "cmds": "sleep 300", "timeout": 0.5 });
    let waits = json!({ "cmds": "true", "after": "exits" });
    let empty = json!({ "cmds": "true", "outputs": "table.csv" });
    let killed = json!({ "cmds": "sleep 300" });
    let held = json!({ "cmds": "true", "cpus": 2 });
    let big = json!({ "cmds": USES_100_MB, "mem": "20M" });
    let lost = json!({ "cmds": "kill -9 $PPID; sleep 300" });
    vec![
        Way { exit: Some(3), logged: ("3", "0"), ..way("exits", exits, "exit 3") },
        Way { signal: Some(9), logged: ("0", "9"), ..way("dies", dies, "signal 9") },
        Way { signal: Some(15), logged: ("0", "15"), ..way("late", late, "timeout") },
        Way { logged: ("-", "-"), ..way("waits", waits, "dependency: job exits is not done") },
        way("empty", empty, "output \"table.csv\" is missing"),
        Way { signal: Some(15), logged: ("0", "15"), ..way("killed", killed, "killed") },
        Way { logged: ("-", "-"), ..way("held", held, "killed") },
        Way { signal: Some(15), logged: ("0", "15"), ..way("big", big, "out of memory") },
        Way {
            state: "unknown",
            logged: ("-", "-"),
            ..way("lost", lost, "its slot died while it was running")
        },
    ]
}

/// A run in which all of them happen, and one job that is done.
fn run(place: &Place) -> Vec<Way> {
    let ways = ways();
    let job = |way: &Way| {
        let mut job = way.job.clone();
        job["name"] = json!(way.name);
        format!("{job}\n")
    };
    let jobs: String = ways.iter().map(job).collect();
    place.file("jobs.jsonl", &(jobs + "{\"cmds\": \"true\", \"name\": \"fine\"}\n"));
    let args = ["run", "-j", "2", "--show", "none", "--joblog", "log", "--events", "events"];
    let manager = place.gjob(&[&args[..], &["jobs.jsonl"]].concat()).start();
    let started = |at: usize| place.of_jobs("started")[at].is_string();
    eventually("a job runs that is to be killed", || place.has_run() && started(5));
    place.gjob(&["kill", "held"]).stdout("killed 1 job\n").run();
    place.gjob(&["kill", "killed"]).stdout("killed 1 job\n").run();
    let answer = manager.output();
    assert_eq!(answer.code, 1, "{}", answer.stderr);
    for (index, way) in ways.iter().enumerate() {
        let word = if way.state == "error" { "FAILED" } else { "UNKNOWN" };
        let line = format!("{word} #{index} {}: {}", way.name, way.reason);
        assert!(answer.stderr.contains(&line), "{line}\n{}", answer.stderr);
        let named = answer.stderr.matches(&format!("#{index} {}: ", way.name)).count();
        assert!(named <= 2, "once as it starts, once as it ends: {}", answer.stderr);
    }
    assert!(answer.stderr.contains("run ") && answer.stderr.contains("8 failed, 1 unknown"));
    ways
}

#[test]
fn every_failure_is_named_on_every_surface() {
    let place = Place::new();
    let ways = run(&place);
    let status = place.status();
    let table = place.gjob(&["status"]).output().stdout;
    let events = lines(&place.path("here/events"));
    let log = lines(&place.path("here/log"));
    for (index, way) in ways.iter().enumerate() {
        let job = &status["jobs"][index];
        let told = (&job["state"], &job["exit"], &job["signal"], &job["name"]);
        let expected = (json!(way.state), json!(way.exit), json!(way.signal), json!(way.name));
        assert_eq!(told, (&expected.0, &expected.1, &expected.2, &expected.3), "{job}");
        let reason = job["reason"].as_str().unwrap();
        assert!(reason.starts_with(way.reason), "{job}");

        let row = table.lines().find(|line| line.starts_with(&format!("{index} "))).unwrap();
        let word = if way.state == "error" { "failed" } else { "unknown" };
        assert!([word, way.name, way.reason].iter().all(|text| row.contains(text)), "{row}");

        let explained = place.gjob(&["explain", way.name]).output().stdout;
        assert!(explained.contains(way.reason), "{explained}");

        let ended = |line: &&String| {
            let event: Value = serde_json::from_str(line).unwrap();
            let index = format!("{index}.");
            event["event"] == "job-ended" && event["key"].as_str().unwrap().starts_with(&index)
        };
        let ends: Vec<&String> = events.iter().filter(ended).collect();
        assert_eq!(ends.len(), 1, "{ends:?}");
        let event: Value = serde_json::from_str(ends[0]).unwrap();
        assert_eq!((&event["state"], &event["reason"]), (&json!(way.state), &json!(reason)));

        let seq = format!("{}\t", index + 1);
        let logged = log.iter().find(|line| line.starts_with(&seq)).unwrap();
        let fields: Vec<&str> = logged.split('\t').collect();
        assert_eq!((fields[6], fields[7]), way.logged, "{logged}");
    }
}

#[test]
fn json_is_as_the_published_schemas_say() {
    let place = Place::new();
    run(&place);
    // A run that cannot be read.
    std::fs::create_dir(place.path("state/runs/2001-01-01-1")).unwrap();
    let schema = |name: &str| {
        let path = format!("{}/../../docs/schemas/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).unwrap();
        jsonschema::validator_for(&serde_json::from_str(&text).unwrap()).unwrap()
    };
    let check = |schema: &jsonschema::Validator, value: &Value| {
        let errors: Vec<String> =
            schema.iter_errors(value).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}: {value:#}");
    };
    let status = schema("status");
    check(&status, &place.status());
    let short = place.gjob(&["status", "--json"]).output().stdout;
    check(&status, &serde_json::from_str(&short).unwrap());
    let runs = place.gjob(&["runs", "--json"]).output().stdout;
    check(&schema("runs"), &serde_json::from_str(&runs).unwrap());
    let event = schema("event");
    for line in lines(&place.path("here/events")) {
        check(&event, &serde_json::from_str(&line).unwrap());
    }
    let other = json!({ "seq": 1, "at": 1, "event": "job-paused", "key": "3.1", "more": 1 });
    assert!(!event.is_valid(&other), "a member that is not in the schema");
}

#[test]
fn every_event_has_a_schema() {
    let path = format!("{}/../../docs/schemas/event.json", env!("CARGO_MANIFEST_DIR"));
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let names = schema["oneOf"].as_array().unwrap().iter();
    let mut published: Vec<&str> =
        names.map(|event| event["properties"]["event"]["const"].as_str().unwrap()).collect();
    let source = [
        include_str!("../../gjob-core/src/event.rs"),
        include_str!("../../gjob-core/src/event/attempt.rs"),
        include_str!("../../gjob-core/src/event/host.rs"),
        include_str!("../../gjob-core/src/event/job.rs"),
        include_str!("../../gjob-core/src/event/run.rs"),
    ];
    let renamed = |line: &str| {
        let (_, rest) = line.split_once("rename = \"")?;
        let name = rest.split('"').next()?;
        (name.contains('-') || name == "transfer").then(|| name.to_owned())
    };
    let mut declared: Vec<String> =
        source.iter().flat_map(|file| file.lines()).filter_map(renamed).collect();
    published.sort_unstable();
    declared.sort_unstable();
    assert_eq!(published, declared);
}

/// GNU parallel takes the job log for one of its own.
#[test]
fn gnu_parallel_resumes_the_failed_jobs_of_a_job_log() {
    let place = Place::new();
    let log = place.path("here/log");
    let run = ["run", "-j", "1", "--show", "none", "--joblog", "log", "--", "test {} -ne 2", ":::"];
    assert_eq!(place.gjob(&[&run[..], &["1", "2", "3"]].concat()).output().code, 1);
    let mut parallel = std::process::Command::new("parallel");
    parallel.args(["--resume-failed", "--joblog"]).arg(&log);
    let tried = place.path("here/tried");
    let command = format!("echo {{}} >> {}", tried.display());
    parallel.args([&command, ":::", "1", "2", "3"]).stdin(std::process::Stdio::null());
    let output = parallel.env("HOME", place.path("here")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(lines(&tried), ["2"]);
}
