//! Job files that are Python scripts: what they may do, and what is printed about
//! mistakes in them before anything is started.

mod support;

use std::io::Read;
use std::os::unix::fs::PermissionsExt;

use snapbox::{IntoData, str};
use support::{Gjob, Place, eventually};

/// Runs `jobs.py` with this text, which has something wrong with it.
#[track_caller]
fn refused(script: &str, stderr: impl IntoData) {
    let place = Place::new();
    place.file("jobs.py", script);
    starts_nothing(&place, place.gjob(&["run", "jobs.py"]).stderr(stderr));
}

#[track_caller]
fn starts_nothing(place: &Place, gjob: Gjob) {
    gjob.code(2).run();
    assert!(!place.has_run() && !place.path("results").exists(), "something was started");
}

/// Runs `jobs.py` with this text, one job at a time.
fn script(place: &Place, text: &str, arguments: &[&str]) -> Gjob {
    place.file("jobs.py", text);
    let mut args = vec!["run", "jobs.py", "-j", "1", "--show", "all"];
    args.extend(arguments);
    place.gjob(&args)
}

#[test]
fn script_gets_its_arguments() {
    let place = Place::new();
    place.file("models.py", "import gjob\ndef add(n):\n    gjob.Job('echo model %s' % n)\n");
    let text = "import sys, models\n\
        print('making jobs')\n\
        for word in sys.argv[1:]:\n    models.add(word)\n\
        Job(['echo $A', 'cat jobs.py | head -n 1'], files='jobs.py', env={'A': 3})\n";
    script(&place, text, &["--", "a", "--b"])
        .stdout(str![[r#"
model a
model --b
3
import sys, models

"#]])
        .stderr(str![[r#"
making jobs
run [DATE]-1: 3 jobs, 1 host
start #0: echo model a
ok #0 in [ELAPSED]
start #1: echo model --b
ok #1 in [ELAPSED]
start #2: echo $A; cat jobs.py | head -n 1
ok #2 in [ELAPSED]
run [DATE]-1: 3 done in [ELAPSED]

"#]])
        .run();
}

#[test]
fn exception_shows_the_traceback_of_the_script() {
    // Newer Pythons mark the part of a line, which this one hides.
    let text = "def rates():\n    raise ValueError('no rates')\n\n\
                Job('true')\nfor rate in rates():\n    Job('x')\n";
    let place = Place::new();
    place.file("jobs.py", text);
    let answer = place.gjob(&["run", "jobs.py"]).output();
    assert_eq!((answer.code, answer.stdout.as_str()), (2, ""), "{answer:?}");
    let lines = answer.stderr.lines();
    let is_marker = |line: &&str| line.ends_with('^') && !line.contains(char::is_alphanumeric);
    let without_markers: Vec<&str> =
        lines.filter(|line| !is_marker(&line.trim_start_matches("gjob:"))).collect();
    snapbox::assert_data_eq!(
        without_markers.join("\n"),
        str![[r#"
gjob: jobs.py: the script failed:
gjob: Traceback (most recent call last):
gjob:   File "jobs.py", line 5, in <module>
gjob:     for rate in rates():
gjob:   File "jobs.py", line 2, in rates
gjob:     raise ValueError('no rates')
gjob: ValueError: no rates
gjob: nothing was started
"#]]
    );
    assert!(!place.has_run());
}

#[test]
fn syntax_error_is_shown_with_its_line() {
    refused(
        "Job('true')\nfor x in 1, 2\n    Job('x')\n",
        str![[r#"
gjob: jobs.py: the script failed:
gjob:   File "jobs.py", line 2
gjob:     for x in 1, 2
gjob: [..]^
gjob: SyntaxError: [..]
gjob: nothing was started

"#]],
    );
}

#[test]
fn unknown_keyword_is_refused_with_the_nearest_one() {
    refused(
        "# two lines\nJob('true', timout=3)\n",
        str![[r#"
gjob: jobs.py:2: unknown field "timout": expected one of commands, files, link, outputs, name, env, params, timeout, retries, cpus, affinity, gpus, mem, retry_mem, hosts, labels, after, pipefail, shell, repeat
help: did you mean "timeout"?
gjob: nothing was started

"#]],
    );
}

#[test]
fn invalid_argument_is_refused_at_its_call() {
    refused(
        "def add(n):\n    Job(['echo', n])\n\nadd(7)\n",
        str![[r#"
gjob: jobs.py:2: field "commands": invalid type: integer `7`, expected a string
gjob: nothing was started

"#]],
    );
    refused(
        "Job('true', env={'A': True})\n",
        str![[r#"
gjob: jobs.py:1: field "env": invalid type: boolean `true`, expected a string or a number
gjob: nothing was started

"#]],
    );
    refused(
        "Job('true', files=object)\n",
        str![[r#"
gjob: jobs.py:1: files: expected text, a number or a list, found <class 'object'> of type type
gjob: nothing was started

"#]],
    );
    refused(
        "Job('true', cpus=1.5, gpus=-1, link='yes')\n",
        str![[r#"
gjob: jobs.py:1: field "cpus": invalid type: floating point `1.5`, expected a number of processors or "all"
gjob: jobs.py:1: field "gpus": invalid value: integer `-1`, expected a whole number from 0
gjob: jobs.py:1: field "link": invalid type: string "yes", expected a boolean
gjob: nothing was started

"#]],
    );
    refused(
        "Repeat('often')\nJob('true')\n",
        str![[r#"
gjob: jobs.py:1: repeat: expected a whole number from 0, found 'often' of type str
gjob: nothing was started

"#]],
    );
}

#[test]
fn all_invalid_jobs_are_refused_at_once() {
    let script = "Job([])\nJob('x', name='a\\nb', env={'1': 2})\nJob('x', timeout='soon', mum=1)\n";
    refused(
        script,
        str![[r#"
gjob: jobs.py:1: no command: expected at least one that is not blank
gjob: jobs.py:2: invalid job name "a\nb": expected 1 to 255 bytes of printable characters
gjob: jobs.py:2: invalid environment variable name "1": expected letters, digits and _, not starting with a digit
gjob: jobs.py:3: unknown field "mum": expected one of commands, files, link, outputs, name, env, params, timeout, retries, cpus, affinity, gpus, mem, retry_mem, hosts, labels, after, pipefail, shell, repeat
help: did you mean "mem"?
gjob: jobs.py:3: field "timeout": invalid duration "soon": expected seconds (90) or units (500ms, 1h30m, 2d)
gjob: nothing was started

"#]],
    );
}

#[test]
fn missing_files_and_jobs_are_refused_at_their_call() {
    let script = "Job('x', files=['data'], name='train')\nJob('x', after='trian')\n";
    refused(
        script,
        str![[r#"
gjob: jobs.py:1: file "data" does not exist
gjob: jobs.py:2: unknown job "trian": expected the name of another job
help: did you mean "train"?
gjob: nothing was started

"#]],
    );
}

#[test]
fn dependency_cycle_is_refused() {
    refused(
        "Job('x', name='a', after='b')\nJob('x', name='b', after='a')\n",
        str![[r#"
gjob: jobs.py: dependency cycle: job 0 (a) after job 1 (b) after job 0 (a)
gjob: nothing was started

"#]],
    );
}

#[test]
fn script_that_exits_starts_nothing() {
    refused(
        "import sys\nJob('x')\nsys.exit('no data for today')\n",
        str![[r#"
gjob: jobs.py: the script exited: no data for today
gjob: nothing was started

"#]],
    );
    refused(
        "import sys\nJob('x')\nsys.exit(3)\n",
        str![[r#"
gjob: jobs.py: the script exited: exit status 3
gjob: nothing was started

"#]],
    );
}

#[test]
fn script_may_exit_with_success() {
    let place = Place::new();
    let text = "import sys\nJob('echo x')\nsys.exit()\nJob('echo y')\n";
    script(&place, text, &[])
        .stdout(str![[r#"
x

"#]])
        .stderr(str![[r#"
run [DATE]-1: 1 job, 1 host
start #0: echo x
ok #0 in [ELAPSED]
run [DATE]-1: 1 done in [ELAPSED]

"#]])
        .run();
}

#[test]
fn script_that_dies_starts_nothing() {
    refused(
        "import os\nJob('x')\nos.kill(os.getpid(), 9)\n",
        str![[r#"
gjob: jobs.py: the script ended early: signal 9
gjob: nothing was started

"#]],
    );
    refused(
        "import os\nJob('x')\nos._exit(0)\n",
        str![[r#"
gjob: jobs.py: the script ended early: exit status 0
gjob: nothing was started

"#]],
    );
}

/// As with `python3 FILE`: it may be anybody's.
#[test]
fn modules_are_not_taken_from_the_working_directory() {
    let place = Place::new();
    for module in ["json", "types", "traceback", "planted"] {
        place.file(&format!("{module}.py"), "raise SystemExit('planted')\n");
    }
    std::fs::create_dir(place.path("scripts")).unwrap();
    let script = place.path("scripts/jobs.py");
    std::fs::write(&script, "try:\n    import planted\nexcept ImportError:\n    Job('true')\n")
        .unwrap();
    place
        .gjob(&["run", script.to_str().unwrap()])
        .side_by_side()
        .stderr(str![[r#"
run [DATE]-1: 1 done in [ELAPSED]
run [DATE]-1: 1 job, 1 host
start #0: true
ok #0 in [ELAPSED]

"#]])
        .run();
}

#[test]
fn missing_python_is_reported() {
    let place = Place::new();
    place.file("jobs.py", "Job('x')\n");
    let gjob = place.gjob(&["run", "jobs.py"]).env("GJOB_PYTHON", "no-py");
    starts_nothing(&place, gjob.stderr(str![[r#"
gjob: jobs.py: cannot start "no-py": No such file or directory (os error 2): job scripts need Python 3.6 or newer
help: set GJOB_PYTHON to a Python, or write jobs in TOML (.toml), JSON Lines (.jsonl) or as one command per line
gjob: nothing was started

"#]]));
}

#[test]
fn old_python_is_reported() {
    let place = Place::new();
    place.file("jobs.py", "Job('x')\n");
    // All that gjob gets to read of an old Python.
    let old = place.file("python2", "#!/bin/sh\neval \"echo '{\\\"old\\\":\\\"2.7\\\"}' >&$4\"\n");
    std::fs::set_permissions(&old, PermissionsExt::from_mode(0o755)).unwrap();
    let gjob = place.gjob(&["run", "jobs.py"]).env("GJOB_PYTHON", &old);
    starts_nothing(
        &place,
        gjob.stderr(str![[r#"
gjob: jobs.py: "[PLACE]/here/python2" is Python 2.7: job scripts need Python 3.6 or newer
help: set GJOB_PYTHON to a newer Python
gjob: nothing was started

"#]]),
    );
}

#[test]
fn writing_to_the_job_pipe_is_reported() {
    // The pipe's number is the second argument of the program that Python runs.
    let script = "import os\nJob('x')\n\
        words = open('/proc/self/cmdline').read().split('\\0')\n\
        pipe = [word for word in words if word.isdigit()][-1]\n\
        os.write(int(pipe), b'garbage\\n')\n";
    refused(
        script,
        str![[r#"
gjob: jobs.py: the script wrote to gjob's job pipe: expected value
gjob: nothing was started

"#]],
    );
}

#[test]
fn interrupt_ends_the_script_and_starts_nothing() {
    let place = Place::new();
    let started = place.path("started");
    place.file(
        "jobs.py",
        &format!(
            "import os, time\nJob('true')\n\
             with open({started:?} + '.new', 'w') as f:\n    f.write(str(os.getpid()))\n\
             os.rename({started:?} + '.new', {started:?})\ntime.sleep(600)\n"
        ),
    );
    let running = place
        .gjob(&["run", "jobs.py"])
        .code(130)
        .stderr(str![[r#"
gjob: interrupted; nothing was started

"#]])
        .start();
    eventually("the script runs", || started.exists());
    let mut script = String::new();
    std::fs::File::open(&started).unwrap().read_to_string(&mut script).unwrap();
    running.signal(rustix::process::Signal::INT);
    running.wait();
    let process = std::path::PathBuf::from(format!("/proc/{script}/stat"));
    eventually("the script is gone", || {
        std::fs::read_to_string(&process).map_or(true, |stat| stat.contains(") Z "))
    });
    assert!(!place.has_run());
}

#[test]
fn threads_and_exit_handlers_may_add_jobs() {
    let place = Place::new();
    let text = "import atexit, threading, time\n\
        def late(n):\n    time.sleep(0.2)\n    Job('echo thread')\n\
        for n in range(4):\n    threading.Thread(target=late, args=(n,)).start()\n\
        atexit.register(lambda: Job('echo end'))\n\
        Job('echo first')\n";
    script(&place, text, &[])
        .stdout(str![[r#"
first
thread
thread
thread
thread
end

"#]])
        .stderr(str![[r#"
run [DATE]-1: 6 jobs, 1 host
start #0: echo first
ok #0 in [ELAPSED]
start #1: echo thread
ok #1 in [ELAPSED]
start #2: echo thread
ok #2 in [ELAPSED]
start #3: echo thread
ok #3 in [ELAPSED]
start #4: echo thread
ok #4 in [ELAPSED]
start #5: echo end
ok #5 in [ELAPSED]
run [DATE]-1: 6 done in [ELAPSED]

"#]])
        .run();
}

#[test]
fn mistake_in_a_thread_starts_nothing() {
    let script = |call: &str| {
        format!("import threading\nthreading.Thread(target=lambda: {call}).start()\nJob('true')\n")
    };
    refused(
        &script("Job('x', fles='y')"),
        str![[r#"
gjob: jobs.py:2: unknown field "fles": expected one of commands, files, link, outputs, name, env, params, timeout, retries, cpus, affinity, gpus, mem, retry_mem, hosts, labels, after, pipefail, shell, repeat
help: did you mean "files"?
gjob: nothing was started

"#]],
    );
    let place = Place::new();
    place.file("jobs.py", &script("Job('x', files=object)"));
    // Python prints the exception in its own words, too.
    let answer = place.gjob(&["run", "jobs.py"]).output();
    assert_eq!((answer.code, answer.stdout.as_str()), (2, ""), "{answer:?}");
    let lines = answer.stderr.lines().filter(|line| line.starts_with("gjob: "));
    snapbox::assert_data_eq!(
        lines.collect::<Vec<_>>().join("\n"),
        str![[r#"
gjob: jobs.py:2: files: expected text, a number or a list, found <class 'object'> of type type
gjob: nothing was started
"#]]
    );
    assert!(!place.has_run());
}
