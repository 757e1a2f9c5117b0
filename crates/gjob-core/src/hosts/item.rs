//! One item of a host list or one line of a hosts file:
//! `[SLOTS/][USER@]NAME[:PORT]`, the name with ranges.

use std::net::Ipv6Addr;

use super::error::HostProblem;
use super::names::Names;
use super::{HostEntry, MAX_SLOTS};
use crate::id::HostLabel;
use crate::text::excerpt;

/// The longest user name: with a name and a port behind it, a label can hold it.
const MAX_USER_BYTES: usize = 40;

/// One item, which may stand for many hosts.
#[derive(Debug)]
pub(super) struct Item {
    slots: Option<u32>,
    user: Option<String>,
    host: Host,
    port: Option<u16>,
}

#[derive(Debug)]
enum Host {
    Local,
    Ipv6(String),
    Names(Names),
}

impl Item {
    /// Reads an item that has no blanks around it.
    pub(super) fn parse(text: &str) -> Result<Self, Vec<HostProblem>> {
        if text.is_empty() {
            return Err(vec![HostProblem::Empty]);
        }
        let mut problems = Vec::new();
        let group = text.rsplit_once('/').map_or(text, |(_, group)| group);
        if group.starts_with('@') {
            return Err(vec![HostProblem::Group(excerpt(group))]);
        }
        if let Some((host, slots)) = split_outside(text, '/')
            && parse_digits(host).is_none()
            && parse_digits(slots).is_some()
        {
            let problem = HostProblem::SlotsLast { host: excerpt(host), slots: excerpt(slots) };
            return Err(vec![problem]);
        }
        let (slots, rest) = match split_outside(text, '/') {
            Some((slots, rest)) => (parse_slots(slots, &mut problems), rest),
            None => (None, text),
        };
        let (user, address) = match rest.rsplit_once('@') {
            Some((user, address)) => (Some(parse_user(user, &mut problems)), address),
            None => (None, rest),
        };
        let (host, port) = parse_address(address, &mut problems);
        if matches!(host, Host::Local) && user.is_some() {
            problems.push(HostProblem::Local(excerpt(rest)));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Item { slots, user, host, port })
    }

    /// How many hosts it stands for.
    pub(super) fn count(&self) -> usize {
        match &self.host {
            Host::Local | Host::Ipv6(_) => 1,
            Host::Names(names) => names.count(),
        }
    }

    /// The hosts. Ask for their [`count`](Self::count) first.
    pub(super) fn expand(self) -> Vec<HostEntry> {
        let names = match self.host {
            Host::Local => vec![HostLabel::LOCAL.to_owned()],
            Host::Ipv6(address) => vec![address],
            Host::Names(names) => names.expand(),
        };
        let entry = |name| HostEntry {
            slots: self.slots,
            user: self.user.clone(),
            name,
            port: self.port,
            labels: Vec::new(),
            results_dir: None,
            env: std::collections::BTreeMap::new(),
        };
        names.into_iter().map(entry).collect()
    }
}

/// Reads `NAME[:PORT]`, `[IPV6][:PORT]` or `:`.
fn parse_address(address: &str, problems: &mut Vec<HostProblem>) -> (Host, Option<u16>) {
    if address == HostLabel::LOCAL {
        return (Host::Local, None);
    }
    if let Some((host, port)) = split_ipv6(address) {
        if !is_ipv6(host) || !(port.is_empty() || port.starts_with(':')) {
            problems.push(HostProblem::Ipv6(excerpt(address)));
            return (Host::Local, None);
        }
        let port = port.strip_prefix(':').map(|port| parse_port(port, problems));
        return (Host::Ipv6(host.to_owned()), port.flatten());
    }
    let (name, port) = match split_outside(address, ':') {
        None => (address, None),
        Some((_, port)) if port.contains(':') => {
            problems.push(HostProblem::BareIpv6(excerpt(address)));
            return (Host::Local, None);
        }
        Some(("", _)) => {
            problems.push(HostProblem::Local(excerpt(address)));
            return (Host::Local, None);
        }
        Some((name, port)) => (name, parse_port(port, problems)),
    };
    (Host::Names(Names::parse(name, problems)), port)
}

/// Splits at the first `separator` that is not in brackets.
fn split_outside(text: &str, separator: char) -> Option<(&str, &str)> {
    let mut in_brackets = false;
    let at = text.find(|c| {
        match c {
            '[' => in_brackets = true,
            ']' => in_brackets = false,
            _ => {}
        }
        c == separator && !in_brackets
    })?;
    Some((&text[..at], &text[at + separator.len_utf8()..]))
}

/// Splits an address that begins with brackets with a colon in them.
fn split_ipv6(address: &str) -> Option<(&str, &str)> {
    let (inside, rest) = address.strip_prefix('[')?.split_once(']')?;
    inside.contains(':').then_some((inside, rest))
}

fn is_ipv6(text: &str) -> bool {
    let (address, zone) = text.split_once('%').unwrap_or((text, "0"));
    let is_zone = (1..=40).contains(&zone.len())
        && zone.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
    is_zone && address.parse::<Ipv6Addr>().is_ok()
}

fn parse_slots(text: &str, problems: &mut Vec<HostProblem>) -> Option<u32> {
    let slots = parse_digits(text).filter(|slots| (1..=MAX_SLOTS).contains(slots));
    if slots.is_none() {
        problems.push(HostProblem::Slots(excerpt(text)));
    }
    slots
}

fn parse_port(text: &str, problems: &mut Vec<HostProblem>) -> Option<u16> {
    let port =
        parse_digits(text).and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
    if port.is_none() {
        problems.push(HostProblem::Port(excerpt(text)));
    }
    port
}

/// A number without a sign.
fn parse_digits(text: &str) -> Option<u32> {
    if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None }
}

fn parse_user(user: &str, problems: &mut Vec<HostProblem>) -> String {
    let plain =
        user.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'@'));
    if !plain || user.starts_with('-') || !(1..=MAX_USER_BYTES).contains(&user.len()) {
        problems.push(HostProblem::User(excerpt(user)));
    }
    user.to_owned()
}
