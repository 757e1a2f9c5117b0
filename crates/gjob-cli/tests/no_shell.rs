//! Jobs that are one simple command run without a shell, and nobody can tell.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop here")]

mod support;

use std::path::Path;

use support::Place;

/// Prints which program has started it.
const PARENT: &str = "sh -c 'cat /proc/$PPID/comm'";

/// What became of a job.
#[derive(Debug, PartialEq)]
struct Printed {
    /// The exit status, or the signal that it was ended by, negative.
    exit: i64,
    log: String,
    err: String,
}

/// Runs jobs one after the other.
fn run(jobs: &[&str], options: &[&str]) -> Vec<Printed> {
    let place = Place::new();
    place.file("jobs.txt", &(jobs.join("\n") + "\n"));
    let args = [&["run", "jobs.txt", "-j", "1", "-q"], options].concat();
    let ran = place.gjob(&args).output();
    assert!(ran.code < 2, "{ran:?}");
    let dirs = place.of_jobs("id").into_iter();
    let dirs = dirs.map(|id| place.path("results").join(id.as_str().unwrap()));
    let read = |dir: &Path, name: &str| std::fs::read_to_string(dir.join(name)).unwrap();
    let exits = place.of_jobs("exit").into_iter().zip(place.of_jobs("signal"));
    let exits =
        exits.map(|(exit, signal)| exit.as_i64().unwrap_or_else(|| -signal.as_i64().unwrap()));
    exits
        .zip(dirs)
        .map(|(exit, dir)| Printed { exit, log: read(&dir, "log"), err: read(&dir, "err") })
        .collect()
}

/// Runs a command with and without a shell.
fn both(command: &str) -> [Printed; 2] {
    let printed = run(&[command, &format!("{command};")], &[]);
    printed.try_into().unwrap()
}

#[test]
fn simple_command_has_no_shell_and_others_have_bash() {
    let (in_list, with_variable) = (format!("{PARENT};"), format!("A=1 {PARENT}"));
    let printed = run(&[PARENT, &in_list, &with_variable], &[]);
    let parents: Vec<&str> = printed.iter().map(|printed| printed.log.trim_end()).collect();
    assert_eq!(parents, ["gjob", "bash", "bash"]);
}

#[test]
fn user_can_have_a_shell_for_all_jobs_or_for_one() {
    assert_eq!(run(&[PARENT], &["--shell", "always"])[0].log, "bash\n");
    let place = Place::new();
    let of_job = |shell: &str| format!("[[job]]\ncommands = [\"{PARENT}\"]\nshell = '{shell}'\n");
    place.file("jobs.toml", &(of_job("always") + &of_job("auto")));
    let ran = place.gjob(&["run", "jobs.toml", "-j", "1", "--show", "all"]).output();
    assert_eq!(ran.code, 0, "{ran:?}");
    let mut parents: Vec<&str> = ran.stdout.split_whitespace().collect();
    parents.retain(|word| ["bash", "gjob"].contains(word));
    assert_eq!(parents, ["bash", "gjob"], "{ran:?}");
}

#[test]
fn what_the_job_says_to_bash_is_heard() {
    let place = Place::new();
    let start_up = place.file("start-up", "echo started\n");
    let variable = format!("BASH_ENV={}", start_up.display());
    assert_eq!(run(&["ls .job"], &["--env", &variable])[0].log, "started\n.job\n");
}

#[test]
fn environment_is_the_one_that_bash_makes() {
    let own = ["GJOB_ID=", "GJOB_INDEX=", "GJOB_DIR=", "PWD="];
    let printed = both("env");
    let [direct, by_bash] = printed.each_ref().map(|printed| {
        let lines = printed.log.lines();
        let mut lines: Vec<&str> =
            lines.filter(|line| !own.iter().any(|name| line.starts_with(name))).collect();
        lines.sort_unstable();
        lines
    });
    assert_eq!(direct, by_bash);
    let [direct, by_bash] =
        both("sh -c 'pwd -P | tail -c 2; cd -P . && test \"$PWD\" = \"$OLDPWD\"'");
    assert_eq!((direct.exit, &direct.log[..]), (0, "1\n"));
    assert_eq!((by_bash.exit, &by_bash.log[..]), (0, "2\n"));
}

#[test]
fn end_by_a_signal_is_told_as_bash_tells_it() {
    for (signal, exit) in [("SEGV", 139), ("KILL", 137), ("TERM", 143), ("INT", 130), ("PIPE", 141)]
    {
        let [direct, by_bash] = both(&format!("sh -c 'ulimit -c 0; kill -{signal} $$'"));
        assert_eq!((direct.exit, by_bash.exit), (exit, exit), "{direct:?} {by_bash:?}");
        let without_pid = |printed: &Printed| {
            let words = printed.err.split_ascii_whitespace();
            let words = words.filter(|word| word.parse::<u32>().is_err());
            words.map(|word| word.trim_end_matches(';')).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(without_pid(&direct), without_pid(&by_bash));
    }
}

#[test]
fn what_cannot_be_executed_is_named_as_bash_names_it() {
    let place = Place::new();
    let data = place.file("data", "1,2\n");
    let script = place.file("script", "echo from a script; exit 5\n");
    let bad = place.file("bad", "#!/no/such/interpreter\n");
    for (path, mode) in [(&data, 0o600), (&script, 0o700), (&bad, 0o700)] {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    let commands = [
        ("no-such-program 1".to_owned(), 127),
        (format!("{} 1", data.display()), 126),
        (format!("{}/missing", place.path("").display()), 127),
        (bad.display().to_string(), 127),
        // Without an interpreter it is bash that runs it.
        (script.display().to_string(), 5),
    ];
    for (command, exit) in commands {
        let [direct, by_bash] = both(&command);
        assert_eq!((direct.exit, by_bash.exit), (exit, exit), "{command}: {direct:?}");
        assert_eq!((direct.log, direct.err), (by_bash.log, by_bash.err));
    }
}

/// A program that leads no process group can begin a session of its own, in its own process.
#[test]
fn command_may_leave_its_process_group_as_under_a_shell() {
    let [direct, by_bash] = both("setsid sh -c 'echo in a session; exit 4'");
    assert_eq!((direct.exit, by_bash.exit), (4, 4), "{direct:?} {by_bash:?}");
    assert_eq!((direct.log, direct.err), (by_bash.log, by_bash.err));
    let python = "python3 -c 'import os; os.setsid(); print(os.getpid() == os.getsid(0))'";
    let [direct, by_bash] = both(python);
    assert_eq!((&direct.log[..], &by_bash.log[..]), ("True\n", "True\n"), "{direct:?}");
}

#[test]
fn command_that_kills_its_parent_or_its_group_ends_its_job_and_no_other() {
    for kill in ["kill -9 $PPID; sleep 60", "kill $PPID; sleep 60", "kill -9 0", "kill 0"] {
        let [direct, by_bash] = both(&format!("sh -c '{kill}'"));
        assert_eq!((direct.exit, &direct.err), (by_bash.exit, &by_bash.err), "{kill}");
    }
    let place = Place::new();
    let jobs = "sh -c 'kill -9 $PPID; sleep 60'\necho 1\nsh -c 'kill 0'\necho 2\necho 3\n";
    place.file("jobs.txt", jobs);
    let ran = place.gjob(&["run", "jobs.txt", "-j", "1", "--retries", "0"]).output();
    assert_eq!(ran.code, 1, "{ran:?}");
    assert_eq!(place.of_jobs("state"), ["error", "done", "error", "done", "done"]);
}

#[test]
fn what_a_command_leaves_behind_is_ended_and_the_next_job_runs() {
    let place = Place::new();
    let pids = place.path("pids");
    let leave = format!("sh -c '(setsid sleep 300 & echo $! >> {}) > log2'", pids.display());
    place.file("jobs.txt", &format!("{leave}\necho next\n{leave}\necho last\n"));
    let ran = place.gjob(&["run", "jobs.txt", "-j", "1"]).output();
    assert_eq!(ran.code, 0, "{ran:?}");
    let pids = std::fs::read_to_string(pids).unwrap();
    assert_eq!(pids.lines().count(), 2);
    assert!(pids.lines().all(|pid| !Path::new("/proc").join(pid).exists()), "{pids}");
}

#[test]
fn signals_to_parent_or_group_have_the_effect_that_they_have_on_bash() {
    let python = |act: &str| {
        format!(
            "python3 -c 'import os, signal as s; \
             s.signal(s.SIGINT, s.SIG_IGN); s.signal(s.SIGQUIT, s.SIG_IGN); s.signal(s.SIGPIPE, s.SIG_IGN); \
             {act}; print(\"survived\", flush=True); os._exit(7)'"
        )
    };
    for (act, survives) in [
        ("os.kill(0, s.SIGINT)", true),
        ("os.kill(0, s.SIGQUIT)", true),
        ("os.kill(os.getppid(), s.SIGINT)", true),
        ("os.kill(os.getppid(), s.SIGQUIT)", true),
        ("os.kill(os.getppid(), s.SIGPIPE); s.pause()", false),
    ] {
        let [direct, by_bash] = both(&python(act));
        assert_eq!(direct, by_bash, "{act}");
        assert_eq!(direct.exit == 7, survives, "{act}: {direct:?}");
    }
    // Without a handler it ends both.
    let [direct, by_bash] = both(
        "python3 -c 'import os, signal as s; s.signal(s.SIGINT, s.SIG_DFL); os.kill(0, s.SIGINT)'",
    );
    assert_eq!((direct.exit, &direct.err), (by_bash.exit, &by_bash.err));
}

#[test]
fn command_has_the_lock_of_its_own_job_and_of_no_other() {
    let place = Place::new();
    let list = "ls -l /proc/self/fd";
    place.file("jobs.txt", &format!("{list}\n").repeat(3));
    let ran = place.gjob(&["run", "jobs.txt", "-j", "1", "--show", "all"]).output();
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(ran.stdout.matches("/.lock").count(), 3, "{ran:?}");
}

#[test]
fn program_that_is_no_file_is_left_to_bash_and_holds_nothing_up() {
    let place = Place::new();
    let fifo = place.path("fifo");
    let made = std::process::Command::new("mkfifo").args(["-m", "700"]).arg(&fifo).status();
    assert!(made.unwrap().success());
    // Bash waits until somebody writes to it.
    place.file("jobs.txt", &format!("{}\necho after\n", fifo.display()));
    let args = ["run", "jobs.txt", "-j", "1", "--timeout", "1", "--retries", "0"];
    let ran = place.gjob(&args).output();
    assert_eq!(ran.code, 1, "{ran:?}");
    assert_eq!(place.of_jobs("state"), ["error", "done"]);
}
