//! What the stderr of ssh, or of another command that is a pipe to a host,
//! means. The one place where it is interpreted.

use std::fmt;

use super::text::shown_lines;

/// Why a host could not be reached, or was lost, by what ssh said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Trouble {
    /// The name is not known.
    Unresolved,
    /// The names can't be asked for just now.
    ResolverDown,
    /// Nothing listens there.
    Refused,
    /// No way leads there.
    Unreachable,
    /// No answer in time.
    Timeout,
    /// The other side closed the connection: `MaxStartups`, a restart, a crash.
    Closed,
    /// Not let in.
    Auth,
    /// The host key is unknown, or another than it was.
    HostKey,
    /// The two sides have no algorithm in common.
    Algorithms,
    /// ssh does not accept its configuration or its arguments.
    Config,
    /// The host has no `/bin/sh`, or none that could be started.
    NoShell,
    /// The login shell is one that lets nobody in.
    NoLogin,
    /// The login shell may not start other programs.
    Restricted,
    /// The login shell ended by itself and did not run what it was given.
    LoginShell,
    /// The far command ended without a word of ssh's.
    Ended,
    /// A connect command of the user's ended, for reasons of its own.
    CommandEnded,
}

impl Trouble {
    /// True when trying again may help.
    #[must_use]
    pub fn is_transient(self) -> bool {
        match self {
            Trouble::ResolverDown
            | Trouble::Refused
            | Trouble::Unreachable
            | Trouble::Timeout
            | Trouble::Closed
            | Trouble::Ended
            | Trouble::CommandEnded => true,
            Trouble::Unresolved
            | Trouble::Auth
            | Trouble::HostKey
            | Trouble::Algorithms
            | Trouble::Config
            | Trouble::NoShell
            | Trouble::NoLogin
            | Trouble::Restricted
            | Trouble::LoginShell => false,
        }
    }

    /// Whether a host that was reached before may be reached again. What is
    /// wrong then is mostly this side's network (a laptop away from its
    /// resolver), a login service or a file being edited, and passes.
    #[must_use]
    pub fn is_transient_once_up(self) -> bool {
        !matches!(self, Trouble::HostKey | Trouble::Algorithms)
    }

    /// True when it may be over within seconds, though nobody does anything about it.
    #[must_use]
    pub fn may_pass_soon(self) -> bool {
        match self {
            Trouble::Closed | Trouble::Ended | Trouble::CommandEnded => true,
            // ssh has waited for an answer itself.
            Trouble::ResolverDown | Trouble::Refused | Trouble::Unreachable | Trouble::Timeout => {
                false
            }
            Trouble::Unresolved
            | Trouble::Auth
            | Trouble::HostKey
            | Trouble::Algorithms
            | Trouble::Config
            | Trouble::NoShell
            | Trouble::NoLogin
            | Trouble::Restricted
            | Trouble::LoginShell => false,
        }
    }

    /// True for the reason of a host whose name does not resolve.
    #[must_use]
    pub fn is_unresolved(reason: &str) -> bool {
        reason.starts_with(Trouble::Unresolved.describe())
    }

    fn describe(self) -> &'static str {
        match self {
            Trouble::Unresolved => "its name does not resolve",
            Trouble::ResolverDown => "names cannot be resolved at the moment",
            Trouble::Refused => "the connection was refused",
            Trouble::Unreachable => "no route leads there",
            Trouble::Timeout => "no answer in time",
            Trouble::Closed => "the connection was closed",
            Trouble::Auth => "login was not permitted",
            Trouble::HostKey => "its host key could not be verified",
            Trouble::Algorithms => "ssh found no algorithm in common with it",
            Trouble::Config => "ssh rejects its configuration",
            Trouble::NoShell => "it has no /bin/sh",
            Trouble::NoLogin => "logged in, but its login shell is nologin",
            Trouble::Restricted => "logged in, but its login shell is restricted",
            Trouble::LoginShell => "logged in, but its login shell ended without starting /bin/sh",
            Trouble::Ended => "the connection ended",
            Trouble::CommandEnded => "the connect command ended",
        }
    }
}

/// What went wrong, with ssh's own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// What it amounts to.
    pub trouble: Trouble,
    /// The line it was read from, without control characters; may be empty.
    pub said: String,
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.trouble.describe())?;
        match self.said.as_str() {
            "" => Ok(()),
            said => write!(f, ": {said}"),
        }
    }
}

/// ssh's exit status for its own failures; any other is the far command's.
const SSH_FAILED: i32 = 255;

/// Phrases of ssh and what each means, those that say most first. A line
/// counts for the first phrase it holds.
const PHRASES: &[(&str, Trouble)] = &[
    ("host key verification failed", Trouble::HostKey),
    ("remote host identification has changed", Trouble::HostKey),
    ("no matching host key type", Trouble::Algorithms),
    ("unable to negotiate with", Trouble::Algorithms),
    ("permission denied (", Trouble::Auth),
    ("permission denied, please try again", Trouble::Auth),
    ("too many authentication failures", Trouble::Auth),
    ("no supported authentication methods", Trouble::Auth),
    ("temporary failure in name resolution", Trouble::ResolverDown),
    ("could not resolve hostname", Trouble::Unresolved),
    ("name or service not known", Trouble::Unresolved),
    ("bad configuration option", Trouble::Config),
    ("unsupported option", Trouble::Config),
    ("can't open user config file", Trouble::Config),
    ("bad owner or permissions on", Trouble::Config),
    ("hostname contains invalid characters", Trouble::Config),
    ("unknown option -- ", Trouble::Config),
    ("usage: ssh", Trouble::Config),
    ("bad port '", Trouble::Config),
    ("connection refused", Trouble::Refused),
    ("no route to host", Trouble::Unreachable),
    ("network is unreachable", Trouble::Unreachable),
    ("timed out", Trouble::Timeout),
    ("not responding", Trouble::Timeout),
    ("ssh: connect to host", Trouble::Unreachable),
];

/// Phrases that follow from what an earlier line explains, if one does.
const CONSEQUENCES: &[(&str, Trouble)] = &[
    ("kex_exchange_identification", Trouble::Closed),
    ("ssh_exchange_identification", Trouble::Closed),
    ("banner exchange", Trouble::Closed),
    ("connection closed by", Trouble::Closed),
    ("closed by remote host", Trouble::Closed),
    ("connection reset by", Trouble::Closed),
    ("disconnected from", Trouble::Closed),
    ("stdio forwarding failed", Trouble::Closed),
    ("broken pipe", Trouble::Closed),
];

/// Reads what became of an ssh from its exit status and its stderr (or the
/// last part of it). Of several telling lines the last counts: what comes
/// before may be a banner's text.
#[must_use]
pub fn diagnose(status: Option<i32>, stderr: &[u8]) -> Diagnosis {
    let lines = shown_lines(stderr);
    let last = lines.last().map(String::as_str).unwrap_or_default();
    if let Some(code @ (126 | 127)) = status {
        let said = if last.is_empty() { format!("exit status {code}") } else { last.to_owned() };
        return Diagnosis { trouble: Trouble::NoShell, said };
    }
    if status.is_some_and(|code| code != SSH_FAILED) {
        return Diagnosis { trouble: Trouble::Ended, said: last.to_owned() };
    }
    find(&lines, PHRASES)
        .or_else(|| find(&lines, CONSEQUENCES))
        .unwrap_or_else(|| Diagnosis { trouble: Trouble::Ended, said: last.to_owned() })
}

/// Phrases of login shells that do not do what they are told.
const SHELL_PHRASES: &[(&str, Trouble)] = &[
    // A full host: another shell may be started in a moment.
    ("resource temporarily unavailable", Trouble::Ended),
    ("cannot allocate memory", Trouble::Ended),
    ("cannot fork", Trouble::Ended),
    ("not available", Trouble::NoLogin),
    ("nologin", Trouble::NoLogin),
    ("restricted", Trouble::Restricted),
];

/// Reads why an ssh ended before the far shell had said anything of ours:
/// `printed` is what came on its stdout instead.
#[must_use]
pub fn diagnose_login(status: Option<i32>, printed: &str, stderr: &[u8]) -> Diagnosis {
    let diagnosis = diagnose(status, stderr);
    let said = match diagnosis.said.as_str() {
        "" => printed.to_owned(),
        said => said.to_owned(),
    };
    let Some(code) = status.filter(|code| *code != SSH_FAILED) else {
        return Diagnosis { said, ..diagnosis };
    };
    let heard = [shown_lines(stderr), vec![printed.to_owned()]].concat();
    if let Some(told) = find(&heard, SHELL_PHRASES) {
        return told;
    }
    let trouble = match diagnosis.trouble {
        Trouble::Ended => Trouble::LoginShell,
        // Something else that is missing, which the login shell was to start.
        Trouble::NoShell if !said.contains("/bin/sh") => Trouble::LoginShell,
        trouble => trouble,
    };
    let said = if said.is_empty() { format!("exit status {code}") } else { said };
    Diagnosis { trouble, said }
}

/// Reads what became of a connect command that is not ssh. Each has its own
/// words, so they are shown, not interpreted: the last line that calls itself
/// an error, else the last line, else the exit status.
#[must_use]
pub fn diagnose_command(status: Option<i32>, stderr: &[u8]) -> Diagnosis {
    let lines = shown_lines(stderr);
    let is_error = |line: &&String| {
        let lower = line.to_ascii_lowercase();
        lower.starts_with("error") || lower.contains(": error:")
    };
    let line = lines.iter().rev().find(is_error).or(lines.last()).cloned();
    let said = line.unwrap_or_else(|| match status {
        Some(code) => format!("exit status {code}"),
        None => String::new(),
    });
    Diagnosis { trouble: Trouble::CommandEnded, said }
}

fn find(lines: &[String], phrases: &[(&str, Trouble)]) -> Option<Diagnosis> {
    lines.iter().rev().find_map(|line| {
        let lower = line.to_ascii_lowercase();
        let (_, trouble) = phrases.iter().find(|(phrase, _)| lower.contains(phrase))?;
        Some(Diagnosis { trouble: *trouble, said: line.clone() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What OpenSSH 9.2 wrote, byte for byte, and what it means.
    const TRANSCRIPTS: &[(&str, Trouble)] = &[
        (
            "ssh: Could not resolve hostname nosuch.invalid: Name or service not known\r\n",
            Trouble::Unresolved,
        ),
        (
            "ssh: Could not resolve hostname n1.example.com: Temporary failure in name resolution\r\n",
            Trouble::ResolverDown,
        ),
        ("ssh: connect to host 127.0.0.1 port 1: Connection refused\r\n", Trouble::Refused),
        ("ssh: connect to host 10.1.2.3 port 22: Network is unreachable\r\n", Trouble::Unreachable),
        ("ssh: connect to host 10.9.1.1 port 22: No route to host\r\n", Trouble::Unreachable),
        (
            "Connection timed out during banner exchange\r\nConnection to 10.255.255.1 port 22 timed out\r\n",
            Trouble::Timeout,
        ),
        ("Timeout, server 10.77.0.1 not responding.\r\n", Trouble::Timeout),
        (
            "@         WARNING: UNPROTECTED PRIVATE KEY FILE!          @\r\n\
             Permissions 0644 for 'loose' are too open.\r\n\
             This private key will be ignored.\r\n\
             Load key \"loose\": bad permissions\r\n\
             root@127.0.0.1: Permission denied (publickey).\r\n",
            Trouble::Auth,
        ),
        (
            "Warning: Permanently added '[127.0.0.1]:2201' (ED25519) to the list of known hosts.\r\n\
             Received disconnect from 127.0.0.1 port 2201:2: Too many authentication failures\r\n\
             Disconnected from 127.0.0.1 port 2201\r\n",
            Trouble::Auth,
        ),
        ("Host key verification failed.\r\n", Trouble::HostKey),
        (
            "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\r\n\
             Offending ED25519 key in /root/.ssh/known_hosts:1\r\n\
             Host key for [127.0.0.1]:2201 has changed and you have requested strict checking.\r\n\
             Host key verification failed.\r\n",
            Trouble::HostKey,
        ),
        (
            "Unable to negotiate with 127.0.0.1 port 2201: no matching key exchange method found. \
             Their offer: curve25519-sha256\r\n",
            Trouble::Algorithms,
        ),
        (
            "config: line 2: Bad configuration option: frobnicate\r\n\
             config: terminating, 1 bad configuration options\r\n",
            Trouble::Config,
        ),
        (
            "config line 2: Bad port 'abc'.\r\nconfig: terminating, 1 bad configuration options\r\n",
            Trouble::Config,
        ),
        (
            "Can't open user config file /nonexistent: No such file or directory\r\n",
            Trouble::Config,
        ),
        (
            "unknown option -- Z\r\nusage: ssh [-46AaCfGgKkMNnqsTtVvXxYy] [-B bind_interface]\r\n\
             \x20          [-Q query_option] [-R address] [-S ctl_path] [-W host:port]\r\n",
            Trouble::Config,
        ),
        (
            "kex_exchange_identification: read: Connection reset by peer\r\n\
             Connection reset by 127.0.0.1 port 2250\r\n",
            Trouble::Closed,
        ),
        (
            "kex_exchange_identification: Connection closed by remote host\r\n\
             Connection closed by 127.0.0.1 port 2298\r\n",
            Trouble::Closed,
        ),
        ("Connection to 127.0.0.1 closed by remote host.\r\n", Trouble::Closed),
        ("", Trouble::Ended),
    ];

    #[test]
    fn every_transcript_is_understood() {
        for (transcript, trouble) in TRANSCRIPTS {
            let diagnosis = diagnose(Some(SSH_FAILED), transcript.as_bytes());
            assert_eq!(diagnosis.trouble, *trouble, "{transcript}");
        }
    }

    #[test]
    fn behind_a_jump_host_the_cause_is_found_before_its_consequences() {
        let consequences = "stdio forwarding failed\r\n\
             kex_exchange_identification: Connection closed by remote host\r\n\
             Connection closed by UNKNOWN port 65535\r\n";
        for (cause, trouble) in [
            ("channel 0: open failed: connect failed: Connection refused", Trouble::Refused),
            (
                "channel 0: open failed: connect failed: Name or service not known",
                Trouble::Unresolved,
            ),
            (
                "ssh: Could not resolve hostname jump: Name or service not known",
                Trouble::Unresolved,
            ),
            ("root@jump: Permission denied (publickey).", Trouble::Auth),
            ("something else", Trouble::Closed),
        ] {
            let transcript = format!("{cause}\r\n{consequences}");
            let diagnosis = diagnose(Some(SSH_FAILED), transcript.as_bytes());
            assert_eq!(diagnosis.trouble, trouble, "{transcript}");
        }
    }

    #[test]
    fn a_banner_cannot_pass_for_the_cause() {
        let transcript = "Unauthorized use: permission denied (by law).\nPenalty: host key verification failed\n\
             ssh: connect to host n1 port 22: Connection refused\r\n";
        let diagnosis = diagnose(Some(SSH_FAILED), transcript.as_bytes());
        assert_eq!(diagnosis.trouble, Trouble::Refused);
    }

    #[test]
    fn a_status_of_the_far_shell_is_not_taken_for_sshs() {
        let missing = diagnose(Some(127), b"bash: line 1: /bin/sh: No such file or directory\n");
        assert_eq!(missing.trouble, Trouble::NoShell);
        let said = "Permission denied (publickey).\n";
        assert_eq!(diagnose(Some(1), said.as_bytes()).trouble, Trouble::Ended);
    }

    #[test]
    fn login_shell_that_runs_nothing_is_told_apart_from_a_connection_that_ended() {
        let shown = |status, printed: &str, stderr: &str| {
            diagnose_login(Some(status), printed, stderr.as_bytes()).to_string()
        };
        assert_eq!(
            shown(1, "This account is currently not available.", ""),
            "logged in, but its login shell is nologin: This account is currently not available."
        );
        assert_eq!(
            shown(1, "", "rbash: line 1: exec: restricted\n"),
            "logged in, but its login shell is restricted: rbash: line 1: exec: restricted"
        );
        assert_eq!(
            shown(0, "", ""),
            "logged in, but its login shell ended without starting /bin/sh: exit status 0"
        );
        assert_eq!(
            shown(254, "", "bash: fork: Resource temporarily unavailable\n"),
            "the connection ended: bash: fork: Resource temporarily unavailable"
        );
        assert_eq!(
            shown(127, "", "/home/a/.bashrc: line 1: exec: fish: not found\n"),
            "logged in, but its login shell ended without starting /bin/sh: /home/a/.bashrc: line \
             1: exec: fish: not found"
        );
        let missing = "bash: line 1: /bin/sh: No such file or directory\n";
        assert_eq!(diagnose_login(Some(127), "", missing.as_bytes()).trouble, Trouble::NoShell);
        let closed = "Connection closed by 127.0.0.1 port 2298\r\n";
        assert_eq!(
            diagnose_login(Some(SSH_FAILED), "", closed.as_bytes()).trouble,
            Trouble::Closed
        );
    }

    #[test]
    fn the_message_keeps_sshs_words_without_control_characters() {
        let diagnosis =
            diagnose(Some(SSH_FAILED), b"\x1b[31mroot@h: Permission denied (publickey).\r\n");
        assert_eq!(
            diagnosis.to_string(),
            "login was not permitted: [31mroot@h: Permission denied (publickey)."
        );
    }

    #[test]
    fn another_commands_error_line_is_shown_else_its_last_line_else_its_status() {
        let shown = |status, stderr: &[u8]| diagnose_command(status, stderr).to_string();
        assert_eq!(
            shown(
                Some(1),
                b"Defaulted container\nError response from daemon: No such container: x\nhint\n"
            ),
            "the connect command ended: Error response from daemon: No such container: x"
        );
        assert_eq!(
            shown(Some(1), b"srun: error: Unable to create step\nsrun: step aborted\n"),
            "the connect command ended: srun: error: Unable to create step"
        );
        assert_eq!(shown(Some(9), b"one\n\x1b[1mtwo\n\n"), "the connect command ended: [1mtwo");
        assert_eq!(shown(Some(126), b""), "the connect command ended: exit status 126");
        assert_eq!(shown(None, b""), "the connect command ended");
    }

    #[test]
    fn what_a_user_must_mend_is_permanent_and_what_passes_is_not() {
        for permanent in [
            Trouble::Unresolved,
            Trouble::Auth,
            Trouble::HostKey,
            Trouble::Algorithms,
            Trouble::Config,
            Trouble::NoShell,
            Trouble::NoLogin,
            Trouble::Restricted,
            Trouble::LoginShell,
        ] {
            assert!(!permanent.is_transient(), "{permanent:?}");
        }
        assert!(Trouble::Unresolved.is_transient_once_up());
        assert!(!Trouble::HostKey.is_transient_once_up());
    }
}
