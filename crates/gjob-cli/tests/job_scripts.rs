//! Job files that are Python scripts: what they may do, and what is said of
//! mistakes in them before anything is started.

mod support;

use std::io::Read;

use support::{Answer, Place, eventually};

/// Runs a script that has something wrong with it; what is said of it.
fn mistake(script: &str) -> String {
    let place = Place::new();
    place.file("jobs.py", script);
    refused(&place, place.gjob(&["run", "jobs.py"]).output())
}

fn refused(place: &Place, answer: Answer) -> String {
    assert_eq!((answer.code, answer.stdout.as_str()), (2, ""), "{answer:?}");
    assert!(!place.has_run() && !place.path("results").exists(), "something was started");
    answer.stderr
}

#[test]
fn a_script_makes_the_jobs_and_sees_its_arguments() {
    let place = Place::new();
    place.file("models.py", "import gjob\ndef add(n):\n    gjob.Job('echo model %s' % n)\n");
    place.file(
        "jobs.py",
        "import sys, models\n\
         print('making jobs')\n\
         for word in sys.argv[1:]:\n    models.add(word)\n\
         Job(['echo $A', 'cat jobs.py | head -n 1'], files='jobs.py', env={'A': 3})\n",
    );
    let args = ["run", "jobs.py", "-k", "-j", "1", "--show", "all", "--", "a", "--b"];
    let answer = place.gjob(&args).output();
    assert_eq!(answer.code, 0, "{answer:?}");
    assert_eq!(answer.stdout, "model a\nmodel --b\n3\nimport sys, models\n");
    assert!(answer.stderr.starts_with("making jobs\n"), "{}", answer.stderr);
}

#[test]
fn an_exception_shows_the_scripts_own_traceback() {
    let said = mistake(
        "def rates():\n    return [1 / 0]\n\nJob('true')\nfor rate in rates():\n    Job('x')\n",
    );
    let without_marks: Vec<&str> =
        said.lines().filter(|line| !line.trim_end().ends_with('^')).collect();
    assert_eq!(
        without_marks,
        [
            "gjob: jobs.py: the script has failed:",
            "gjob: Traceback (most recent call last):",
            "gjob:   File \"jobs.py\", line 5, in <module>",
            "gjob:     for rate in rates():",
            "gjob:   File \"jobs.py\", line 2, in rates",
            "gjob:     return [1 / 0]",
            "gjob:             ~~^~~",
            "gjob: ZeroDivisionError: division by zero",
            "gjob: nothing was started",
        ]
        .iter()
        .filter(|line| !line.contains("~~^~~") || said.contains("~~^~~"))
        .copied()
        .collect::<Vec<_>>()
    );
}

#[test]
fn what_is_no_python_is_shown_with_its_line() {
    let said = mistake("Job('true')\nfor x in 1, 2\n    Job('x')\n");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(
        lines[..3],
        [
            "gjob: jobs.py: the script has failed:",
            "gjob:   File \"jobs.py\", line 2",
            "gjob:     for x in 1, 2",
        ]
    );
    assert!(lines[4].starts_with("gjob: SyntaxError: "), "{said}");
    assert_eq!(lines[5..], ["gjob: nothing was started"]);
}

#[test]
fn an_unknown_keyword_is_refused_with_the_nearest_known_one() {
    assert_eq!(
        mistake("# two lines\nJob('true', timout=3)\n"),
        "gjob: jobs.py:2: unknown keyword 'timout', perhaps 'timeout' is meant: the keywords are \
         commands, files, name, repeat, after, cpus, env, gpus, link, mem, outputs, retries, \
         timeout\ngjob: nothing was started\n"
    );
}

#[test]
fn an_argument_of_another_type_is_refused_at_its_call() {
    assert_eq!(
        mistake("def add(n):\n    Job(['echo', n])\n\nadd(7)\n"),
        "gjob: jobs.py:2: commands[1]: 7 is of type int: a string is expected\n\
         gjob: nothing was started\n"
    );
    assert_eq!(
        mistake("Job('true', env={'A': True})\n"),
        "gjob: jobs.py:1: env['A']: True is of type bool: a string or a number is expected\n\
         gjob: nothing was started\n"
    );
}

#[test]
fn a_job_that_cannot_be_is_refused_at_its_call_with_all_others() {
    assert_eq!(
        mistake("Job([])\nJob('x', name='a\\nb', env={'1': 2})\nJob('x', timeout='soon')\n"),
        "gjob: jobs.py:1: a job needs at least one command that is not blank\n\
         gjob: jobs.py:2: name \"a\\nb\" is not accepted: one line of 1 to 255 bytes without \
         control characters is\n\
         gjob: jobs.py:2: environment variable name \"1\" is not accepted: letters, digits and _ \
         are, not beginning with a digit\n\
         gjob: jobs.py:3: field \"timeout\": duration \"soon\" is not accepted: seconds such as \
         90, or numbers with units such as 500ms, 12.5s, 1h30m or 2d are\n\
         gjob: nothing was started\n"
    );
}

#[test]
fn files_and_jobs_that_are_not_there_are_refused_at_their_call() {
    assert_eq!(
        mistake("Job('x', files=['data'], name='train')\nJob('x', after='trian')\n"),
        "gjob: jobs.py:1: file \"data\" does not exist: a file or a directory is expected\n\
         gjob: jobs.py:2: after \"trian\" names no job, perhaps \"train\" is meant: the name of \
         another job is expected\n\
         gjob: nothing was started\n"
    );
    assert_eq!(
        mistake("Job('x', name='a', after='b')\nJob('x', name='b', after='a')\n"),
        "gjob: jobs wait for each other: job 0 (a) after job 1 (b) after job 0 (a)\n\
         gjob: nothing was started\n"
    );
}

#[test]
fn a_script_that_ends_itself_starts_nothing() {
    assert_eq!(
        mistake("import sys\nJob('x')\nsys.exit('no data for today')\n"),
        "gjob: jobs.py: the script has ended itself: no data for today\n\
         gjob: nothing was started\n"
    );
    assert_eq!(
        mistake("import sys\nJob('x')\nsys.exit(3)\n"),
        "gjob: jobs.py: the script has ended itself: exit status 3\n\
         gjob: nothing was started\n"
    );
    let place = Place::new();
    place.file("jobs.py", "import sys\nJob('echo x')\nsys.exit()\nJob('echo y')\n");
    let answer = place.gjob(&["run", "jobs.py", "--show", "all"]).output();
    assert_eq!((answer.code, answer.stdout.as_str()), (0, "x\n"), "{answer:?}");
}

#[test]
fn a_script_that_dies_starts_nothing() {
    assert_eq!(
        mistake("import os\nJob('x')\nos.kill(os.getpid(), 9)\n"),
        "gjob: jobs.py: the script has not come to its end: signal 9\n\
         gjob: nothing was started\n"
    );
    assert_eq!(
        mistake("import os\nJob('x')\nos._exit(0)\n"),
        "gjob: jobs.py: the script has not come to its end: exit status 0\n\
         gjob: nothing was started\n"
    );
}

#[test]
fn without_python_the_other_formats_are_named() {
    let place = Place::new();
    place.file("jobs.py", "Job('x')\n");
    let said =
        refused(&place, place.gjob(&["run", "jobs.py"]).env("GJOB_PYTHON", "no-py").output());
    assert_eq!(
        said,
        "gjob: jobs.py: job scripts need Python 3.6 or newer, and \"no-py\" can't be started: No \
         such file or directory (os error 2); GJOB_PYTHON can name another, and jobs can be in \
         TOML (.toml), in JSON Lines (.jsonl) or one command a line\n\
         gjob: nothing was started\n"
    );
}

#[test]
fn a_python_that_is_too_old_is_said() {
    let place = Place::new();
    place.file("jobs.py", "Job('x')\n");
    // What gjob hears from one, and no more than that.
    let old = place.file("python2", "#!/bin/sh\neval \"echo '{\\\"old\\\":\\\"2.7\\\"}' >&$4\"\n");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&old, mode).unwrap();
    let said = refused(&place, place.gjob(&["run", "jobs.py"]).env("GJOB_PYTHON", &old).output());
    assert_eq!(
        said,
        format!(
            "gjob: jobs.py: job scripts need Python 3.6 or newer, and {old:?} is Python 2.7: \
             GJOB_PYTHON can name another\ngjob: nothing was started\n"
        )
    );
}

#[test]
fn only_scripts_take_arguments() {
    let place = Place::new();
    place.file("jobs.txt", "true\n");
    let said = refused(&place, place.gjob(&["run", "jobs.txt", "--", "x"]).output());
    assert_eq!(
        said,
        "gjob: -- x: a job file takes no arguments: those of a Python script (.py) are accepted, \
         or -- CMD ::: VALUES without a job file\ngjob: nothing was started\n"
    );
}

#[test]
fn an_interrupt_ends_the_script_and_starts_nothing() {
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
    let running = place.gjob(&["run", "jobs.py"]).start();
    eventually("the script runs", || started.exists());
    let mut script = String::new();
    std::fs::File::open(&started).unwrap().read_to_string(&mut script).unwrap();
    let pid = rustix::process::Pid::from_raw(running.pid() as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let answer = running.output();
    assert_eq!(answer.code, 130, "{answer:?}");
    assert_eq!(answer.stderr, "gjob: interrupted; nothing was started\n");
    let process = std::path::PathBuf::from(format!("/proc/{script}/stat"));
    eventually("the script is gone", || {
        std::fs::read_to_string(&process).map_or(true, |stat| stat.contains(") Z "))
    });
    assert!(!place.has_run());
}

#[test]
fn jobs_of_threads_and_of_the_very_end_count_too() {
    let place = Place::new();
    place.file(
        "jobs.py",
        "import atexit, threading, time\n\
         def late(n):\n    time.sleep(0.2)\n    Job('echo thread %d' % n)\n\
         for n in range(4):\n    threading.Thread(target=late, args=(n,)).start()\n\
         atexit.register(lambda: Job('echo end'))\n\
         Job('echo first')\n",
    );
    let answer = place.gjob(&["run", "jobs.py", "--show", "all"]).output();
    assert_eq!(answer.code, 0, "{answer:?}");
    assert_eq!(answer.stdout.lines().count(), 6, "{answer:?}");
}

#[test]
fn a_mistake_in_a_thread_starts_nothing() {
    let script = "import threading\n\
         threading.Thread(target=lambda: Job('x', fles='y')).start()\nJob('true')\n";
    let said = mistake(script);
    assert!(said.contains("jobs.py:2: unknown keyword 'fles'"), "{said}");
}
