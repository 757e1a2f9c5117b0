//! Beds on loopback, as an ordinary user has them.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use gjob_testbed::{Bed, NOWHERE, Process, STRANGER, is_installed, wait_within};

const LIMIT: Duration = Duration::from_secs(10);

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs a command over ssh that must succeed: its stdout.
fn on(bed: &Bed, alias: &str, command: &str) -> String {
    let output = bed.ssh(alias).arg(command).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    text(&output)
}

/// What ssh complains of when it fails to log in.
fn refusal(bed: &Bed, alias: &str) -> String {
    let output = bed.ssh(alias).arg("true").output().unwrap();
    assert_eq!(output.status.code(), Some(255), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Starts `sleep 1000` on a host, in an ssh that stays.
fn start_sleep(bed: &Bed, k: usize) -> Child {
    let ssh = bed.ssh(&format!("h{k}")).arg("exec sleep 1000").stderr(Stdio::null()).spawn();
    wait_within(LIMIT, "the sleep", || sleeps(bed, k).len() == 1);
    ssh.unwrap()
}

fn sleeps(bed: &Bed, k: usize) -> Vec<Process> {
    let mut processes = bed.host(k).processes();
    processes.retain(|process| process.argv() == ["sleep", "1000"]);
    processes
}

#[test]
fn a_login_is_counted_and_its_exit_status_is_the_commands() {
    let bed = Bed::start(1);
    assert_eq!(bed.host(1).logins(), 0);
    let output = bed.ssh("h1").arg("echo \"$0 is here\"; exit 7").output().unwrap();
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    assert!(text(&output).ends_with("bash is here\n"), "{output:?}");
    assert_eq!(bed.host(1).logins(), 1);
}

#[test]
fn every_host_has_a_home_of_its_own_and_sessions_begin_there() {
    let bed = Bed::start(2);
    for host in bed.hosts() {
        let home = host.home().display().to_string();
        assert_eq!(on(&bed, host.alias(), "echo $HOME; pwd"), format!("{home}\n{home}\n"));
    }
    assert_ne!(bed.host(1).home(), bed.host(2).home());
    assert_eq!(bed.host_list(), "h1,h2");
}

#[test]
fn files_are_copied_with_scp() {
    let bed = Bed::start(1);
    let file = bed.dir().join("a file");
    std::fs::write(&file, "content").unwrap();
    let mut scp = Command::new("scp");
    scp.arg("-qF").arg(bed.ssh_config()).arg(&file).arg("h1:copy");
    assert!(scp.status().unwrap().success());
    assert_eq!(std::fs::read_to_string(bed.host(1).home().join("copy")).unwrap(), "content");
}

#[test]
fn start_up_files_print_under_the_rules_of_the_login_shell() {
    let bed = Bed::builder().noise("Welcome to the lab").start();
    assert_eq!(on(&bed, "h1", "echo here"), "Welcome to the lab\nhere\n");
    bed.host(1).set_login_shell("dash");
    assert_eq!(on(&bed, "h1", "echo here"), "here\n");
    for shell in ["tcsh", "csh", "fish", "zsh"] {
        if is_installed(shell) {
            bed.host(1).set_login_shell(shell);
            assert_eq!(on(&bed, "h1", "echo here"), "Welcome to the lab\nhere\n", "{shell}");
        }
    }
}

#[test]
fn the_login_shell_parses_the_command() {
    // A shell that only says what it was given: nothing was parsed before it.
    let bed = Bed::start(1);
    let shell = bed.dir().join("shell");
    std::fs::write(&shell, "#!/bin/sh\nprintf '<%s>' \"$@\"\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(&shell, mode).unwrap();
    bed.host(1).set_login_shell(shell.to_str().unwrap());
    let command = "a 'b'  \"$c\" `d` \\e !f";
    assert_eq!(on(&bed, "h1", command), format!("<-c><{command}>"));
}

#[test]
fn refusals_are_sshs_own() {
    let bed = Bed::start(1);
    assert!(refusal(&bed, NOWHERE).contains("Could not resolve hostname"));
    assert!(refusal(&bed, STRANGER).contains("Host key verification failed"));
    bed.host(1).refuse_key();
    assert!(refusal(&bed, "h1").contains("Permission denied"));
    bed.host(1).accept_key();
    on(&bed, "h1", "true");
    bed.host(1).stop();
    assert!(refusal(&bed, "h1").contains("Connection refused"));
    bed.host(1).start();
    on(&bed, "h1", "true");
    assert_eq!(bed.host(1).logins(), 2);
}

#[test]
fn too_many_startups_are_dropped_when_told_so() {
    let bed = Bed::builder().max_startups("1").start();
    let idle = TcpStream::connect(("127.0.0.1", bed.host(1).port())).unwrap();
    wait_within(LIMIT, "the idle connection", || bed.host(1).log().contains("Connection from"));
    let complaint = refusal(&bed, "h1");
    assert!(complaint.contains("kex_exchange_identification"), "{complaint}");
    drop(idle);
}

#[test]
fn killed_connections_end_the_client_and_not_the_command() {
    let bed = Bed::start(2);
    let (mut ssh, mut other) = (start_sleep(&bed, 1), start_sleep(&bed, 2));
    assert!(bed.host(1).kill_connections() >= 1);
    assert_eq!(ssh.wait().unwrap().code(), Some(255));
    assert_eq!(sleeps(&bed, 1).len(), 1);
    assert!(bed.host(1).connections().is_empty());
    assert!(other.try_wait().unwrap().is_none());
    other.kill().unwrap();
    other.wait().unwrap();
}

#[test]
fn a_stopped_host_keeps_its_connections_and_can_still_lose_them() {
    let bed = Bed::start(1);
    let mut ssh = start_sleep(&bed, 1);
    bed.host(1).stop();
    assert!(!bed.host(1).connections().is_empty());
    assert!(ssh.try_wait().unwrap().is_none());
    bed.host(1).kill_connections();
    assert_eq!(ssh.wait().unwrap().code(), Some(255));
}

#[test]
fn nothing_is_left_of_a_dropped_bed() {
    let bed = Bed::start(2);
    let dir = bed.dir().to_owned();
    let mut ssh = start_sleep(&bed, 1);
    on(&bed, "h2", "setsid sleep 1000 </dev/null >/dev/null 2>&1 &");
    wait_within(LIMIT, "the detached sleep", || sleeps(&bed, 2).len() == 1);
    // A client that hangs: its connection would outlast the listener.
    Process::find(ssh.id()).unwrap().signal(rustix::process::Signal::STOP);
    bed.host(1).stop();
    let mut left = bed.processes();
    assert_eq!(left.len(), 2, "{left:?}");
    left.extend(bed.host(1).connections());
    let port = bed.host(2).port();

    drop(bed);
    left.retain(Process::is_alive);
    assert_eq!(left, []);
    assert!(!dir.exists());
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    ssh.kill().unwrap();
    ssh.wait().unwrap();
}

#[test]
fn nothing_is_left_of_a_killed_test() {
    let exe = std::env::current_exe().unwrap();
    let mut test = Command::new(exe)
        .args(["--ignored", "--exact", "a_test_to_be_killed", "--nocapture"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(test.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut field = |name: &str| {
        lines.find_map(|line| Some(line.split_once(name)?.1.to_owned())).expect("the bed is up")
    };
    let dir = PathBuf::from(field("dir="));
    let left = Process::find(field("pid=").parse().unwrap()).unwrap();
    test.kill().unwrap();
    test.wait().unwrap();
    wait_within(LIMIT, "the janitor", || !dir.exists());
    assert!(!left.is_alive());
}

#[test]
#[ignore = "run, and killed, by the test above"]
fn a_test_to_be_killed() {
    let bed = Bed::start(1);
    on(&bed, "h1", "setsid sleep 1000 </dev/null >/dev/null 2>&1 &");
    wait_within(LIMIT, "the detached sleep", || sleeps(&bed, 1).len() == 1);
    println!("\ndir={}\npid={}", bed.dir().display(), sleeps(&bed, 1)[0].pid());
    std::thread::sleep(Duration::from_secs(60));
}
