//! What another user could have made is not used.

use std::fs::{Permissions, create_dir_all, set_permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use gjob_agent::local;

use crate::driver::{Agent, Bed, launch};

/// A user who runs nothing here.
const SOMEBODY: u32 = 61001;

/// A bed that others can reach; none without root, who alone can give files away.
fn open_bed() -> Option<Bed> {
    if !rustix::process::geteuid().is_root() {
        gjob_testbed::skip("only root can make files of another user");
        return None;
    }
    let bed = Bed::new();
    set_mode(bed.path(), 0o755);
    Some(bed)
}

fn set_mode(path: &Path, mode: u32) {
    set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn make(path: PathBuf, owner: u32, mode: u32) -> PathBuf {
    create_dir_all(&path).unwrap();
    chown(&path, Some(owner), Some(owner)).unwrap();
    set_mode(&path, mode);
    path
}

/// Why an attachment fails.
fn refusal(bed: &Bed) -> String {
    let mut agent = Agent::start(bed);
    agent.send(&bed.attach_message(1, 0, 1));
    let (reason, permanent) = agent.fault();
    assert!(permanent, "{reason}");
    reason
}

#[test]
fn results_directory_that_another_user_could_change_is_refused() {
    for (below, owner, mode, why) in [
        ("", SOMEBODY, 0o755, "it belongs to user 61001"),
        ("", SOMEBODY, 0o1777, "it belongs to user 61001"),
        ("", 0, 0o777, "other users can write to it"),
        (".gjob", SOMEBODY, 0o700, "it belongs to user 61001"),
        (".gjob", 0, 0o1777, "other users can write to it"),
        (".gjob/blobs", SOMEBODY, 0o755, "it belongs to user 61001"),
        (".gjob/runs/2026-11-22-1", SOMEBODY, 0o755, "it belongs to user 61001"),
    ] {
        let Some(bed) = open_bed() else { return };
        create_dir_all(bed.results()).unwrap();
        set_mode(&bed.results(), 0o755);
        let path = make(bed.results().join(below), owner, mode);
        let path = path.canonicalize().unwrap();
        let expected =
            format!("failed to attach to the run: use directory {}: {why}", path.display());
        assert_eq!(refusal(&bed), expected);
    }
}

#[test]
fn results_directory_in_one_that_another_user_could_change_is_refused() {
    for (owner, mode) in [(SOMEBODY, 0o755), (0, 0o777), (SOMEBODY, 0o1777), (SOMEBODY, 0o2775)] {
        let Some(bed) = open_bed() else { return };
        make(bed.results(), 0, 0o755);
        make(bed.path().to_owned(), owner, mode);
        let reason = refusal(&bed);
        assert!(reason.contains(&format!("use directory {}: ", bed.path().display())), "{reason}");
    }
}

#[test]
fn results_directory_that_a_group_can_write_to_is_refused() {
    let Some(bed) = open_bed() else { return };
    let results = make(bed.results(), 0, 0o2775);
    chown(&results, None, Some(SOMEBODY)).unwrap();
    set_mode(&results, 0o2775);
    let reason = refusal(&bed);
    assert!(reason.ends_with("its group can write to it"), "{reason}");
}

#[test]
fn sticky_directory_of_roots_and_one_that_others_cannot_reach_are_used() {
    for (above, mode) in [(0o755, 0o1777), (0o1777, 0o755), (0o700, 0o777)] {
        let Some(bed) = open_bed() else { return };
        make(bed.results(), 0, mode);
        set_mode(bed.path(), above);
        assert!(bed.attach(1, 0, 1).run(launch(0, "true")).is_success());
    }
}

#[test]
fn symlink_to_what_another_user_could_change_is_refused() {
    let Some(bed) = open_bed() else { return };
    let target = make(bed.path().join("target"), SOMEBODY, 0o755);
    std::os::unix::fs::symlink(&target, bed.results()).unwrap();
    let reason = refusal(&bed);
    assert!(
        reason.ends_with(&format!("{}: it belongs to user 61001", target.display())),
        "{reason}"
    );
}

/// A process that any signal would end.
struct Bystander(Child);

impl Bystander {
    fn new() -> Self {
        Bystander(Command::new("sleep").arg("300").spawn().unwrap())
    }

    fn is_untouched(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }

    /// The `.lock` or `.pid` that names it.
    fn named(&self) -> String {
        let pid = self.0.id();
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let start = stat.rsplit(") ").next().unwrap().split(' ').nth(19).unwrap();
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        let it = format!("{{\"boot_id\":\"{}\",\"pid\":{pid},\"start\":{start}}}", boot.trim());
        format!(
            "{{\"version\":4,\"slot\":{it},\"job\":{it},\"number\":1,\"started\":1,\
             \"machine\":{{\"id\":\"\",\"pids\":0}}}}\n"
        )
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn order_by_hand_in_another_users_directory_is_refused() {
    for (dir_owner, file_owner) in [(SOMEBODY, SOMEBODY), (0, SOMEBODY)] {
        let Some(bed) = open_bed() else { return };
        let mut bystander = Bystander::new();
        let dir = make(bed.path().join("host/2026-11-25-1"), dir_owner, 0o755);
        for name in [".lock", ".pid", ".cmds"] {
            std::fs::write(dir.join(name), bystander.named()).unwrap();
            chown(dir.join(name), Some(file_owner), None).unwrap();
        }
        let kill = local::kill(&dir, Duration::ZERO);
        for refused in [kill, local::pause(&dir), local::unpause(&dir)] {
            let error = refused.unwrap_err().to_string();
            assert!(error.ends_with("it belongs to user 61001"), "{error}");
        }
        let options =
            local::StartOptions { name: None, timeout: None, program: crate::driver::program() };
        let error = local::start(&dir, &options).unwrap_err().to_string();
        assert!(error.ends_with("it belongs to user 61001"), "{error}");
        assert!(bystander.is_untouched());
    }
}
