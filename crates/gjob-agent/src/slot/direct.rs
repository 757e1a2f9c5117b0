//! A job whose script is one simple command: its shim runs it in a shell's place, and
//! nobody can tell the difference.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use gjob_core::Ending;
use gjob_core::jobdir::OwnFile;
use gjob_core::os_text::from_os;

use super::prepare::Prepared;
use super::reap::Reaped;
use super::shim::{Begun, Descriptors, Ended, Shim, Start};
use super::simple::{SimpleCommand, is_for_bash, shell_level};

/// A job's environment.
pub(super) type Environment = BTreeMap<OsString, OsString>;

/// The most bytes that a command and its environment may have, of which the system's limit is
/// a multiple. What is larger is left to bash.
const MAX_START: usize = 64 * 1024;

/// A command that a shim runs in a shell's place.
#[derive(Debug)]
pub(super) struct Direct {
    pub(super) shim: Shim,
    /// Its pid, if that is known.
    command: Option<u32>,
    /// The job's standard error.
    err: File,
    /// The script.
    text: Vec<u8>,
    /// What it used, if the shim could not say.
    usage: Option<Reaped>,
}

/// What a script is started with that is one simple command, in the environment that it would
/// have from bash; none if it is something else.
pub(super) fn start_of(job: &Prepared, script: &[u8], environment: &Environment) -> Option<Start> {
    let path = environment.get(OsStr::new("PATH"))?;
    let SimpleCommand { program, words } = SimpleCommand::of(script, job.dir.path(), path)?;
    if environment.keys().any(|name| is_for_bash(name)) {
        return None;
    }
    let text = |text: &OsStr| from_os(text).into_owned();
    let words: Vec<String> = words.iter().map(|word| text(word)).collect();
    let level = shell_level(environment.get(OsStr::new("SHLVL")).map(OsString::as_os_str))?;
    let own = [
        ("SHLVL".to_owned(), level),
        ("PWD".to_owned(), text(job.dir.real_path()?.as_os_str())),
        ("_".to_owned(), text(program.as_os_str())),
    ];
    let old_dir = environment.get(OsStr::new("OLDPWD")).map(Path::new);
    if old_dir.is_some_and(Path::is_relative) {
        return None;
    }
    let is_kept = |name: &OsStr, value: &OsStr| name != "OLDPWD" || Path::new(value).is_dir();
    let kept = environment.iter().filter(|(name, value)| is_kept(name, value));
    let mut environment: Vec<_> = kept.map(|(name, value)| (text(name), text(value))).collect();
    environment.extend(own);
    let program = text(program.as_os_str());
    let start = Start { program, words, dir: text(job.dir.path().as_os_str()), environment };
    (start.len() <= MAX_START).then_some(start)
}

impl Direct {
    /// Has the shim start a command. Gives the shim back, if it is left, when the command is
    /// for bash after all.
    pub(super) fn begin(
        mut shim: Shim,
        start: &Start,
        job: &Prepared,
        script: &[u8],
    ) -> Result<Self, Option<Shim>> {
        let Ok(err) = job.err.try_clone() else { return Err(Some(shim)) };
        let given = Descriptors { lock: &job.lock, log: &job.log, err: &job.err };
        match shim.start(start, &given) {
            Ok(Begun::Yes { pid }) => {
                let text = script.trim_ascii().to_vec();
                Ok(Direct { shim, command: pid, err, text, usage: None })
            }
            Ok(Begun::No) => Err(Some(shim)),
            Err(_) => {
                shim.dismiss();
                Err(None)
            }
        }
    }

    /// Takes note of another process of the job that the slot has reaped: of the command
    /// itself, if its shim was ended.
    pub(super) fn note_reaped(&mut self, child: Reaped) {
        if self.command == Some(child.pid) {
            self.usage = Some(child);
        }
    }

    /// How the job has ended when its shim was: as with a shell, but that the shim has had
    /// other jobs and its use of resources says nothing.
    pub(super) fn end_of_shim(&self, shim: Reaped) -> Reaped {
        let Reaped { pid, ending, .. } = shim;
        let unknown = Reaped {
            pid,
            ending,
            user_us: 0,
            system_us: 0,
            max_rss_kib: 0,
            read_bytes: 0,
            written_bytes: 0,
        };
        Reaped { pid, ending, ..self.usage.unwrap_or(unknown) }
    }

    /// How a shell would have ended: the end of its command by a signal is an exit status to
    /// it, of which it tells on standard error; but an interrupt that has reached both ends both.
    pub(super) fn as_of_shell(&self, ended: Ended) -> Reaped {
        let Ended { child, is_interrupted, .. } = ended;
        let Ending::Signal(signal) = child.ending else { return child };
        if is_interrupted && i32::from(signal) == libc::SIGINT {
            return child;
        }
        if let Some(line) = self.message(child.pid, signal) {
            // As with what a shell writes, a full disk is no reason to fail.
            let _ = (&self.err).write_all(&line);
        }
        Reaped { ending: Ending::Exit(signal.saturating_add(128)), ..child }
    }

    /// What bash says of a signal.
    fn message(&self, pid: u32, signal: u8) -> Option<Vec<u8>> {
        let what = match i32::from(signal) {
            libc::SIGINT | libc::SIGPIPE => return None,
            libc::SIGTERM => return Some(b"Terminated\n".to_vec()),
            libc::SIGHUP => "Hangup",
            libc::SIGQUIT => "Quit",
            libc::SIGILL => "Illegal instruction",
            libc::SIGTRAP => "Trace/breakpoint trap",
            libc::SIGABRT => "Aborted",
            libc::SIGBUS => "Bus error",
            libc::SIGFPE => "Floating point exception",
            libc::SIGKILL => "Killed",
            libc::SIGUSR1 => "User defined signal 1",
            libc::SIGSEGV => "Segmentation fault",
            libc::SIGUSR2 => "User defined signal 2",
            libc::SIGALRM => "Alarm clock",
            libc::SIGSTKFLT => "Stack fault",
            libc::SIGVTALRM => "Virtual timer expired",
            libc::SIGPROF => "Profiling timer expired",
            libc::SIGIO => "I/O possible",
            libc::SIGPWR => "Power failure",
            libc::SIGXCPU => "CPU time limit exceeded",
            libc::SIGXFSZ => "File size limit exceeded",
            libc::SIGSYS => "Bad system call",
            _ => "Ended by a signal",
        };
        let begin = format!("{}: line 1: {pid:5} {what:<24}", OwnFile::Script.name());
        Some([begin.as_bytes(), &self.text, b"\n"].concat())
    }
}
