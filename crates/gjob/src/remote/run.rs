//! Runs a program to its end, with its input, output and failure.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, ScopedJoinHandle};

use gjob_core::hosts::ConnectCommandError;
use gjob_core::id::ParseIdError;
use gjob_core::text::Shown;

use super::script;
use crate::link::last_lines;

/// Bytes of stderr that are kept of a failure.
const TAIL: usize = 8 * 1024;
/// Lines of them that are shown.
const SHOWN: usize = 5;

/// Why one of the seed's functions failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// No command was given.
    #[error("no command was given")]
    NoCommand,
    /// A host name that can't be one.
    #[error(transparent)]
    Host(#[from] ParseIdError),
    /// A terminal is only had over ssh.
    #[error(
        "-i needs ssh or this machine: a connect command gives a pipe, not a terminal\n\
         help: without -i, commands are read from standard input"
    )]
    NoTerminal,
    /// A NUL can't stand in a command or a path.
    #[error("a command or a path holds a NUL")]
    Nul,
    /// The program could not be started, or be talked to.
    #[error("cannot run {command}: {source}")]
    Io {
        /// The program and its arguments.
        command: String,
        /// Why.
        source: io::Error,
    },
    /// The program failed.
    #[error("{command}: {status}{}", behind(.stderr))]
    Failed {
        /// The program and its arguments.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// The last lines of its stderr, without control characters.
        stderr: String,
    },
    /// A connect command that does not fit its host.
    #[error(transparent)]
    Connect(#[from] ConnectCommandError),
    /// ssh succeeded without having run a shell.
    #[error("the host ran no shell: is its login shell one?")]
    NoShell,
}

fn behind(said: &str) -> String {
    match said {
        "" => String::new(),
        said => format!(": {said}"),
    }
}

/// Runs `command` with `input`; gives back its stdout.
pub(super) fn run(
    command: &mut Command,
    input: &[u8],
    verbose: bool,
) -> Result<Vec<u8>, RemoteError> {
    let mut output = Vec::new();
    talk(command, verbose, |mut child| {
        thread::scope(|scope| {
            scope.spawn(|| feed(child.stdin.take(), input));
            child.stdout.read_to_end(&mut output).map(drop)
        })
    })?;
    Ok(output)
}

/// Runs `command` with `script`, and with `contents` once the script has said
/// that it is ready: a shell may read ahead of what it runs.
pub(super) fn converse(
    command: &mut Command,
    script: &str,
    contents: &[u8],
    verbose: bool,
) -> Result<(), RemoteError> {
    talk(command, verbose, |mut child| {
        if let Some(stdin) = &mut child.stdin {
            // A shell that is gone shows in its exit status.
            let _ = stdin.write_all(script.as_bytes());
            let _ = stdin.flush();
        }
        let mut stdout = BufReader::new(child.stdout);
        let mut line = Vec::new();
        while stdout.read_until(b'\n', &mut line)? > 0 {
            if script::is_marker(&line) {
                feed(child.stdin.take(), contents);
            }
            line.clear();
        }
        Ok(())
    })
}

/// A child's ends that a conversation uses.
struct Ends {
    stdin: Option<std::process::ChildStdin>,
    stdout: std::process::ChildStdout,
}

/// Starts `command`, has `conversation` with it, and waits for its end.
fn talk(
    command: &mut Command,
    verbose: bool,
    conversation: impl FnOnce(Ends) -> io::Result<()>,
) -> Result<(), RemoteError> {
    let line = describe(command);
    let failed = |source| RemoteError::Io { command: line.clone(), source };
    if verbose {
        // Asked for; a closed stderr is no reason to fail.
        let _ = writeln!(io::stderr(), "+ {line}");
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(failed)?;
    let (stderr, talked) = thread::scope(|scope| {
        let stderr = collect_stderr(scope, &mut child, verbose);
        let talked = match child.stdout.take() {
            Some(stdout) => conversation(Ends { stdin: child.stdin.take(), stdout }),
            None => Ok(()),
        };
        (stderr.join().unwrap_or_default(), talked)
    });
    let status = child.wait().map_err(failed)?;
    talked.map_err(failed)?;
    if status.success() {
        return Ok(());
    }
    Err(RemoteError::Failed { command: line, status, stderr: last_lines(&stderr, SHOWN) })
}

/// Writes `input` and closes the pipe. A reader that does not want all of it
/// is free not to.
fn feed(stdin: Option<std::process::ChildStdin>, input: &[u8]) {
    if let Some(mut stdin) = stdin {
        let _ = stdin.write_all(input);
    }
}

/// Keeps the last of stderr, and passes it on when that is wanted.
fn collect_stderr<'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    child: &mut Child,
    verbose: bool,
) -> ScopedJoinHandle<'scope, Vec<u8>> {
    let stderr = child.stderr.take();
    scope.spawn(move || {
        let (mut tail, mut piece) = (Vec::new(), [0; 4096]);
        let Some(mut stderr) = stderr else {
            return tail;
        };
        while let Ok(count @ 1..) = stderr.read(&mut piece) {
            if verbose {
                let _ = io::stderr().write_all(&piece[..count]);
            }
            tail.extend_from_slice(&piece[..count]);
            tail.drain(..tail.len().saturating_sub(TAIL));
        }
        tail
    })
}

/// The program and its arguments, for people: without the options that every ssh
/// of ours is given.
fn describe(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy()];
    let mut arguments = command.get_args();
    while let Some(argument) = arguments.next() {
        match argument == "-o" {
            true => drop(arguments.next()),
            false => words.push(argument.to_string_lossy()),
        }
    }
    Shown::new(&words.join(" ")).into()
}
