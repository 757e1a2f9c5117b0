//! The user's own ssh, as the user has it, plus what a pipe needs.

use std::ffi::OsString;
use std::path::Path;

use gjob_core::HostEntry;
use tokio::process::Command;

/// What every ssh of ours is given: no terminal, no questions, no waiting for
/// ever, no sharing of connections, no forwardings.
const OPTIONS: [&str; 6] = [
    "BatchMode=yes",
    "ConnectTimeout=10",
    "ServerAliveInterval=15",
    "ServerAliveCountMax=3",
    "ControlPath=none",
    "ClearAllForwardings=yes",
];

/// Which ssh: `$GJOB_SSH`, else `ssh` on the PATH.
pub(crate) fn program() -> OsString {
    std::env::var_os("GJOB_SSH").filter(|named| !named.is_empty()).unwrap_or_else(|| "ssh".into())
}

/// The options of every ssh and scp of ours.
pub(crate) fn options(config_file: Option<&Path>) -> Vec<OsString> {
    let mut options: Vec<OsString> = Vec::new();
    for option in OPTIONS {
        options.extend(["-o".into(), option.into()]);
    }
    if let Some(file) = config_file {
        options.extend(["-F".into(), file.into()]);
    }
    options
}

/// ssh to `entry`, with a shell at the far end whatever the login shell is.
pub(super) fn command(program: OsString, config_file: Option<&Path>, entry: &HostEntry) -> Command {
    let mut command = Command::new(program);
    command.arg("-T").args(options(config_file));
    if let Some(port) = entry.port {
        command.arg("-p").arg(port.to_string());
    }
    command.args(["--", &entry.destination(), "exec /bin/sh"]);
    // A jump host's ssh is given its own configuration, not our BatchMode: a
    // question of its must fail, not wait for a terminal it can't read from.
    command.env("SSH_ASKPASS", "false");
    command.env("SSH_ASKPASS_REQUIRE", "force");
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argv(entry: &HostEntry, config_file: Option<&Path>) -> Vec<String> {
        let command = command("ssh".into(), config_file, entry);
        let command = command.as_std();
        std::iter::once(command.get_program())
            .chain(command.get_args())
            .map(|part| part.to_string_lossy().into_owned())
            .collect()
    }

    fn entry(name: &str) -> HostEntry {
        HostEntry { name: name.to_owned(), ..HostEntry::local() }
    }

    #[test]
    fn ssh_is_called_as_the_user_has_it_plus_what_a_pipe_needs() {
        assert_eq!(
            argv(&entry("node1"), None).join(" "),
            "ssh -T -o BatchMode=yes -o ConnectTimeout=10 -o ServerAliveInterval=15 \
             -o ServerAliveCountMax=3 -o ControlPath=none -o ClearAllForwardings=yes \
             -- node1 exec /bin/sh"
        );
    }

    #[test]
    fn a_config_file_a_port_and_a_user_are_passed_on() {
        let entry =
            HostEntry { user: Some("alice".to_owned()), port: Some(2222), ..entry("node1") };
        let argv = argv(&entry, Some(Path::new("/my config")));
        assert_eq!(
            argv[14..],
            ["-F", "/my config", "-p", "2222", "--", "alice@node1", "exec /bin/sh"]
        );
    }
}
