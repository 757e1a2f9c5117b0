//! A user's own command that opens a pipe to a host: an argv in which
//! `{host}`, `{user}` and `{port}` stand for the host's.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::HostEntry;
use crate::os_text::{from_os, to_path};

/// A command such as `docker exec -i {host}`; `/bin/sh` is added at its end.
/// It is started without a shell.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct ConnectCommand(Vec<String>);

/// What makes words no connect command, or none for a certain host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectCommandError {
    /// No words at all, or an empty first one.
    #[error(
        "invalid connect command {0:?}: expected a program and its arguments, such as \
         docker exec -i {{host}}"
    )]
    NoProgram(String),
    /// A quote without its end, or a backslash before it.
    #[error("invalid connect command {0:?}: a quote or a backslash at its end is not closed")]
    Unbalanced(String),
    /// No program can be given a NUL.
    #[error("invalid connect command {0:?}: it holds a NUL character")]
    Nul(String),
    /// A placeholder that is not known.
    #[error(
        "unknown placeholder {0} in the connect command: expected {{host}}, {{user}} or {{port}}"
    )]
    Placeholder(String),
    /// `{user}` or `{port}` for a host that was given none.
    #[error("host {host} has no {what}, but the connect command uses {{{what}}}")]
    Missing {
        /// The host.
        host: String,
        /// `user` or `port`.
        what: &'static str,
    },
}

impl ConnectCommand {
    /// The command that consists of `words`.
    ///
    /// # Errors
    /// When there is no program, or a placeholder is unknown.
    pub fn new(words: Vec<String>) -> Result<Self, ConnectCommandError> {
        let shown = || words.join(" ");
        if words.first().is_none_or(|program| program.trim().is_empty()) {
            return Err(ConnectCommandError::NoProgram(shown()));
        }
        if words.iter().any(|word| word.contains('\0')) {
            return Err(ConnectCommandError::Nul(shown()));
        }
        for word in &words {
            for part in parts(word) {
                if let Part::Unknown(placeholder) = part {
                    return Err(ConnectCommandError::Placeholder(placeholder.to_owned()));
                }
            }
        }
        Ok(ConnectCommand(words))
    }

    /// The same command for use from anywhere: a program named by a relative
    /// path, such as `./enter`, is one below `dir`.
    #[must_use]
    pub fn from_dir(mut self, dir: &Path) -> Self {
        if let Some(program) = self.0.first_mut().filter(|program| program.contains('/')) {
            *program = from_os(dir.join(to_path(program)).as_os_str()).into_owned();
        }
        self
    }

    /// The words, placeholders and all.
    #[must_use]
    pub fn words(&self) -> &[String] {
        &self.0
    }

    /// The words for one host.
    ///
    /// # Errors
    /// When the host was given no user or port, and one is wanted.
    pub fn for_host(&self, entry: &HostEntry) -> Result<Vec<String>, ConnectCommandError> {
        self.0.iter().map(|word| fill(word, entry)).collect()
    }
}

impl fmt::Display for ConnectCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

/// Splits a command line into words as a POSIX shell does; nothing is expanded.
impl FromStr for ConnectCommand {
    type Err = ConnectCommandError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let words = shlex::split(text);
        words.map_or_else(|| Err(ConnectCommandError::Unbalanced(text.to_owned())), Self::new)
    }
}

impl TryFrom<Vec<String>> for ConnectCommand {
    type Error = ConnectCommandError;

    fn try_from(words: Vec<String>) -> Result<Self, Self::Error> {
        ConnectCommand::new(words)
    }
}

impl From<ConnectCommand> for Vec<String> {
    fn from(command: ConnectCommand) -> Self {
        command.0
    }
}

/// A part of a word.
enum Part<'a> {
    Text(&'a str),
    Host,
    User,
    Port,
    /// A name in braces that means nothing here.
    Unknown(&'a str),
}

fn fill(word: &str, entry: &HostEntry) -> Result<String, ConnectCommandError> {
    let missing = |what| ConnectCommandError::Missing { host: entry.name.clone(), what };
    let mut filled = String::new();
    for part in parts(word) {
        match part {
            Part::Text(text) | Part::Unknown(text) => filled.push_str(text),
            Part::Host => filled.push_str(&entry.name),
            Part::User => {
                filled.push_str(entry.user.as_ref().ok_or_else(|| missing("user"))?);
            }
            Part::Port => {
                filled.push_str(&entry.port.ok_or_else(|| missing("port"))?.to_string());
            }
        }
    }
    Ok(filled)
}

/// Splits a word at its placeholders: lower-case names in braces. Others are
/// text, and so is `${name}`, which a shell called here may want.
fn parts(word: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let (mut text_from, mut search_from) = (0, 0);
    while let Some(open) = word[search_from..].find('{').map(|at| search_from + at) {
        search_from = open + 1;
        let Some(close) = word[open..].find('}').map(|at| open + at) else { break };
        let name = &word[open + 1..close];
        let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        if !is_name || word[..open].ends_with('$') {
            continue;
        }
        parts.push(Part::Text(&word[text_from..open]));
        parts.push(match name {
            "host" => Part::Host,
            "user" => Part::User,
            "port" => Part::Port,
            _ => Part::Unknown(&word[open..=close]),
        });
        (text_from, search_from) = (close + 1, close + 1);
    }
    parts.push(Part::Text(&word[text_from..]));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str, entry: &HostEntry) -> Result<Vec<String>, String> {
        let command: ConnectCommand =
            text.parse().map_err(|e: ConnectCommandError| e.to_string())?;
        command.for_host(entry).map_err(|e| e.to_string())
    }

    fn host(name: &str) -> HostEntry {
        HostEntry { name: name.to_owned(), ..HostEntry::local() }
    }

    #[test]
    fn placeholders_are_replaced_inside_words() {
        let entry = HostEntry { user: Some("alice".into()), port: Some(22), ..host("gpu-3") };
        assert_eq!(
            filled("srun --nodelist={host} -p '{port} {user}' --", &entry).unwrap(),
            ["srun", "--nodelist=gpu-3", "-p", "22 alice", "--"]
        );
    }

    #[test]
    fn words_are_split_as_a_shell_splits_them_and_nothing_else_is_special() {
        let text = r#"sh -c 'cd "$HOME/${x}"; exec "$@"' {} {A} \{host\} "a b" $(x) {"#;
        assert_eq!(
            filled(text, &host("h")).unwrap(),
            ["sh", "-c", r#"cd "$HOME/${x}"; exec "$@""#, "{}", "{A}", "h", "a b", "$(x)", "{"]
        );
    }

    #[test]
    fn a_relative_program_is_found_from_anywhere_and_one_of_the_path_stays() {
        let from_dir = |text: &str| {
            text.parse::<ConnectCommand>().unwrap().from_dir(Path::new("/lab")).to_string()
        };
        assert_eq!(from_dir("./enter ./x {host}"), "/lab/./enter ./x {host}");
        assert_eq!(from_dir("/bin/enter {host}"), "/bin/enter {host}");
        assert_eq!(from_dir("enter ./x"), "enter ./x");
    }

    #[test]
    fn a_command_without_a_program_an_open_quote_and_unknown_placeholders_are_refused() {
        let expected = ": expected a program and its arguments, such as docker exec -i {host}";
        for empty in ["", "  ", "'' x", "# comment"] {
            let error = filled(empty, &host("h")).unwrap_err();
            assert!(error.ends_with(expected), "{error}");
        }
        assert_eq!(
            filled("docker 'exec", &host("h")).unwrap_err(),
            "invalid connect command \"docker 'exec\": a quote or a backslash at its end is not closed"
        );
        assert_eq!(
            filled("docker exec {hots}", &host("h")).unwrap_err(),
            "unknown placeholder {hots} in the connect command: expected {host}, {user} or {port}"
        );
        assert!(filled("docker\0", &host("h")).is_err());
    }

    #[test]
    fn a_host_without_the_user_or_port_that_is_used_is_named() {
        assert_eq!(
            filled("su {user}", &host("h")).unwrap_err(),
            "host h has no user, but the connect command uses {user}"
        );
        assert!(filled("nc {host} {port}", &host("h")).is_err());
    }
}
