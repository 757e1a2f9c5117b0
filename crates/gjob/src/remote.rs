//! The seed's functions over the system's `ssh` and `scp`: one command here,
//! some commands there, files copied and written there. The host `:` is this
//! machine: what would be asked of it over ssh is done without.
//!
//! They fail when the program they started fails, by its exit status, and only
//! then: words on stderr are no failure. Commands and paths are data: they
//! reach a POSIX shell as its input, whatever the login shell is.

mod job_shell;
mod run;
mod script;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use gjob_core::HostLabel;
use gjob_core::id::ParseIdError;

pub use job_shell::{JobShell, job_shell};
pub use run::RemoteError;

use crate::link::{SshConnection, learn_unknown, scp_options, ssh_options, ssh_program};

/// How the functions below are to behave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RemoteOptions {
    /// Prints each command to stderr before it runs, and what it says there.
    pub verbose: bool,
    /// ssh's configuration file, instead of the user's (`-F`).
    pub ssh_config: Option<PathBuf>,
}

/// Runs `cmd` (a program and its arguments) on this machine; gives back its
/// stdout. The seed's `CheckLocalCommand`.
///
/// # Errors
/// When it can't be started, or its exit status is not 0.
pub fn check_local_command(
    cmd: &[impl AsRef<OsStr>],
    verbose: bool,
) -> Result<Vec<u8>, RemoteError> {
    let Some((program, arguments)) = cmd.split_first() else {
        return Err(RemoteError::NoCommand);
    };
    let mut command = Command::new(program);
    command.args(arguments);
    run::run(&mut command, b"", verbose)
}

/// Runs `cmds` one after another in one POSIX shell on `host`
/// (`[USER@]NAME`), stops at the first that fails, and gives back what they
/// wrote to stdout. They read nothing from stdin. The seed's
/// `CheckRemoteCommands`; requires `ssh` on the local PATH.
///
/// # Errors
/// When the host can't be reached or the exit status is not 0.
pub fn check_remote_commands(
    host: &str,
    cmds: &[impl AsRef<str>],
    options: &RemoteOptions,
) -> Result<Vec<u8>, RemoteError> {
    let lines: Vec<&str> = cmds.iter().map(AsRef::as_ref).collect();
    let script = script::commands(&lines.join("\n"))?;
    let output = with_ssh(
        || shell_on(host, options),
        |shell| run::run(shell, script.as_bytes(), options.verbose),
    )?;
    script::behind_marker(&output)
}

/// Copies `files` into the directory `remote_path` on `host`; a relative one
/// is below the home directory there, an empty one is it. The seed's
/// `CopyLocalFilesToRemoteHost`; requires `scp` on the local PATH, and a login
/// there that prints nothing, which is scp's own condition.
///
/// # Errors
/// When a name can't be passed to scp, or its exit status is not 0.
pub fn copy_local_files_to_remote_host(
    host: &str,
    remote_path: &str,
    files: &[impl AsRef<Path>],
    options: &RemoteOptions,
) -> Result<(), RemoteError> {
    let host = checked(host)?;
    if files.is_empty() {
        return Ok(());
    }
    if host == HostLabel::LOCAL {
        return copy_here(remote_path, files, options.verbose);
    }
    let copy = || Ok(copy_there(host, remote_path, files, options));
    with_ssh(copy, |scp| run::run(scp, b"", options.verbose)).map(drop)
}

/// The scp that copies `files` to `remote_path` on `host`.
fn copy_there(
    host: &str,
    remote_path: &str,
    files: &[impl AsRef<Path>],
    options: &RemoteOptions,
) -> Command {
    let mut scp = Command::new("scp");
    scp.args(scp_options(options.ssh_config.as_deref()));
    scp.arg("-S").arg(ssh_program());
    // An old scp gives the path to the login shell. Where that could make a
    // difference only sftp will do; an scp without it refuses the option.
    if !remote_path.bytes().all(is_plain) {
        scp.arg("-s");
    }
    scp.arg("--");
    scp.args(files.iter().map(|file| local_file(file.as_ref())));
    let (name, directory) = (scp_host(host), script::directory(remote_path));
    scp.arg(format!("{name}:{directory}"));
    scp
}

/// Writes `contents` to the file `remote_path` on `host`; a relative path is
/// below the home directory there. The seed's `WriteRemoteFile`; requires
/// `ssh` on the local PATH.
///
/// # Errors
/// When the host can't be reached, or not all could be written; the file may
/// then hold a part.
pub fn write_remote_file(
    host: &str,
    remote_path: &str,
    contents: &[u8],
    options: &RemoteOptions,
) -> Result<(), RemoteError> {
    let script = script::write(remote_path, contents.len())?;
    with_ssh(
        || shell_on(host, options),
        |shell| run::converse(shell, &script, contents, options.verbose),
    )
}

/// Runs what is made anew for each try: an ssh that is too old for one of our
/// options is tried again without it.
fn with_ssh<T>(
    make: impl Fn() -> Result<Command, RemoteError>,
    run: impl Fn(&mut Command) -> Result<T, RemoteError>,
) -> Result<T, RemoteError> {
    loop {
        match run(&mut make()?) {
            Err(RemoteError::Failed { stderr, .. }) if learn_unknown(stderr.as_bytes()) => {}
            done => return done,
        }
    }
}

/// The same on this machine, by `cp`.
fn copy_here(
    directory: &str,
    files: &[impl AsRef<Path>],
    verbose: bool,
) -> Result<(), RemoteError> {
    let home = std::env::home_dir().unwrap_or_default();
    let mut cp = Command::new("cp");
    cp.arg("-t").arg(home.join(directory)).arg("--");
    cp.args(files.iter().map(AsRef::as_ref));
    run::run(&mut cp, b"", verbose).map(drop)
}

/// A shell on `host`, in the home directory there.
fn shell_on(host: &str, options: &RemoteOptions) -> Result<Command, RemoteError> {
    let host = checked(host)?;
    if host == HostLabel::LOCAL {
        let mut shell = Command::new("/bin/sh");
        shell.current_dir(std::env::home_dir().unwrap_or_else(|| "/".into()));
        return Ok(shell);
    }
    let mut ssh = Command::new(ssh_program());
    ssh.args(["-T", "-a", "-x"]);
    ssh.args(ssh_options(options.ssh_config.as_deref(), SshConnection::Own));
    ssh.args(["--", host, "exec /bin/sh"]);
    Ok(ssh)
}

/// Refuses what ssh would take for an option, or a shell for its own.
fn checked(host: &str) -> Result<&str, ParseIdError> {
    host.parse::<HostLabel>().map(|_| host)
}

/// An IPv6 address needs brackets where a path follows.
fn scp_host(host: &str) -> String {
    let (user, name) = match host.rsplit_once('@') {
        Some((user, name)) => (format!("{user}@"), name),
        None => (String::new(), host),
    };
    if name.contains(':') && !name.starts_with('[') {
        format!("{user}[{name}]")
    } else {
        format!("{user}{name}")
    }
}

/// What no shell takes for anything else than itself.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'_' | b'-' | b'+' | b',' | b'@')
}

/// A name that scp can't take for `HOST:FILE`.
fn local_file(file: &Path) -> OsString {
    if file.is_absolute() { file.into() } else { Path::new(".").join(file).into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_commands_output_is_given_back_and_words_on_stderr_are_no_failure() {
        let output = check_local_command(&["sh", "-c", "echo out; echo err >&2"], false);
        assert_eq!(output.unwrap(), b"out\n");
    }

    #[test]
    fn a_failure_carries_the_command_its_status_and_the_end_of_stderr() {
        let script = "echo first >&2; printf 'la\\033[1mst\\n' >&2; exit 3";
        let error = check_local_command(&["sh", "-c", script], false).unwrap_err();
        let message = error.to_string();
        for part in ["sh -c", "exit status: 3", "first / la [1mst"] {
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn much_output_on_both_streams_blocks_nothing() {
        let script = "head -c 300000 /dev/zero; head -c 300000 /dev/zero >&2";
        let output = check_local_command(&["sh", "-c", script], false);
        assert_eq!(output.unwrap().len(), 300_000);
    }

    #[test]
    fn a_command_that_is_not_there_is_said_by_its_name() {
        let error = check_local_command(&["/no/such/program"], false).unwrap_err();
        assert!(error.to_string().contains("/no/such/program"), "{error}");
        assert!(check_local_command(&[""; 0], false).is_err());
    }

    #[test]
    fn hosts_that_are_options_or_shell_text_are_refused() {
        let options = RemoteOptions::default();
        for host in ["-oProxyCommand=x", "a b", "a;b", ""] {
            assert!(check_remote_commands(host, &["true"], &options).is_err());
            assert!(write_remote_file(host, "f", b"", &options).is_err());
            let copied = copy_local_files_to_remote_host(host, "", &["f"], &options);
            assert!(copied.is_err(), "{host:?}");
        }
    }

    #[test]
    fn names_that_scp_would_misread_are_made_plain() {
        assert_eq!(local_file(Path::new("a:b")), "./a:b");
        assert_eq!(local_file(Path::new("-r")), "./-r");
        assert_eq!(scp_host("u@::1"), "u@[::1]");
        assert_eq!(scp_host("node1"), "node1");
    }
}
