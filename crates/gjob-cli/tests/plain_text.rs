//! Text that people write is read alike, whatever system it was written on.

mod support;

use support::Place;

const BOM: &str = "\u{feff}";

/// A text as an editor for another system writes it.
fn foreign(text: &str) -> String {
    format!("{BOM}{}", text.trim_end().replace('\n', "\r\n"))
}

#[test]
fn values_are_the_same_with_other_ends_of_lines() {
    let place = Place::new();
    place.file("values.txt", &foreign("c\n\nd\n"));
    let args = ["run", "-k", "--", "printf '[%s%s]' {1} {2}", "::::", "values.txt", "::::+", "-"];
    let answer = place.gjob(&args).stdin(&foreign("a\n\nb\n")).output();
    assert_eq!((answer.code, answer.stdout.as_str()), (0, "[ca][][db]"), "{}", answer.stderr);
}

#[test]
fn job_files_of_every_kind_run_with_other_ends_of_lines() {
    let script = "if true; then\n  cat <<X\nran\nX\nfi\n";
    let place = Place::new();
    let toml = format!("[[job]]\nname = 'a'\ncommands = '''\n{script}'''\n");
    let python = format!("script = '''{script}'''\nJob(script.replace('\\n', '\\r\\n'))\n");
    let json = serde_json::json!({ "commands": script.replace('\n', "\r\n") }).to_string();
    for (name, text) in [
        ("jobs.txt", "echo ran\n# no\n\n".to_owned()),
        ("jobs.toml", toml),
        ("jobs.jsonl", json),
        ("jobs.py", python),
    ] {
        place.file(name, &foreign(&text));
        let answer = place.gjob(&["run", "--show", "all", name]).output();
        assert_eq!(
            (answer.code, answer.stdout.as_str()),
            (0, "ran\n"),
            "{name}: {}",
            answer.stderr
        );
    }
}

#[test]
fn carriage_return_at_the_end_of_a_command_stays_but_at_the_end_of_a_line_of_a_file() {
    let place = Place::new();
    let printed = |name: &str, text: &str| {
        place.file(name, text);
        place.gjob(&["run", "--show", "all", name]).output().stdout
    };
    let script = serde_json::json!({ "commands": "printf %s x\r" }).to_string();
    assert_eq!(printed("jobs.jsonl", &script), "x\r");
    let toml = "[[job]]\ncommands = \"printf %s x\\r\"\n";
    assert_eq!(printed("jobs.toml", toml), "x\r");
    assert_eq!(printed("jobs.py", "Job('printf %s x\\r')\n"), "x\r");
    assert_eq!(printed("jobs.txt", "printf %s x\r\n"), "x");
}

#[test]
fn hosts_files_and_cluster_files_are_the_same_with_other_ends_of_lines() {
    let place = Place::new();
    place.file("jobs.txt", "true\n");
    place.file("hosts.txt", &foreign("h1 # first\n\n2/h2\n"));
    place.file("old.txt", &foreign("gate\nh3\n"));
    let connect = "connect = '''\nssh\n{host}'''\n";
    place.file("lab.toml", &foreign(&format!("[cluster.lab]\nhosts = 'h4'\n{connect}")));
    let args = ["run", "--dry-run", "--hosts-file", "hosts.txt", "-c", "old.txt,lab.toml"];
    let answer = place.gjob(&[&args[..], &["jobs.txt"]].concat()).output();
    let expected = "host h1\nhost h2, 2 slots\nhost h3, cluster old\n\
                    host h4, cluster lab, by ssh {host}\n";
    assert!(answer.stdout.starts_with(expected), "{}{}", answer.stdout, answer.stderr);
    assert!(!answer.stdout.contains('\r'), "{}", answer.stdout);
}

#[test]
fn text_in_another_encoding_is_refused_in_one_line() {
    let place = Place::new();
    place.file("jobs.txt", "true\n");
    let utf16: Vec<u8> = "\u{feff}a\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for name in ["x.txt", "x.toml", "x.jsonl", "x.py"] {
        std::fs::write(place.path("here").join(name), &utf16).unwrap();
    }
    let refused = |args: &[&str], name: &str| {
        let expected =
            format!("gjob: {name}: text is UTF-16: expected UTF-8\ngjob: nothing was started\n");
        place.gjob(args).code(2).stderr(expected).run();
    };
    for name in ["x.txt", "x.toml", "x.jsonl", "x.py"] {
        refused(&["run", name], name);
    }
    refused(&["run", "--hosts-file", "x.txt", "jobs.txt"], "x.txt");
    refused(&["run", "-c", "x.txt", "jobs.txt"], "x.txt");
    refused(&["run", "-c", "x.toml", "jobs.txt"], "x.toml");
    std::fs::write(place.path("here/latin.txt"), b"h1\nh\xe9\n").unwrap();
    place
        .gjob(&["run", "--hosts-file", "latin.txt", "jobs.txt"])
        .code(2)
        .stderr("gjob: latin.txt:2: invalid text: expected UTF-8\ngjob: nothing was started\n")
        .run();
}
