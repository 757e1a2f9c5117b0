//! The words of ssh_config(5) that gjob sets itself, whatever the user's files say.
//!
//! ssh takes the first value it gets, and those on its command line come first.
//! Every word of ssh_config(5) as of OpenSSH 10 was looked at. What is not here is
//! the user's: how the host is found and reached (`HostName`, `ProxyJump`,
//! `ProxyCommand`, `Match`, …), which keys and algorithms are used, which host
//! keys are trusted, `SendEnv` and `SetEnv`, and `GSSAPIDelegateCredentials`,
//! without which some sites' home directories cannot be read.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::sync::{LazyLock, Mutex, PoisonError};

/// What every ssh and scp of ours is given.
const WORDS: &[(&str, &str)] = &[
    // No questions, no waiting for ever, no retrying that gjob does itself.
    ("BatchMode", "yes"),
    ("ConnectTimeout", "10"),
    ("ConnectionAttempts", "1"),
    ("ServerAliveInterval", "15"),
    ("ServerAliveCountMax", "3"),
    // Keys are neither offered to an agent nor collected from hosts.
    ("AddKeysToAgent", "no"),
    ("UpdateHostKeys", "no"),
    // Nothing of this machine is reached from the host.
    ("ClearAllForwardings", "yes"),
    ("ExitOnForwardFailure", "no"),
    ("ForwardAgent", "no"),
    ("ForwardX11", "no"),
    ("ForwardX11Trusted", "no"),
    ("Tunnel", "no"),
    // What runs at both ends is gjob's command, and what is read is its input.
    ("PermitLocalCommand", "no"),
    ("RemoteCommand", "none"),
    ("RequestTTY", "no"),
    ("EscapeChar", "none"),
    ("StdinNull", "no"),
    ("ForkAfterAuthentication", "no"),
    // What ssh says is its reasons, as it has always said them.
    ("LogLevel", "INFO"),
    ("VisualHostKey", "no"),
];

/// What is set for a connection of its own, which nobody else uses.
const ALONE: &[(&str, &str)] = &[("ControlMaster", "no"), ("ControlPath", "none")];

/// The same over a connection that the user has opened.
const OVER_MASTER: &[(&str, &str)] = &[("ControlMaster", "no")];

/// For an ssh that runs a command. scp sets it itself, in another way.
const SESSION: (&str, &str) = ("SessionType", "default");

/// Words that the installed ssh has refused, in lower case. It is the ssh of this
/// process, so what one link has learned all know.
static UNKNOWN: LazyLock<Mutex<BTreeSet<String>>> = LazyLock::new(Mutex::default);

/// Whose connection is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Connection {
    /// One that is opened for it.
    Own,
    /// One that the user has opened: the `ControlPath` of the configuration.
    Master,
}

/// The options of an ssh that runs a command.
pub(super) fn for_session(connection: Connection) -> Vec<OsString> {
    for_both(connection, &[SESSION])
}

/// The options of an scp.
pub(super) fn for_copy() -> Vec<OsString> {
    for_both(Connection::Own, &[])
}

fn for_both(connection: Connection, more: &[(&str, &str)]) -> Vec<OsString> {
    let unknown = UNKNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let control = match connection {
        Connection::Own => ALONE,
        Connection::Master => OVER_MASTER,
    };
    let known = |(word, _): &&(&str, &str)| !unknown.contains(&word.to_ascii_lowercase());
    let set = WORDS.iter().chain(control).chain(more).filter(known);
    set.flat_map(|(word, value)| ["-o".into(), format!("{word}={value}").into()]).collect()
}

/// Learns from ssh's stderr that it does not know a word of ours, since it is
/// older than the word. True when that is news, and so a reason to try again.
pub(crate) fn learn_unknown(stderr: &[u8]) -> bool {
    let text = String::from_utf8_lossy(stderr).to_ascii_lowercase();
    let refused = text.lines().filter(|line| line.starts_with("command-line"));
    let refused = refused.filter_map(|line| line.split_once("bad configuration option: "));
    let ours = WORDS.iter().chain(ALONE).chain([&SESSION]);
    let ours: BTreeSet<String> = ours.map(|(word, _)| word.to_ascii_lowercase()).collect();
    let mut unknown = UNKNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut news = false;
    for (_, word) in refused {
        let word = word.split_whitespace().next().unwrap_or_default();
        news |= ours.contains(word) && unknown.insert(word.to_owned());
    }
    news
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn word_that_ssh_does_not_know_is_left_out_and_nothing_else() {
        let given = |options: Vec<OsString>| options.contains(&"SessionType=default".into());
        assert!(given(for_session(Connection::Own)));
        let foreign = b"/home/a/.ssh/config: line 3: Bad configuration option: sessiontype\r\n";
        assert!(!learn_unknown(foreign), "a word of the user's own file");
        assert!(!learn_unknown(b"command-line: line 0: Bad configuration option: proxyfoo\r\n"));
        let ours = b"command-line: line 0: Bad configuration option: sessiontype\r\n";
        assert!(learn_unknown(ours));
        assert!(!learn_unknown(ours), "that is known now");
        assert!(!given(for_session(Connection::Own)));
        UNKNOWN.lock().unwrap().clear();
    }
}
