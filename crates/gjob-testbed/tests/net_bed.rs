//! Beds in namespaces. Passed over where they can't be had.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use gjob_testbed::{NetBed, wait_within};

const LIMIT: Duration = Duration::from_secs(10);

fn ask(bed: &NetBed, alias: &str, command: &str) -> Output {
    bed.ssh(alias).arg(command).output().unwrap()
}

fn on(bed: &NetBed, alias: &str, command: &str) -> String {
    let output = ask(bed, alias, command);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Whether a login to it goes unanswered, which ssh waits a second for.
fn is_silent(bed: &NetBed, alias: &str) -> bool {
    let mut ssh = Command::new("ssh");
    ssh.arg("-F").arg(bed.ssh_config()).args(["-o", "ConnectTimeout=1", alias, "true"]);
    let output = ssh.stdin(Stdio::null()).output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    let silent = complaint.contains("timed out");
    assert_eq!(silent, !output.status.success(), "{output:?}");
    silent
}

#[test]
fn hosts_have_names_processes_and_homes_of_their_own() {
    let Some(bed) = NetBed::start(2) else { return };
    for host in bed.hosts() {
        assert_eq!(on(&bed, host.alias(), "hostname").trim(), host.hostname());
        assert_eq!(on(&bed, host.alias(), "pwd").trim(), host.home().to_str().unwrap());
        assert!(on(&bed, host.alias(), "cat /proc/1/cmdline").starts_with("sshd"));
        assert_eq!(host.logins(), 3);
    }
    on(&bed, "h1", "setsid sleep 1000 </dev/null >/dev/null 2>&1 &");
    wait_within(LIMIT, "the detached sleep", || bed.host(1).processes().len() == 1);
    assert_eq!(bed.host(2).processes(), []);
    assert_eq!(on(&bed, "h2", "grep -lx sleep /proc/*/comm || true"), "");
}

#[test]
fn a_cut_off_host_is_silent_and_its_connections_go_on_after_it_heals() {
    let Some(bed) = NetBed::start(2) else { return };
    let mut ssh = bed
        .ssh("h1")
        .arg("read -r line; echo \"got $line\"")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    wait_within(LIMIT, "the session", || bed.host(1).processes().len() == 1);

    bed.host(1).cut_off();
    std::io::Write::write_all(&mut ssh.stdin.take().unwrap(), b"it\n").unwrap();
    assert!(is_silent(&bed, "h1"));
    assert!(!is_silent(&bed, "h2"));
    assert!(ssh.try_wait().unwrap().is_none());

    bed.host(1).heal();
    assert!(!is_silent(&bed, "h1"));
    let output = ssh.wait_with_output().unwrap();
    assert_eq!(output.stdout, b"got it\n");
}

#[test]
fn a_crashed_host_is_silent_and_boots_with_its_files_and_nothing_else() {
    let Some(bed) = NetBed::start(1) else { return };
    let host = bed.host(1);
    let boot_id = "cat /proc/sys/kernel/random/boot_id";
    let before = on(&bed, "h1", boot_id);
    let mut ssh = bed.ssh("h1").arg("echo kept >file; exec sleep 1000").spawn().unwrap();
    wait_within(LIMIT, "the file", || host.home().join("file").exists());

    host.crash();
    assert!(is_silent(&bed, "h1"));
    assert!(ssh.try_wait().unwrap().is_none(), "a crash sends no farewell");

    host.boot();
    assert_eq!(on(&bed, "h1", "cat file"), "kept\n");
    assert_eq!(host.processes(), []);
    assert_ne!(on(&bed, "h1", boot_id), before);
    ssh.kill().unwrap();
    ssh.wait().unwrap();
}

#[test]
fn connections_can_be_killed_here_too() {
    let Some(bed) = NetBed::start(1) else { return };
    let mut ssh = bed.ssh("h1").arg("exec sleep 1000").stderr(Stdio::null()).spawn().unwrap();
    wait_within(LIMIT, "the session", || bed.host(1).processes().len() == 1);
    assert!(bed.host(1).kill_connections() >= 1);
    assert_eq!(ssh.wait().unwrap().code(), Some(255));
    assert_eq!(bed.host(1).processes().len(), 1);
}

#[test]
fn nothing_is_left_of_a_dropped_bed() {
    let Some(bed) = NetBed::start(2) else { return };
    on(&bed, "h1", "setsid sleep 1000 </dev/null >/dev/null 2>&1 &");
    wait_within(LIMIT, "the detached sleep", || bed.processes().len() == 1);
    let process = bed.processes().remove(0);
    let range = bed.host(1).address().rsplit_once('.').unwrap().0.to_owned();
    let dir = bed.dir().to_owned();
    drop(bed);
    assert!(!process.is_alive());
    assert!(!dir.exists());
    let shown = Command::new("ip").args(["-o", "address"]).output().unwrap();
    let routes = Command::new("ip").args(["route", "show", "type", "unreachable"]).output();
    for output in [shown, routes.unwrap()] {
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(!text.contains(&format!("{range}.")), "{text}");
    }
}
