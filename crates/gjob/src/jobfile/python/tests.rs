//! What scripts become. Tests of the command line are about mistakes in them.

use std::time::{Duration, Instant};

use super::*;
use crate::jobfile::{Source, read};

/// The jobs of a script, or what is wrong with it, with FILE for its name.
fn run(text: &str) -> Result<Jobs, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("jobs.py");
    std::fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap();
    let script = Source::Script(Script::new(path).arguments(["one", "-two"]));
    let jobs = read(&script, &JobDraft::default(), &mut std::io::empty());
    jobs.map_err(|error| error.to_string().replace(path, "FILE"))
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
    assert_eq!(jobs.specs()[0].cmds, ["a", "b"]);
    assert_eq!(jobs.specs()[1].cmds, ["one", "-two"]);
    assert_eq!(
        (jobs.specs()[1].mem, &jobs.specs()[1].env["A"]),
        (Some(8_000_000_000), &"1.5".into())
    );
    assert_eq!(serde_json::to_string(&jobs.specs()[1].after).unwrap(), "[0,\"n\"]");
    assert_eq!(
        serde_json::to_string(&jobs.specs()[2]).unwrap(),
        r#"{"cmds":["c"],"link":true,"outputs":["*.csv"],"retries":0,"cpus":"all","gpus":1}"#
    );
    assert_eq!(jobs.repeats(), [3, 1, 3]);
    assert!(jobs.place(1).to_string().ends_with("jobs.py:4"), "{}", jobs.place(1));
}

#[test]
fn forked_script_adds_no_job_twice() {
    let text = "import os\nJob('a')\npid = os.fork()\nif pid == 0:\n    raise SystemExit(0)\n\
                os.waitpid(pid, 0)\nJob('b')\n";
    assert_eq!(run(text).unwrap().specs().len(), 2);
}

#[test]
fn script_ends_while_others_hold_its_pipe() {
    let began = Instant::now();
    let fork = "import os, time\nJob('a')\nif os.fork() == 0:\n    os.close(1)\n    os.close(2)\n    time.sleep(20)\n    os._exit(0)\n";
    assert_eq!(run(fork).unwrap().specs().len(), 1);
    assert_eq!(
        run(&format!("{fork}os._exit(3)\n")).unwrap_err(),
        "FILE: the script ended early: exit status 3"
    );
    assert!(began.elapsed() < Duration::from_secs(15));
}

#[test]
fn script_can_be_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("jobs.py");
    let started = dir.path().join("started");
    let text = format!("import time\nopen({started:?}, 'w').close()\ntime.sleep(60)\n");
    std::fs::write(&path, text).unwrap();
    let script = Script::new(path.to_str().unwrap());
    let stopper = script.stopper();
    let reader =
        std::thread::spawn(move || script.read(&JobDraft::default()).unwrap_err().to_string());
    while !started.exists() {
        std::thread::sleep(Duration::from_millis(10));
    }
    stopper.stop();
    let error = reader.join().unwrap();
    assert!(error.ends_with("the script ended early: signal 15"), "{error}");
    stopper.stop();
}

#[test]
fn values_are_converted_from_python() {
    let text = "import datetime, pathlib\n\
        class Number:\n    def __float__(self):\n        return 0.5\n\
        Job(('a' for _ in range(2)), files=pathlib.Path('f'), timeout=datetime.timedelta(minutes=1),\n\
        \x20   env=[('A', 1e-5), ('B', Number.__name__)], retries=None, outputs=(), mem=1024)\n\
        Job('b', timeout=Number(), after=[[0], (0,)])\n";
    let jobs = run(text).unwrap();
    assert_eq!(
        serde_json::to_string(&jobs.specs()[0]).unwrap(),
        r#"{"cmds":["a","a"],"files":["f"],"env":{"A":"1e-05","B":"Number"},"timeout":60.0,"mem":1024}"#
    );
    assert_eq!(
        serde_json::to_string(&jobs.specs()[1]).unwrap(),
        r#"{"cmds":["b"],"timeout":0.5,"after":[0,0]}"#
    );
}

#[test]
fn files_are_relative_to_the_directory_of_the_moment() {
    let text = "import os\nJob('a', 'f')\nos.chdir('/')\nJob('b', ['f', '/g'])\n";
    let jobs = run(text).unwrap();
    assert_eq!(
        (&jobs.specs()[0].files[..], &jobs.specs()[1].files[..]),
        (&["f".into()][..], &["/f".into(), "/g".into()][..])
    );
}

#[test]
fn values_that_json_cannot_hold_are_refused() {
    for (call, expected) in [
        (
            "Job('a', files=object)",
            "files: expected text, a number or a list, found <class 'object'> of type type",
        ),
        (
            "Job(['\\ud800'])",
            "commands[0]: expected text, found '\\ud800', which UTF-8 cannot hold",
        ),
        ("Job('a', mem=float('nan'))", "mem: expected a finite number, found nan"),
        ("Job('a', env=3)", "env: expected a dict, found 3 of type int"),
        ("Repeat(-1)", "repeat: expected a whole number from 0, found -1 of type int"),
    ] {
        assert_eq!(run(&format!("{call}\n")).unwrap_err(), format!("FILE:1: {expected}"));
    }
}
