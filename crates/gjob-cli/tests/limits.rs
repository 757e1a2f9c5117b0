//! What every host is sure to refuse is refused before anything starts, with its
//! place and the limit.

mod support;

use support::Place;

#[test]
fn what_every_host_refuses_is_refused_with_its_place() {
    let place = Place::new();
    let value = "v".repeat(200_000);
    let fits = "v".repeat(131_000);
    let variables = |count: usize| -> String {
        let each = (0..count).map(|i| format!("\"V{i}\":\"{fits}\""));
        each.collect::<Vec<_>>().join(",")
    };
    let name = "x".repeat(256);
    place.file(
        "jobs.jsonl",
        &format!(
            "{{\"cmds\":\"true\",\"env\":{{\"BIG\":\"{value}\"}}}}\n\
             {{\"cmds\":\"true\",\"env\":{{{}}}}}\n\
             {{\"cmds\":\"true\",\"files\":\"{name}\"}}\n\
             {{\"cmds\":\"true\",\"outputs\":\"{name}\"}}\n\
             {{\"cmds\":\"true\",\"env\":{{\"A B\":\"\",\"GJOB_X\":\"\",\"N\":\"\\u0000\"}}}}\n",
            variables(9)
        ),
    );
    let shown = format!("{}…", "x".repeat(77));
    let answer = place.gjob(&["run", "jobs.jsonl"]).output();
    assert_eq!(answer.code, 2, "{}", answer.stderr);
    let lines: Vec<&str> = answer.stderr.lines().collect();
    for (place, said) in [
        (
            "jobs.jsonl:1:",
            "environment variable BIG has 200004 bytes with its name: expected at most 131071"
                .into(),
        ),
        ("jobs.jsonl:2:", "environment has ".into()),
        ("jobs.jsonl:3:", format!("file {shown:?} has a name of 256 bytes: expected at most 255")),
        (
            "jobs.jsonl:4:",
            "is not a path: expected at most 4096 bytes, at most 255 of each name".into(),
        ),
        ("jobs.jsonl:5:", "invalid environment variable name \"A B\"".into()),
        ("jobs.jsonl:5:", "reserved environment variable GJOB_X".into()),
        ("jobs.jsonl:5:", "variable N contains a NUL byte".into()),
    ] {
        let found = lines.iter().any(|line| line.contains(place) && line.contains(&said));
        assert!(found, "{said}\n{}", answer.stderr);
    }
    assert!(!place.has_run());
}

#[test]
fn defaults_that_every_host_refuses_name_their_option() {
    let place = Place::new();
    place.file("jobs.txt", "true\n");
    let pair = format!("BIG={}", "v".repeat(131_072));
    // As much as one argument can be is less than a variable with its name.
    let answer = place.gjob(&["run", "jobs.txt", "--env", &pair[..131_000]]).output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    let name = "x".repeat(256);
    let answer = place.gjob(&["run", "jobs.txt", "-o", &name, "-r", &name]).output();
    assert_eq!(answer.code, 2, "{}", answer.stderr);
    assert!(answer.stderr.contains("--output: output "), "{}", answer.stderr);
    assert!(answer.stderr.contains("invalid results directory"), "{}", answer.stderr);
}

#[test]
fn job_at_the_limits_runs() {
    let place = Place::new();
    let value = "v".repeat(131_071 - 4);
    let name = "x".repeat(255);
    place.file(&name, "content");
    let job = serde_json::json!({
        "commands": format!("echo ${{#BIG}}; cat {name}; cp {name} {}", "y".repeat(255)),
        "env": { "BIG": value },
        "files": name,
        "outputs": "y*",
    });
    place.file("jobs.jsonl", &job.to_string());
    let answer = place.gjob(&["run", "--show", "all", "jobs.jsonl"]).output();
    let expected = format!("{}\ncontent", 131_071 - 4);
    assert_eq!((answer.code, answer.stdout.as_str()), (0, expected.as_str()), "{}", answer.stderr);
}
