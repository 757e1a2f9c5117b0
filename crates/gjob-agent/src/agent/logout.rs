//! Whether a host ends jobs when their connection ends, by what systemd's logind is told.
//! What it does then, logind.conf(5) and loginctl(1) say:
//!
//! - A login is a session with a scope, `session-N.scope`. At its end the scope's processes
//!   are killed if `KillUserProcesses` says so, with exceptions for users. Lingering does not
//!   change that.
//! - What runs in the user's own manager, `user@UID.service`, ends with the user's last
//!   session, unless the user lingers.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Where settings are, the first ones before the others of the same name.
const DIRS: [&str; 4] = ["etc/systemd", "run/systemd", "usr/local/lib/systemd", "usr/lib/systemd"];

/// The user who logs in.
struct User {
    id: u32,
    name: String,
}

/// True where processes of this login end with it.
pub(super) fn kills_at_logout() -> bool {
    kills(Path::new("/"), &User::of_this_process(), &read("/proc/self/cgroup"))
}

fn kills(root: &Path, user: &User, cgroup: &str) -> bool {
    let is_in = |begin: &str, end: &str| {
        let parts = cgroup.lines().flat_map(|line| line.split('/'));
        parts.into_iter().any(|part| part.starts_with(begin) && part.ends_with(end))
    };
    // The user's manager has scopes of its own, within its service.
    if is_in(&format!("user@{}.service", user.id), "") {
        return !root.join("var/lib/systemd/linger").join(&user.name).exists();
    }
    is_in("session-", ".scope") && Settings::read(root).kills(&user.name)
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

impl User {
    /// A user that no file lists, as of a directory service, has the name of the login.
    fn of_this_process() -> Self {
        let id = rustix::process::getuid().as_raw();
        let passwd = read("/etc/passwd");
        let name = passwd.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)?.parse() == Ok(id)).then(|| name.to_owned())
        });
        let of_login = || std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
        User { id, name: name.or_else(|| of_login().ok()).unwrap_or_default() }
    }
}

/// logind's settings about users that log out.
#[derive(Debug, Default)]
struct Settings {
    kills: Option<bool>,
    /// What this systemd was built with, as its own file says in a comment.
    built_in: Option<bool>,
    only: Vec<String>,
    except: Option<Vec<String>>,
}

impl Settings {
    fn read(root: &Path) -> Self {
        let mut settings = Settings::default();
        let dirs = || DIRS.iter().map(|dir| root.join(dir));
        let own = dirs().map(|dir| dir.join("logind.conf")).find(|path| path.exists());
        settings.add(&own.map(read).unwrap_or_default());
        // By name, wherever they are; of several with one name the first counts.
        let mut drop_ins: BTreeMap<String, PathBuf> = BTreeMap::new();
        for dir in dirs() {
            for file in fs::read_dir(dir.join("logind.conf.d")).into_iter().flatten().flatten() {
                let name = file.file_name().to_string_lossy().into_owned();
                if name.ends_with(".conf") {
                    drop_ins.entry(name).or_insert_with(|| file.path());
                }
            }
        }
        drop_ins.values().for_each(|path| settings.add(&read(path)));
        settings
    }

    /// Adds what a file says: the last word counts, lists grow.
    fn add(&mut self, text: &str) {
        let mut is_login = true;
        for line in text.lines().map(str::trim) {
            if line.starts_with('[') {
                is_login = line == "[Login]";
            }
            let (is_comment, line) = match line.strip_prefix(['#', ';']) {
                Some(comment) => (true, comment.trim()),
                None => (false, line),
            };
            let Some((name, value)) = line.split_once('=').filter(|_| is_login) else { continue };
            let (name, value) = (name.trim(), value.trim());
            match (name, is_comment) {
                ("KillUserProcesses", true) => self.built_in = truth(value).or(self.built_in),
                ("KillUserProcesses", false) => self.kills = truth(value).or(self.kills),
                ("KillOnlyUsers", false) => extend(&mut self.only, value),
                ("KillExcludeUsers", false) => {
                    extend(self.except.get_or_insert_default(), value);
                }
                _ => {}
            }
        }
    }

    fn kills(&self, user: &str) -> bool {
        let root = || vec!["root".to_owned()];
        if self.except.clone().unwrap_or_else(root).iter().any(|name| name == user) {
            return false;
        }
        match self.only.as_slice() {
            [] => self.kills.or(self.built_in).unwrap_or(false),
            only => only.iter().any(|name| name == user),
        }
    }
}

/// A value that is neither is no setting.
fn truth(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "1" | "yes" | "y" | "true" | "t" | "on" => Some(true),
        "0" | "no" | "n" | "false" | "f" | "off" => Some(false),
        _ => None,
    }
}

/// An empty value begins a list anew.
fn extend(list: &mut Vec<String>, value: &str) {
    if value.is_empty() {
        list.clear();
    }
    list.extend(value.split_whitespace().map(str::to_owned));
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: &str = "0::/user.slice/user-1000.slice/session-3.scope\n";

    /// Whether these files let ann's login kill.
    fn kills_with(files: &[(&str, &str)], cgroup: &str) -> bool {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        kills(root.path(), &User { id: 1000, name: "ann".to_owned() }, cgroup)
    }

    fn kills_by(text: &str) -> bool {
        kills_with(&[("etc/systemd/logind.conf", text)], SESSION)
    }

    #[test]
    fn last_valid_setting_counts_and_a_comment_is_what_was_built_in() {
        assert!(!kills_by(""));
        assert!(!kills_by("[Login]\n#KillUserProcesses=no\n"));
        assert!(kills_by("[Login]\n#KillUserProcesses=yes\n"));
        assert!(!kills_by("[Login]\n#KillUserProcesses=yes\nKillUserProcesses=off\n"));
        assert!(kills_by("[Login]\nKillUserProcesses=no\n KillUserProcesses = Y \n"));
        assert!(kills_by("[Login]\nKillUserProcesses=yes\nKillUserProcesses=maybe\n"));
        assert!(!kills_by("[Other]\nKillUserProcesses=yes\n"));
    }

    #[test]
    fn users_are_excepted_or_named() {
        assert!(!kills_by("KillUserProcesses=yes\nKillExcludeUsers=bob ann\n"));
        assert!(!kills_by("KillUserProcesses=yes\nKillOnlyUsers=bob\n"));
        assert!(kills_by("KillUserProcesses=no\nKillOnlyUsers=bob\nKillOnlyUsers=ann\n"));
        assert!(kills_by("KillUserProcesses=yes\nKillExcludeUsers=ann\nKillExcludeUsers=\n"));
        let mut settings = Settings::default();
        settings.add("KillUserProcesses=yes\n");
        assert!(!settings.kills("root"), "root is excepted unless others are");
        settings.add("KillExcludeUsers=ann\n");
        assert!(settings.kills("root"));
    }

    #[test]
    fn drop_ins_are_read_by_name_and_the_first_directory_counts() {
        let no = ("etc/systemd/logind.conf", "KillUserProcesses=no");
        let yes = "[Login]\nKillUserProcesses=yes\n";
        assert!(kills_with(&[no, ("usr/lib/systemd/logind.conf.d/9.conf", yes)], SESSION));
        assert!(!kills_with(&[no, ("etc/systemd/logind.conf.d/9.conf.bak", yes)], SESSION));
        let masked = ("etc/systemd/logind.conf.d/9.conf", "");
        assert!(!kills_with(&[no, masked, ("run/systemd/logind.conf.d/9.conf", yes)], SESSION));
        assert!(kills_with(&[("usr/lib/systemd/logind.conf", yes)], SESSION));
    }

    #[test]
    fn lingering_helps_what_is_in_the_users_manager_and_no_session() {
        let linger = ("var/lib/systemd/linger/ann", "");
        let yes = ("etc/systemd/logind.conf", "KillUserProcesses=yes\n");
        assert!(kills_with(&[yes, linger], SESSION));
        let own = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/run-r1.scope\n";
        assert!(!kills_with(&[yes, linger], own));
        assert!(kills_with(&[], own));
        // No session of logind: sshd without PAM, or no systemd.
        assert!(!kills_with(&[yes], "0::/system.slice/ssh.service\n"));
        let v1 = "2:cpu:/\n1:name=systemd:/user.slice/user-1000.slice/session-c1.scope\n";
        assert!(kills_with(&[yes], v1));
    }
}
