//! The user's own ssh, as the user has it, plus what a pipe needs.

mod words;

use std::ffi::OsString;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use gjob_core::HostEntry;
use tokio::process::Command;
use tokio::time::timeout;

pub(crate) use words::{Connection, learn_unknown};

/// How long ssh may take to find an open connection of the user's.
const LOOKUP: Duration = Duration::from_secs(5);

/// Which ssh: `$GJOB_SSH`, else `ssh` on the PATH.
pub(crate) fn program() -> OsString {
    std::env::var_os("GJOB_SSH").filter(|named| !named.is_empty()).unwrap_or_else(|| "ssh".into())
}

/// The options of an ssh that runs a command without a terminal.
pub(crate) fn session_options(config_file: Option<&Path>, connection: Connection) -> Vec<OsString> {
    with_config(words::for_session(connection), config_file)
}

/// The options of an scp.
pub(crate) fn copy_options(config_file: Option<&Path>) -> Vec<OsString> {
    with_config(words::for_copy(), config_file)
}

fn with_config(mut options: Vec<OsString>, config_file: Option<&Path>) -> Vec<OsString> {
    if let Some(file) = config_file {
        options.extend(["-F".into(), file.into()]);
    }
    options
}

/// ssh to `entry`, with a shell at the far end whatever the login shell is. It
/// says on stderr when it has logged in ([`has_logged_in`]).
pub(super) fn command(
    program: OsString,
    config_file: Option<&Path>,
    entry: &HostEntry,
    connection: Connection,
) -> Command {
    let mut command = Command::new(program);
    command.args(["-T", "-a", "-x", "-o", "LogLevel=VERBOSE"]);
    command.args(session_options(config_file, connection));
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

/// True when the user has a connection to `entry` open that others may use.
pub(crate) async fn has_master(config_file: Option<&Path>, entry: &HostEntry) -> bool {
    let mut ssh = Command::new(program());
    ssh.args(["-O", "check"]).args(with_config(Vec::new(), config_file));
    if let Some(port) = entry.port {
        ssh.arg("-p").arg(port.to_string());
    }
    ssh.args(["--", &entry.destination()]);
    ssh.stdin(Stdio::null()).kill_on_drop(true).process_group(0);
    matches!(timeout(LOOKUP, ssh.output()).await, Ok(Ok(output)) if output.status.success())
}

/// What ssh says about its progress at the level of ours; its reasons are other
/// lines.
const PROGRESS: [&[u8]; 3] = [LOGGED_IN, b"Transferred: sent ", b"Bytes per second: sent "];
const LOGGED_IN: &[u8] = b"Authenticated to ";

/// True when this stderr of ssh says that the host has accepted the login.
pub(crate) fn has_logged_in(stderr: &[u8]) -> bool {
    stderr.split(|byte| *byte == b'\n').any(|line| line.starts_with(LOGGED_IN))
}

/// `stderr` without ssh's lines about its progress.
pub(crate) fn without_progress(stderr: &[u8]) -> Vec<u8> {
    let is_progress = |line: &&[u8]| PROGRESS.iter().any(|start| line.starts_with(start));
    stderr
        .split_inclusive(|byte| *byte == b'\n')
        .filter(|line| !is_progress(line))
        .collect::<Vec<_>>()
        .concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argv(entry: &HostEntry, config_file: Option<&Path>, connection: Connection) -> String {
        let command = command("ssh".into(), config_file, entry, connection);
        let command = command.as_std();
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    fn entry(name: &str) -> HostEntry {
        HostEntry { name: name.to_owned(), ..HostEntry::local() }
    }

    #[test]
    fn ssh_is_called_as_the_user_has_it_plus_what_a_pipe_needs() {
        let argv = argv(&entry("node1"), None, Connection::Own);
        assert!(argv.starts_with("ssh -T -a -x -o LogLevel=VERBOSE -o BatchMode=yes "), "{argv}");
        for word in ["ForwardAgent=no", "RemoteCommand=none", "StdinNull=no", "ControlPath=none"] {
            assert!(argv.contains(&format!(" -o {word} ")), "{argv}");
        }
        assert!(argv.ends_with(" -- node1 exec /bin/sh"), "{argv}");
    }

    #[test]
    fn a_config_file_a_port_and_a_user_are_passed_on() {
        let entry =
            HostEntry { user: Some("alice".to_owned()), port: Some(2222), ..entry("node1") };
        let argv = argv(&entry, Some(Path::new("/my config")), Connection::Own);
        assert!(argv.ends_with(" -F /my config -p 2222 -- alice@node1 exec /bin/sh"), "{argv}");
    }

    #[test]
    fn users_connection_is_found_where_the_configuration_says() {
        let argv = argv(&entry("node1"), None, Connection::Master);
        assert!(!argv.contains("ControlPath"), "{argv}");
        assert!(argv.contains("-o ControlMaster=no "), "{argv}");
    }

    #[test]
    fn lines_about_progress_are_no_reasons() {
        let stderr = b"Unauthorized use.\nAuthenticated to h ([127.0.0.1]:22) using \"publickey\".\r\n\
            Transferred: sent 2, received 3 bytes, in 0.1 seconds\r\nBytes per second: sent 9\r\nbye\n";
        assert!(has_logged_in(stderr));
        assert!(!has_logged_in(b"root@h: Permission denied (publickey).\r\n"));
        assert_eq!(without_progress(stderr), b"Unauthorized use.\nbye\n");
    }
}
