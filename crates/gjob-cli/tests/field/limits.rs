//! What a job has of its host, and what every host would refuse.

use serde_json::{Value, json};

use super::{Field, assert_code};

/// Prints what programs take for the number of processors.
const COUNT: &str = "echo $(nproc) $OMP_NUM_THREADS $MKL_NUM_THREADS";

#[test]
fn programs_start_as_many_threads_as_their_job_has_processors() {
    let field = Field::new(1);
    let count = |options: &[&str], script: &str| {
        let args = [&["-q", "--show", "all"], options, &["--", script]].concat();
        let answer = field.run_on("2/h1", &args).output();
        assert_code(&answer, 0);
        answer.stdout.trim_end().to_owned()
    };
    let real = std::thread::available_parallelism().unwrap().get();
    let share = |slots: usize| slots * (real / 2).max(1);
    assert_eq!(count(&["--cpus", "2"], COUNT), [share(2).to_string().as_str(); 3].join(" "));
    let one = share(1);
    assert_eq!(count(&[], COUNT), format!("{one} {one} {one}"));
    // What the user sets for the job counts, and what the host sets.
    let own = count(&["--env", "OMP_NUM_THREADS=7"], "echo $OMP_NUM_THREADS $MKL_NUM_THREADS");
    assert_eq!(own, format!("7 {one}"));
    let start_up = field.bed.host(1).home().join(".bashrc");
    std::fs::write(start_up, "export OMP_NUM_THREADS=5\n").unwrap();
    assert_eq!(count(&[], "echo $OMP_NUM_THREADS $MKL_NUM_THREADS"), format!("5 {one}"));
}

#[test]
fn job_that_takes_more_memory_than_it_asked_for_is_named_as_such() {
    let field = Field::new(1);
    let takes = "x=$(head -c 150000000 /dev/zero | tr '\\0' x); sleep 1000";
    let answer = field.run(&["--mem", "50M", "--", takes]).output();
    assert_code(&answer, 1);
    assert!(answer.stderr.contains("FAILED #0 on h1: out of memory"), "{}", answer.stderr);
    let job = field.place.status()["jobs"][0].clone();
    assert_eq!((&job["state"], &job["reason"]), (&json!("error"), &json!("out of memory")));
    assert_eq!(job["attempts"][0]["cause"], "memory");
    assert!(field.said(&["explain", "0"]).contains("out of memory"));
}

/// Refused as a whole, before anyone logs in.
fn refused(field: &Field, args: &[&str], said: &[&str]) {
    let logins = field.bed.host(1).logins();
    let answer = field.run(args).output();
    assert_code(&answer, 2);
    for said in said {
        assert!(answer.stderr.contains(said), "{said}: {}", answer.stderr);
    }
    assert!(!field.place.has_run());
    assert_eq!(field.bed.host(1).logins(), logins);
}

fn refused_job(field: &Field, job: &Value, said: &[&str]) {
    field.place.file("jobs.jsonl", &format!("{job}\n"));
    refused(field, &["jobs.jsonl"], said);
}

#[test]
fn what_a_host_is_sure_to_refuse_is_refused_before_anyone_logs_in() {
    let field = Field::new(1);
    let big = "v".repeat(200_000);
    refused_job(
        &field,
        &json!({ "cmds": "true", "env": { "BIG": big } }),
        &["jobs.jsonl:1:", "BIG"],
    );
    refused_job(&field, &json!({ "cmds": "true", "name": big }), &["jobs.jsonl:1:", "name"]);
    refused_job(
        &field,
        &json!({ "cmds": format!("true # {}", "s".repeat(1_100_000)) }),
        &["jobs.jsonl:1:", "job is too large"],
    );
    let name = "x".repeat(256);
    refused_job(&field, &json!({ "cmds": "true", "outputs": name }), &["255"]);
    // Values that are filled in are counted as they are.
    field.place.file("values", &format!("{}\n", "v".repeat(131_072)));
    refused(&field, &["--env", "BIG={}", "--", "true", "::::", "values"], &["BIG"]);
    refused(&field, &["--name", "{}", "--", "true", "::::", "values"], &["name"]);
}

#[test]
fn what_the_hosts_variables_and_tasks_have_too_much_of_is_refused_too() {
    let field = Field::new(1);
    let big = "v".repeat(131_072);
    let config = field.bed.ssh_config().to_str().unwrap();
    field.place.file("lab.hosts", &format!("h1 env.BIG={big}\n"));
    let args = ["run", "-F", config, "--hosts-file", "lab.hosts", "--", "true"];
    let answer = field.place.gjob(&args).output();
    assert_code(&answer, 2);
    assert!(answer.stderr.contains("lab.hosts:1: "), "{}", answer.stderr);
    assert!(answer.stderr.contains("BIG"), "{}", answer.stderr);

    // Each fits, and a job that has both does not.
    let many: Vec<String> = (0..5).map(|at| format!("env.A{at}={}", "v".repeat(130_000))).collect();
    field.place.file("lab.hosts", &format!("h1 {}\n", many.join(" ")));
    let env: serde_json::Map<String, Value> =
        (0..5).map(|at| (format!("B{at}"), "v".repeat(130_000).into())).collect();
    field.place.file("jobs.jsonl", &format!("{}\n", json!({ "cmds": "true", "env": env })));
    let args = ["run", "-F", config, "--hosts-file", "lab.hosts", "jobs.jsonl"];
    let answer = field.place.gjob(&args).output();
    assert_code(&answer, 2);
    let said = "job 0 on host h1: environment has 1300120 bytes with the host's variables";
    assert!(answer.stderr.contains(said), "{}", answer.stderr);
    assert!(!field.place.has_run());
    assert_eq!(field.bed.host(1).logins(), 0);
}
