//! Names of things: keys, job ids, run ids, host labels, epochs. Each is checked
//! when it is created, since many become parts of paths.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::text::excerpt;

/// A text that is not a valid name of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid {what} {found:?}: expected {expected}")]
pub struct ParseIdError {
    what: &'static str,
    found: String,
    expected: &'static str,
}

impl ParseIdError {
    fn new(what: &'static str, found: &str, expected: &'static str) -> Self {
        ParseIdError { what, found: excerpt(found), expected }
    }
}

/// Names one attempt of one job of a run; written `INDEX.ATTEMPT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// The job's 0-based position in its run.
    pub index: u32,
    /// The attempt's number, from 1; 0 if the job was never attempted.
    pub attempt: u32,
}

impl Key {
    /// The key of `attempt` (from 1) of the job at `index`.
    #[must_use]
    pub const fn new(index: u32, attempt: u32) -> Self {
        Key { index, attempt }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.index, self.attempt)
    }
}

impl FromStr for Key {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || ParseIdError::new("key", text, "INDEX.ATTEMPT, such as 12.1");
        let (index, attempt) = text.split_once('.').ok_or_else(bad)?;
        let key = Key {
            index: parse_number(index).ok_or_else(bad)?,
            attempt: parse_number(attempt).ok_or_else(bad)?,
        };
        Ok(key)
    }
}

/// A decimal number in its one canonical form: no sign, no leading zero.
fn parse_number<N: FromStr>(digits: &str) -> Option<N> {
    let canonical =
        digits.bytes().all(|b| b.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    if canonical { digits.parse().ok() } else { None }
}

fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 10
        && bytes.iter().enumerate().all(|(i, b)| match i {
            4 | 7 => *b == b'-',
            _ => b.is_ascii_digit(),
        })
}

/// Splits `DATE-N` and checks both parts.
fn split_dated(text: &str) -> Option<(&str, u64)> {
    let (date, number) = text.split_at_checked(10)?;
    let number = parse_number(number.strip_prefix('-')?)?;
    (is_date(date) && number > 0).then_some((date, number))
}

/// It separates a run's id from its identity.
const IDENTITY: char = '+';

/// Names a run: `DATE-N`, such as `2026-11-22-1`. On hosts its identity follows,
/// `2026-11-22-1+0123456789abcdef`, since another user or another manager may have a
/// run with the same id there.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunId(String);

impl RunId {
    /// The `number`-th run (from 1) of a `date` written `2026-11-22`.
    ///
    /// # Errors
    /// When the date is not of that form or the number is 0.
    pub fn new(date: &str, number: u64) -> Result<Self, ParseIdError> {
        format!("{date}-{number}").parse()
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of the run on hosts.
    #[must_use]
    pub fn identified(&self, identity: u64) -> Self {
        RunId(format!("{}{IDENTITY}{identity:016x}", self.plain()))
    }

    /// The id without an identity.
    #[must_use]
    pub fn plain(&self) -> &str {
        self.0.split_once(IDENTITY).map_or(self.0.as_str(), |(plain, _)| plain)
    }

    /// The date and the number, which sort runs in the order of their creation.
    #[must_use]
    pub fn order(&self) -> (&str, u64) {
        split_dated(self.plain()).unwrap_or(("", 0))
    }
}

impl FromStr for RunId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (plain, identity) = match text.split_once(IDENTITY) {
            Some((plain, identity)) => (plain, Some(identity)),
            None => (text, None),
        };
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let fits = |identity: &str| identity.len() == 16 && identity.bytes().all(is_digit);
        match split_dated(plain) {
            Some(_) if identity.is_none_or(fits) => Ok(RunId(text.to_owned())),
            _ => Err(ParseIdError::new("run id", text, "DATE-N, such as 2026-11-22-1")),
        }
    }
}

/// A job's name on its host, allocated at launch: `HOSTNAME/DATE-N`, the path of the
/// job directory below the results directory (the seed's job id).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId(String);

impl JobId {
    /// The id of the `number`-th job (from 1) of a `date` on `hostname`.
    ///
    /// # Errors
    /// When the host name cannot be the name of a directory, or the date is malformed.
    pub fn new(hostname: &str, date: &str, number: u64) -> Result<Self, ParseIdError> {
        format!("{hostname}/{date}-{number}").parse()
    }

    /// The id as text; as a path it is relative and stays below the results directory.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for JobId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || ParseIdError::new("job id", text, "HOSTNAME/DATE-N");
        let (hostname, dated) = text.split_once('/').ok_or_else(bad)?;
        if !is_file_name(hostname) || split_dated(dated).is_none() {
            return Err(bad());
        }
        Ok(JobId(text.to_owned()))
    }
}

/// True for a name that is one component of a path and needs no quoting.
fn is_file_name(name: &str) -> bool {
    (1..=255).contains(&name.len())
        && !name.starts_with('.')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
}

/// The manager's name of a host, unique in its run: `node1`, `node1:2222`,
/// `alice@node1`, or `:` for this machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostLabel(String);

impl HostLabel {
    /// This machine, reached without ssh.
    pub const LOCAL: &'static str = ":";

    /// The label as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The label as the name of a directory: characters other than letters, digits and
    /// `-._@` are written `%XX`, and so is a leading dot.
    #[must_use]
    pub fn to_file_name(&self) -> String {
        let mut name = String::with_capacity(self.0.len());
        for (i, byte) in self.0.bytes().enumerate() {
            match byte {
                b'.' if i > 0 => name.push('.'),
                b'-' | b'_' | b'@' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                    name.push(char::from(byte));
                }
                other => name.push_str(&format!("%{other:02X}")),
            }
        }
        name
    }
}

impl FromStr for HostLabel {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = (1..=255).contains(&text.len())
            && !text.starts_with('-')
            && text.bytes().all(|b| {
                b.is_ascii_alphanumeric()
                    || matches!(b, b'-' | b'.' | b'_' | b'@' | b':' | b'[' | b']' | b'%')
            });
        if plain {
            Ok(HostLabel(text.to_owned()))
        } else {
            Err(ParseIdError::new(
                "host name",
                text,
                "letters, digits and -._@:[]%, not beginning with a dash",
            ))
        }
    }
}

/// Numbers the attachments to a run. The greatest is the newest, and wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Serializes names as text, and checks them when they are deserialized.
macro_rules! serde_as_text {
    ($($name:ident),*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}
serde_as_text!(Key, RunId, JobId, HostLabel);

macro_rules! display_inner {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    )*};
}
display_inner!(RunId, JobId, HostLabel);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_has_an_identity_on_hosts() {
        let run: RunId = "2026-11-22-3".parse().unwrap();
        let on_hosts = run.identified(0xab);
        assert_eq!(on_hosts.as_str(), "2026-11-22-3+00000000000000ab");
        assert_eq!(on_hosts.as_str().parse::<RunId>().unwrap(), on_hosts);
        assert_eq!((on_hosts.plain(), on_hosts.order()), (run.as_str(), run.order()));
        assert_eq!(on_hosts.identified(1).plain(), run.as_str());
        for bad in ["2026-11-22-3+", "2026-11-22-3+../../x", "2026-11-22-3+00000000000000AB"] {
            assert!(bad.parse::<RunId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn key_has_one_canonical_form() {
        assert_eq!("12.1".parse(), Ok(Key::new(12, 1)));
        assert_eq!(Key::new(0, 3).to_string(), "0.3");
        for bad in ["", "1", "01.1", "1.+1", "-1.1", "1.1.1", "4294967296.1"] {
            assert!(bad.parse::<Key>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn job_id_cannot_leave_the_results_directory() {
        assert!("node1/2026-11-22-3".parse::<JobId>().is_ok());
        for bad in [
            "../2026-11-22-3",
            "node1/../../etc",
            "node1/2026-11-22-3/x",
            "/2026-11-22-3",
            "no de/2026-11-22-3",
            "node1/2026-11-22-0",
            "node1/2026-11-22-03",
            "node1/é026-11-22-1",
        ] {
            assert!(bad.parse::<JobId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn runs_sort_by_date_then_number() {
        let mut runs: Vec<RunId> = ["2026-11-22-10", "2026-11-22-9", "2026-11-21-99"]
            .iter()
            .map(|text| text.parse().unwrap())
            .collect();
        runs.sort_by(|a, b| a.order().cmp(&b.order()));
        let sorted: Vec<&str> = runs.iter().map(RunId::as_str).collect();
        assert_eq!(sorted, ["2026-11-21-99", "2026-11-22-9", "2026-11-22-10"]);
    }

    #[test]
    fn host_label_cannot_be_an_option_or_shell_text() {
        for good in [":", "node1", "a@node1:22", "[::1]:22"] {
            assert!(good.parse::<HostLabel>().is_ok(), "{good:?}");
        }
        for bad in ["", "-oProxyCommand=x", "a b", "a;b", "a$(b)", "a\nb", "a\u{1b}b", "a/b"] {
            assert!(bad.parse::<HostLabel>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn host_labels_have_distinct_file_names() {
        let name = |text: &str| text.parse::<HostLabel>().unwrap().to_file_name();
        assert_eq!(name(":"), "%3A");
        assert_eq!(name("node1.lab"), "node1.lab");
        assert_eq!(name(".."), "%2E.");
        assert_eq!(name("[::1]:22"), "%5B%3A%3A1%5D%3A22");
    }
}
