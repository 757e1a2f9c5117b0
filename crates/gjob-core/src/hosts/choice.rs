//! Which hosts a job is bound to: names, patterns, ranges and groups, and the labels
//! that a host must have.

use super::MAX_HOSTS;
use super::names::expand_ranges;
use super::reader::items;
use crate::id::HostLabel;
use crate::text::excerpt;

/// The longest text that names hosts, bytes.
const MAX_TEXT_BYTES: usize = 4096;

/// The longest label, bytes.
pub const MAX_LABEL_BYTES: usize = 40;

/// What is wrong with a text that is to name hosts or a label.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChoiceError {
    /// Not a name or a pattern.
    #[error(
        "invalid host {0:?}: expected names with commas between them, such as h1, node[1-4], gpu* or @GROUP"
    )]
    Host(String),
    /// Not a label.
    #[error("invalid label {0:?}: expected up to {MAX_LABEL_BYTES} letters, digits and -_")]
    Label(String),
}

/// The hosts that one of some texts names, if there is any text, and that have all of
/// some labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    hosts: Vec<Pattern>,
    labels: Vec<String>,
}

/// One part of a text that names hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// A host of this name, with or without its user and port.
    Name(String),
    /// Hosts whose names match: `*` stands for any text, `?` for one character.
    Glob(glob::Pattern),
    /// Hosts with this label.
    Group(String),
}

impl Choice {
    /// Reads the texts and the labels of a job.
    ///
    /// # Errors
    /// The first that is wrong with them.
    pub fn new(hosts: &[String], labels: &[String]) -> Result<Self, ChoiceError> {
        let mut patterns = Vec::new();
        for text in hosts {
            patterns.extend(read(text).ok_or_else(|| ChoiceError::Host(excerpt(text)))?);
        }
        match labels.iter().find(|label| !is_label(label)) {
            Some(label) => Err(ChoiceError::Label(excerpt(label))),
            None => Ok(Choice { hosts: patterns, labels: labels.to_vec() }),
        }
    }

    /// A choice of no host.
    #[must_use]
    pub fn none() -> Self {
        Choice { hosts: vec![Pattern::Name(String::new())], labels: Vec::new() }
    }

    /// True for a host that it names, with these labels.
    #[must_use]
    pub fn admits(&self, host: &HostLabel, labels: &[String]) -> bool {
        let has = |label: &String| labels.contains(label);
        let is_named = |pattern: &Pattern| match pattern {
            Pattern::Name(name) => name == host.as_str() || name == bare_name(host),
            Pattern::Glob(glob) => glob.matches(host.as_str()) || glob.matches(bare_name(host)),
            Pattern::Group(group) => has(group),
        };
        (self.hosts.is_empty() || self.hosts.iter().any(is_named)) && self.labels.iter().all(has)
    }

    /// The names, if nothing else says which hosts they are.
    pub(crate) fn names<'a>(&'a self) -> Option<Vec<&'a str>> {
        let name = |pattern: &'a Pattern| match pattern {
            Pattern::Name(name) => Some(&**name),
            Pattern::Glob(_) | Pattern::Group(_) => None,
        };
        let is_named = !self.hosts.is_empty() && self.labels.is_empty();
        is_named.then(|| self.hosts.iter().map(name).collect()).flatten()
    }
}

/// A host's name without its user and port.
pub(crate) fn bare_name(host: &HostLabel) -> &str {
    let text = host.as_str();
    if text == HostLabel::LOCAL {
        return text;
    }
    let address = text.rsplit_once('@').map_or(text, |(_, address)| address);
    match address.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((ipv6, _)) => ipv6,
        None => address.split_once(':').map_or(address, |(name, _)| name),
    }
}

fn read(text: &str) -> Option<Vec<Pattern>> {
    if text.len() > MAX_TEXT_BYTES {
        return None;
    }
    let mut patterns = Vec::new();
    for item in items(text) {
        patterns.extend(read_item(item)?);
    }
    Some(patterns)
}

fn read_item(item: &str) -> Option<Vec<Pattern>> {
    if let Some(group) = item.strip_prefix('@') {
        return is_label(group).then(|| vec![Pattern::Group(group.to_owned())]);
    }
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-._*?@:%[],".contains(&b);
    if item.is_empty() || item.starts_with('-') || !item.bytes().all(is_plain) {
        return None;
    }
    let is_ipv6 = |inside: &str| inside.contains(':');
    if item
        .split_once('[')
        .and_then(|(_, rest)| rest.split_once(']'))
        .is_some_and(|(it, _)| is_ipv6(it))
    {
        return Some(vec![Pattern::Name(item.to_owned())]);
    }
    let names = expand_ranges(item, MAX_HOSTS)?;
    let pattern = |name: String| match name.contains(['*', '?']) {
        true => glob::Pattern::new(&name).ok().map(Pattern::Glob),
        false => Some(Pattern::Name(name)),
    };
    names.into_iter().map(pattern).collect()
}

/// True for what can be a label.
pub(super) fn is_label(text: &str) -> bool {
    (1..=MAX_LABEL_BYTES).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(hosts: &[&str], labels: &[&str], host: &str, has: &[&str]) -> bool {
        let texts =
            |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let choice = Choice::new(&texts(hosts), &texts(labels)).unwrap();
        choice.admits(&host.parse().unwrap(), &texts(has))
    }

    #[test]
    fn host_is_named_by_name_range_pattern_or_group() {
        for (text, host) in [
            ("h1", "h1"),
            ("h1", "me@h1:22"),
            ("me@h1:22", "me@h1:22"),
            ("a, h1", "h1"),
            ("node[01-03,7]", "node02"),
            ("node[1-3]*", "node2.lab"),
            ("*", "x"),
            ("gpu-?", "gpu-3"),
            ("*.lab", "a.b.lab"),
            ("*a*b", "xaab"),
            (":", ":"),
            ("[::1]:22", "[::1]:22"),
            ("@a100", "h7"),
        ] {
            assert!(admits(&[text], &[], host, &["a100"]), "{text} {host}");
        }
        for (text, host) in [
            ("h1", "h11"),
            ("h?", "h"),
            ("h", "h1"),
            ("me@h1:22", "h1"),
            ("node[01-03]", "node2"),
            ("*a*b", "xaac"),
            ("@gpu", "h7"),
        ] {
            assert!(!admits(&[text], &[], host, &["a100"]), "{text} {host}");
        }
    }

    #[test]
    fn one_of_the_texts_is_enough_and_all_labels_are_needed() {
        assert!(admits(&["h1", "h2"], &[], "h2", &[]));
        assert!(admits(&[], &["a100", "big"], "h2", &["big", "a100"]));
        assert!(!admits(&[], &["a100", "big"], "h2", &["big"]));
        assert!(!admits(&["h1"], &["big"], "h2", &["big"]));
        assert!(admits(&[], &[], "h2", &[]));
    }

    #[test]
    fn what_names_no_host_is_refused() {
        let error = |host: &str| Choice::new(&[host.to_owned()], &[]).unwrap_err().to_string();
        for text in ["", "a b", "a,", "-x", "h[1-", "h[3-1]", "@", "@a b", "4/h1", "h;x", "é"] {
            assert!(error(text).starts_with(&format!("invalid host {text:?}: ")), "{text}");
        }
        assert!(error("h[1-100001]").starts_with("invalid host "));
        for label in ["", "a b", "@a", &"x".repeat(41)] {
            let error = Choice::new(&[], &[label.to_owned()]).unwrap_err().to_string();
            assert!(error.starts_with("invalid label "), "{error}");
        }
    }
}
