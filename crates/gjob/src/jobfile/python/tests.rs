//! What scripts become. Mistakes in them are the command line's tests.

use std::time::{Duration, Instant};

use super::super::{Source, read};
use super::*;

/// The jobs of a script, or what is wrong; its file is called FILE there.
fn run(text: &str) -> Result<Jobs, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("jobs.py");
    std::fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap();
    let script = Source::Script(Script::new(path).arguments(["one", "-two"]));
    read(&script, &mut std::io::empty()).map_err(|error| error.to_string().replace(path, "FILE"))
}

#[test]
fn every_field_is_a_keyword() {
    let jobs = run("Job('a', **{'no such': 1})").unwrap_err();
    let (_, keywords) = jobs.split_once("the keywords are ").unwrap();
    let mut keywords: Vec<&str> = keywords.split(", ").collect();
    let mut known = fields::known().to_vec();
    known.retain(|field| *field != "cmds");
    known.push("commands");
    keywords.sort_unstable();
    known.sort_unstable();
    assert_eq!(keywords, known);
}

#[test]
fn each_call_is_a_job_with_its_line() {
    let text = "import sys\n\
        Repeat(3)\n\
        first = Job(['a', 'b'], ['f'], 'n')\n\
        Job(sys.argv[1:], repeat=1, env={'A': 1.5}, mem=8e9, timeout='1m', after=[first, 'n'])\n\
        AddJob(commands='c', cpus='all', gpus=1, link=True, outputs='*.csv', retries=0)\n\
        SetRepeat(None or 1)\n";
    let jobs = run(text).unwrap();
    assert_eq!(jobs.specs[0].cmds, ["a", "b"]);
    assert_eq!(jobs.specs[1].cmds, ["one", "-two"]);
    assert_eq!((jobs.specs[1].mem, &jobs.specs[1].env["A"]), (Some(8_000_000_000), &"1.5".into()));
    assert_eq!(serde_json::to_string(&jobs.specs[1].after).unwrap(), "[0,\"n\"]");
    assert_eq!(
        serde_json::to_string(&jobs.specs[2]).unwrap(),
        r#"{"cmds":["c"],"link":true,"outputs":["*.csv"],"retries":0,"cpus":"all","gpus":1}"#
    );
    let repeats: Vec<_> = (0..3).map(|index| jobs.said(index).repeat).collect();
    assert_eq!(repeats, [Some(3), Some(1), Some(3)]);
    assert!(jobs.place(1).to_string().ends_with("jobs.py:4"), "{}", jobs.place(1));
}

#[test]
fn a_fork_of_the_script_says_nothing_twice() {
    let text = "import os\nJob('a')\npid = os.fork()\nif pid == 0:\n    raise SystemExit(0)\n\
                os.waitpid(pid, 0)\nJob('b')\n";
    assert_eq!(run(text).unwrap().specs.len(), 2);
}

#[test]
fn who_else_holds_the_pipe_does_not_matter() {
    let began = Instant::now();
    let fork = "import os, time\nJob('a')\nif os.fork() == 0:\n    os.close(1)\n    os.close(2)\n    time.sleep(20)\n    os._exit(0)\n";
    assert_eq!(run(fork).unwrap().specs.len(), 1);
    assert_eq!(
        run(&format!("{fork}os._exit(3)\n")).unwrap_err(),
        "FILE: the script has not come to its end: exit status 3"
    );
    assert!(began.elapsed() < Duration::from_secs(15));
}

#[test]
fn a_script_can_be_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("jobs.py");
    let started = dir.path().join("started");
    let text = format!("import time\nopen({started:?}, 'w').close()\ntime.sleep(60)\n");
    std::fs::write(&path, text).unwrap();
    let script = Script::new(path.to_str().unwrap());
    let stopper = script.stopper();
    let reader = std::thread::spawn(move || script.read().unwrap_err().to_string());
    while !started.exists() {
        std::thread::sleep(Duration::from_millis(10));
    }
    stopper.stop();
    let error = reader.join().unwrap();
    assert!(error.ends_with("the script has not come to its end: signal 15"), "{error}");
    stopper.stop();
}
