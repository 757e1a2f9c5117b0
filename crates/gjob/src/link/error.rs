//! Why a host could not be linked to, or a link was lost.

use std::io;
use std::time::Duration;

use gjob_core::hosts::ConnectCommandError;
use gjob_core::wire::{DecodeError, PROTOCOL};

use super::diagnose::Diagnosis;
use crate::program::ProgramError;

/// One failure of one connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error(transparent)]
    Connect(#[from] ConnectCommandError),
    #[error("cannot start {program}: {source}")]
    Start { program: String, source: io::Error },
    /// The transport ended before the far shell answered.
    #[error("{0}")]
    Transport(Diagnosis),
    #[error(transparent)]
    Program(#[from] ProgramError),
    #[error("no answer within {} s while {doing}{}", .limit.as_secs(), behind(.said))]
    Silent { doing: &'static str, limit: Duration, said: String },
    /// The login was accepted, and what it started says nothing.
    #[error("logged in, but gave no answer for {} s{}", .waited.as_secs(), behind(.said))]
    Mute { waited: Duration, said: String },
    #[error("not an agent: more than {limit} bytes before its first line{}", behind(.said))]
    Noise { limit: usize, said: String },
    #[error("its agent speaks protocol {theirs:?}, this program {PROTOCOL}")]
    Protocol { theirs: String },
    #[error("{0}")]
    Bootstrap(#[from] BootstrapFailure),
    #[error("malformed answer to the bootstrap: {0:?}")]
    Garbled(String),
    /// The agent's program was started, and ended.
    #[error("its agent ended{}", behind(.said))]
    Ended { said: String },
    #[error("its agent sent a {0}")]
    Frame(#[from] DecodeError),
    /// Small on the wire, large in memory.
    #[error("its agent sent a message of more parts than any has reason to")]
    Heavy,
    #[error("the agent did not start with a welcome message")]
    NoWelcome,
    #[error("the agent answered a request for outputs with something else")]
    WrongAnswer,
    #[error("{reason}")]
    Fault { reason: String, permanent: bool },
    #[error("agent does not answer")]
    Unanswered,
    #[error("a part of the run log was missing from what the agent sent")]
    Gap,
    #[error("the task that looks up programs failed: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// What the bootstrap script reported as its end.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BootstrapFailure {
    #[error("no home directory there: {0}")]
    Home(String),
    #[error("no room there: {0}")]
    NoRoom(String),
    #[error("cannot create {0}")]
    Create(String),
    #[error("cannot write {0}")]
    Write(String),
    /// Another user could have put a program there.
    #[error("unsafe results directory: {0}")]
    Unsafe(String),
    /// The mount forbids it (noexec), or it is not for this system.
    #[error("the program sent cannot run there: {0}")]
    CannotRun(String),
    #[error("the program arrived damaged: {0}")]
    Damaged(String),
    #[error("unknown failure {0:?}")]
    Unknown(String),
}

impl ConnectError {
    /// True when trying again can't help. A host that was up before is given
    /// the benefit of the doubt where the fault may be this side's network.
    pub(super) fn is_permanent(&self, was_up: bool) -> bool {
        match self {
            ConnectError::Connect(_)
            | ConnectError::Noise { .. }
            | ConnectError::Protocol { .. }
            | ConnectError::Garbled(_)
            | ConnectError::NoWelcome => true,
            // They were there when it came up: a package is being upgraded, a
            // file server has a bad moment.
            ConnectError::Program(_) => !was_up,
            ConnectError::Bootstrap(failure) => !was_up && failure.is_permanent(),
            ConnectError::Start { .. } if was_up => false,
            ConnectError::Start { source, .. } => {
                matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied)
            }
            ConnectError::Transport(diagnosis) if was_up => {
                !diagnosis.trouble.is_transient_once_up()
            }
            ConnectError::Transport(diagnosis) => !diagnosis.trouble.is_transient(),
            ConnectError::Fault { permanent, .. } => *permanent,
            ConnectError::Silent { .. }
            | ConnectError::Mute { .. }
            | ConnectError::Ended { .. }
            | ConnectError::Frame(_)
            | ConnectError::Heavy
            | ConnectError::WrongAnswer
            | ConnectError::Unanswered
            | ConnectError::Gap
            | ConnectError::Task(_) => false,
        }
    }
}

impl ConnectError {
    /// True when it may be over in a moment, by itself: whoever only asks a host something
    /// does not wait for the rest. A host that was up before may be coming back.
    pub(super) fn may_pass_soon(&self, was_up: bool) -> bool {
        match self {
            ConnectError::Transport(diagnosis) => was_up || diagnosis.trouble.may_pass_soon(),
            _ => true,
        }
    }
}

impl BootstrapFailure {
    /// Reads the script's `KIND TEXT`.
    pub(super) fn parse(report: &str) -> Self {
        let (kind, text) = report.split_once(' ').unwrap_or((report, ""));
        let full = text.contains("No space left") || text.contains("quota exceeded");
        let text = without_temporary_name(text.trim());
        match kind {
            "create" | "write" if full => BootstrapFailure::NoRoom(text),
            "home" => BootstrapFailure::Home(text),
            "create" => BootstrapFailure::Create(text),
            "write" => BootstrapFailure::Write(text),
            "unsafe" => BootstrapFailure::Unsafe(text),
            "verify" if text.starts_with("status 1:") => BootstrapFailure::Damaged(text),
            "verify" => BootstrapFailure::CannotRun(text),
            _ => BootstrapFailure::Unknown(report.to_owned()),
        }
    }

    fn is_permanent(&self) -> bool {
        match self {
            BootstrapFailure::Home(_)
            | BootstrapFailure::Create(_)
            | BootstrapFailure::Unsafe(_)
            | BootstrapFailure::CannotRun(_)
            | BootstrapFailure::Unknown(_) => true,
            BootstrapFailure::NoRoom(_)
            | BootstrapFailure::Write(_)
            | BootstrapFailure::Damaged(_) => false,
        }
    }
}

/// A report without the name under which the program is received, which is another each
/// time: what is said again and again would never be the same.
fn without_temporary_name(text: &str) -> String {
    match text.split_once("/.new-") {
        None => text.to_owned(),
        Some((dir, rest)) => {
            let rest = rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric());
            format!("{dir}{rest}")
        }
    }
}

/// What was said, put behind a message that may stand alone.
fn behind(said: &str) -> String {
    match said {
        "" => String::new(),
        said => format!(": {said}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report_of_a_full_disk_is_the_same_each_time() {
        let report = |name: &str| {
            let text = format!("write /r/.gjob/bin/.new-{name}: gzip: No space left on device");
            BootstrapFailure::parse(&text)
        };
        let expected = "/r/.gjob/bin: gzip: No space left on device".to_owned();
        assert_eq!(report("39e2"), BootstrapFailure::NoRoom(expected));
        assert_eq!(report("39e2"), report("3f36"));
    }
}
