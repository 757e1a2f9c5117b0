//! `gjob remote`: the original's commands for jobs on other machines, over a real sshd.

mod support;

use gjob_testbed::Bed;
use snapbox::str;
use support::{Gjob, Place, eventually};

/// `gjob remote` with the bed's hosts, which call themselves as this machine.
fn remote(place: &Place, bed: &Bed, args: &[&str]) -> Gjob {
    let config = bed.ssh_config().display().to_string();
    place.gjob(&[&["remote"], args, &["-F", &config]].concat())
}

/// Starts a job with these commands, and gives its id.
fn start(place: &Place, bed: &Bed, commands: &str) -> String {
    let answer = remote(place, bed, &["start", "h1"]).stdin(commands).output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    answer.stdout.trim_end().to_owned()
}

fn on_h1(place: &Place, bed: &Bed, command: &str, id: &str) -> Gjob {
    assert!(id.starts_with("h1/"), "{id}");
    remote(place, bed, &[command, id])
}

fn status(place: &Place, bed: &Bed, id: &str) -> String {
    on_h1(place, bed, "status", id).output().stdout.trim_end().to_owned()
}

#[test]
fn remote_job_has_its_files_and_goes_through_its_states() {
    let (place, bed) = (Place::new(), Bed::start(1));
    place.file("data", "content\n");
    let args = ["start", "-t", "h1", "data"];
    let answer = remote(&place, &bed, &args).stdin("cat data\necho err >&2\n").output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    let (id, output) = answer.stdout.split_once('\n').unwrap();
    assert_eq!(output, "content\n");
    assert_eq!(status(&place, &bed, id), "done");
    assert!(!place.has_run());

    let failing = start(&place, &bed, "exit 3\n");
    eventually("the job has failed", || status(&place, &bed, &failing) == "error");
    let args = ["status", "-H", "h1", &failing, id];
    remote(&place, &bed, &args).stdout("error\ndone\n").run();
}

#[test]
fn remote_job_is_paused_resumed_and_killed() {
    let (place, bed) = (Place::new(), Bed::start(1));
    let id = start(&place, &bed, "sleep 300\n");
    let is_paused = |expected: &str, code: i32| {
        on_h1(&place, &bed, "is-paused", &id).code(code).stdout(expected.to_owned()).run();
    };
    is_paused("false\n", 1);
    on_h1(&place, &bed, "pause", &id).run();
    is_paused("true\n", 0);
    on_h1(&place, &bed, "unpause", &id).run();
    is_paused("false\n", 1);
    on_h1(&place, &bed, "kill", &id).run();
    assert_eq!(status(&place, &bed, &id), "error");
    on_h1(&place, &bed, "kill", &id)
        .code(1)
        .stderr(str![[r#"
gjob: the job in [PLACE]/results/[HOST]/[DATE]-1 is not running: it is error

"#]])
        .run();
}

#[test]
fn commands_run_in_the_jobs_directory_until_one_fails_and_their_status_is_passed_on() {
    let (place, bed) = (Place::new(), Bed::start(1));
    let id = start(&place, &bed, "echo out > result\n");
    eventually("the job is done", || status(&place, &bed, &id) == "done");
    let cmd = |commands: &str| on_h1(&place, &bed, "cmd", &id).stdin(commands);
    cmd("cat result\nx='a b'\necho \"$x\"\n").stdout("out\na b\n").run();
    cmd("echo one\n(exit 7)\necho two\n").code(7).stdout("one\n").run();
    let missing = id.replace("-1", "-99");
    let answer = on_h1(&place, &bed, "cmd", &missing).stdin("echo never\n").output();
    assert_ne!(answer.code, 0);
    assert_eq!(answer.stdout, "");
}

#[test]
fn interactive_shell_is_in_the_jobs_directory_on_a_terminal() {
    let (place, bed) = (Place::new(), Bed::start(1));
    let id = start(&place, &bed, "echo out > result\n");
    eventually("the job is done", || status(&place, &bed, &id) == "done");
    let args = ["cmd", "-i", "-H", "h1", &id];
    let answer = remote(&place, &bed, &args).stdin("tty; cat result; exit 5\n").output();
    assert_eq!(answer.code, 5, "{answer:?}");
    assert!(answer.stdout.contains("/dev/pts/") && answer.stdout.contains("out"), "{answer:?}");
}

#[test]
fn worker_of_a_cluster_file_gets_the_job_and_its_id_names_its_host() {
    let (place, bed) = (Place::new(), Bed::start(2));
    place.file("cluster", "h1\nh2\n");
    let answer = remote(&place, &bed, &["start", "-c", "cluster"]).stdin("true\n").output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    // The first line is the management node, which runs no jobs.
    assert_eq!((bed.host(1).logins(), bed.host(2).logins()), (0, 1));

    // Where ssh calls a host as it calls itself, the id on the host is enough.
    let id = answer.stdout.trim_end().strip_prefix("h2/").unwrap();
    let (hostname, _) = id.split_once('/').unwrap();
    let config = std::fs::read_to_string(bed.ssh_config()).unwrap();
    let config = config.replace("Host h2\n", &format!("Host h2 {hostname}\n"));
    let path = place.file("ssh_config", &config).display().to_string();
    eventually("the job is done", || {
        place.gjob(&["remote", "status", "-F", &path, id]).output().stdout == "done\n"
    });
}

#[test]
fn host_that_cannot_be_reached_and_what_is_no_id_are_refused() {
    let (place, bed) = (Place::new(), Bed::start(1));
    let answer = remote(&place, &bed, &["status", "nowhere/2026-11-22-1"]).output();
    assert_eq!(answer.code, 1, "{}", answer.stderr);
    assert!(answer.stderr.contains("nowhere"), "{}", answer.stderr);
    remote(&place, &bed, &["kill", "h1"])
        .code(2)
        .stderr(str![[r#"
gjob: invalid job id "h1": expected HOSTNAME/DATE-N

"#]])
        .run();
    remote(&place, &bed, &["start", "a;b"]).stdin("true\n").code(2).stderr(str![[r#"
gjob: host list, item 1: invalid host name "a;b": expected up to 200 letters, digits and -._, not starting with a dash

"#]]).run();
    remote(&place, &bed, &["status", "-H", "h1", "elsewhere/h1/2026-11-22-1"])
        .code(1)
        .stderr(str![[r#"
gjob: read the state of the job in [PLACE]/results/h1/[DATE]-1: No such file or directory (os error 2)

"#]])
        .run();
}

#[test]
fn remote_cmd_runs_in_the_directory_of_the_job_whatever_connects() {
    let (place, bed) = (Place::new(), Bed::start(1));
    let id = start(&place, &bed, "true\n");
    // ssh hands one line to a shell there, the other one words to a program.
    let over_ssh = format!("ssh -F {} {{host}}", bed.ssh_config().display());
    let as_words = "env -u NOTHING".to_owned();
    for connect in [over_ssh.clone(), as_words] {
        let args = ["remote", "cmd", "--connect", &connect, "-H", "h1", &id];
        let script = "pwd\ntest -e .done && echo 'it is \"here\"'\nfalse\necho never";
        let answer = place.gjob(&args).stdin(script).output();
        let lines: Vec<&str> = answer.stdout.lines().collect();
        assert!(lines[0].ends_with(id.strip_prefix("h1").unwrap()), "{connect}: {answer:?}");
        assert_eq!((lines[1], lines.len()), ("it is \"here\"", 2), "{connect}: {answer:?}");
        assert_eq!(answer.code, 1);
        let args = ["remote", "cmd", "--connect", &connect, "-H", "h1", "nowhere/2001-01-01-1"];
        let answer = place.gjob(&args).stdin("echo never\n").output();
        assert_eq!(answer.stdout, "", "{connect}: {answer:?}");
        assert_ne!(answer.code, 0);
    }
    let args = ["remote", "cmd", "-i", "--connect", &over_ssh, "-H", "h1", &id];
    place
        .gjob(&args)
        .code(2)
        .stderr(str![[r#"
gjob: -i needs ssh or this machine: a connect command gives a pipe, not a terminal
help: without -i, commands are read from standard input

"#]])
        .run();
}
