//! The system's sshd: where it is, and the configuration it gets.
//!
//! Starting and ending it is done by the hosts, each kind in its own way.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::geteuid;

use crate::process::{BED_MARK, HOST_MARK};
use crate::tools::find_program;

/// Where the sftp server is, by distribution.
const SFTP_SERVERS: [&str; 4] = [
    "/usr/lib/openssh/sftp-server",
    "/usr/libexec/openssh/sftp-server",
    "/usr/libexec/sftp-server",
    "/usr/lib/ssh/sftp-server",
];

/// An installed sshd, ready to be started by this user.
pub(crate) struct Sshd {
    pub(crate) program: PathBuf,
    /// OpenSSH 9.8 began to make clients that fail too often wait.
    has_penalties: bool,
}

impl Sshd {
    pub(crate) fn find() -> Self {
        let program =
            find_program("sshd").expect("openssh-server is not installed: run `make deps`");
        for client in ["ssh", "ssh-keygen"] {
            assert!(
                find_program(client).is_some(),
                "openssh-client is not installed: run `make deps`"
            );
        }
        if geteuid().is_root() {
            // Before a login root's sshd locks itself up in this empty directory,
            // which the system's own sshd would have made when it starts.
            fs::create_dir_all("/run/sshd").expect("root can make /run/sshd");
        }
        let has_penalties = version(&program).is_some_and(|version| version >= (9, 8));
        Self { program, has_penalties }
    }

    /// The `sshd_config` of the host `alias` of `bed`, whose files are in `dir`.
    pub(crate) fn config(&self, bed: &Path, alias: &str, dir: &Path, extra: &[String]) -> String {
        let (bed, dir) = (bed.display(), dir.display());
        // A directory without start-up files: those in the host's own home are
        // read by its login shell, not by the one that starts `enter`.
        let marks = format!("HOME={dir} {BED_MARK}={bed} {HOST_MARK}={alias}");
        let mut lines = vec![
            format!("HostKey {dir}/host_key"),
            format!("AuthorizedKeysFile {dir}/authorized_keys"),
            format!("ForceCommand {dir}/enter"),
            format!("SetEnv {marks}"),
            "LogLevel VERBOSE".to_owned(),
            "PermitRootLogin prohibit-password".to_owned(),
            "PasswordAuthentication no".to_owned(),
            "KbdInteractiveAuthentication no".to_owned(),
            "UsePAM no".to_owned(),
            "UseDNS no".to_owned(),
            "StrictModes no".to_owned(),
            "PrintMotd no".to_owned(),
        ];
        if let Some(server) = SFTP_SERVERS.iter().find(|server| Path::new(server).exists()) {
            lines.push(format!("Subsystem sftp {server}"));
        }
        if self.has_penalties {
            lines.push("PerSourcePenalties no".to_owned());
        }
        lines.extend_from_slice(extra);
        lines.join("\n") + "\n"
    }
}

/// Old ones take `-V` for a mistake, and print their version all the same.
fn version(program: &Path) -> Option<(u32, u32)> {
    let output = Command::new(program).arg("-V").output().ok()?;
    parse_version(&String::from_utf8_lossy(&output.stderr))
}

fn parse_version(text: &str) -> Option<(u32, u32)> {
    let (_, rest) = text.split_once("OpenSSH_")?;
    let mut numbers = rest.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_with_and_without_a_complaint() {
        assert_eq!(parse_version("OpenSSH_9.2p1 Debian-2, OpenSSL 3"), Some((9, 2)));
        let old = "unknown option -- V\nOpenSSH_8.4p1, OpenSSL 1.1.1\nusage: sshd\n";
        assert_eq!(parse_version(old), Some((8, 4)));
        assert_eq!(parse_version("dropbear"), None);
    }
}
