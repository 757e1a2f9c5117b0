//! Reads all the lists and files that name a run's hosts, so that all errors
//! come at once and no host is in two of them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;

use super::choice::is_label;
use super::error::{HostError, HostErrors, HostProblem, Place};
use super::item::Item;
use super::options::check_results_dir;
use super::{Cluster, HostEntry, HostOptions, MAX_HOSTS};
use crate::spec::JobSpec;
use crate::text::excerpt;

/// User, name and port: what makes two entries the same host.
type Identity = (Option<String>, String, Option<u16>);

/// What a line of a hosts file can set behind its hosts.
const SETTINGS: [&str; 3] = ["labels=", "results_dir=", "env."];

/// Reads hosts from any number of texts; [`finish`](Self::finish) returns
/// everything that is wrong with them together.
#[derive(Debug, Default)]
pub struct HostReader {
    /// Each host named so far, and the position of its place in `places`.
    seen: HashMap<Identity, usize>,
    places: Vec<Place>,
    errors: Vec<HostError>,
    /// Hosts in all, also those beyond the limit.
    count: usize,
}

impl HostReader {
    /// A reader that has read nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a host list: entries with commas between them.
    pub fn list(&mut self, list: &str) -> Vec<HostEntry> {
        let items = items(list).enumerate();
        items.flat_map(|(i, item)| self.hosts(item, &Place::Item(i + 1))).collect()
    }

    /// Reads a host list that stands at `place`.
    pub fn list_at(&mut self, place: &Place, list: &str) -> Vec<HostEntry> {
        items(list).flat_map(|item| self.hosts(item, place)).collect()
    }

    /// Takes hosts that were read elsewhere, without those that were named before.
    pub fn others(&mut self, hosts: Vec<HostEntry>, place: &Place) -> Vec<HostEntry> {
        let new = hosts.into_iter().filter(|host| !self.seen.contains_key(&identity(host)));
        let new: Vec<HostEntry> = new.collect();
        self.count = self.count.saturating_add(new.len());
        self.note(&new, place);
        new
    }

    /// Reads a hosts file's text: one entry a line, with labels if it says so. Errors
    /// call it `name`.
    pub fn hosts_file(&mut self, name: &str, text: &str) -> Vec<HostEntry> {
        let lines = entry_lines(name, text);
        if lines.is_empty() {
            self.error(Place::File(name.to_owned()), HostProblem::NoHost);
        }
        lines.into_iter().flat_map(|(place, line)| self.labelled_hosts(line, &place)).collect()
    }

    /// The hosts of a line of a hosts file: an entry, and behind it what it sets for them.
    fn labelled_hosts(&mut self, line: &str, place: &Place) -> Vec<HostEntry> {
        let (entry, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let is_setting = |word: &str| SETTINGS.iter().any(|name| word.starts_with(name));
        if !rest.split_whitespace().next().is_some_and(is_setting) {
            return self.hosts(line, place);
        }
        let mut set = HostEntry::local();
        for setting in settings(rest.trim()) {
            if let Err(problem) = apply(setting, &mut set) {
                self.error(place.clone(), problem);
            }
        }
        let mut hosts = self.hosts(entry, place);
        for host in &mut hosts {
            host.labels.clone_from(&set.labels);
            host.results_dir.clone_from(&set.results_dir);
            host.env.clone_from(&set.env);
        }
        hosts
    }

    /// Reads a cluster file's text: the management node's line, then one for
    /// each worker. Errors call it `name`. Some cluster unless there are errors.
    pub fn cluster_file(&mut self, name: &str, text: &str) -> Option<Cluster> {
        let mut lines = entry_lines(name, text).into_iter();
        let Some((place, first)) = lines.next() else {
            self.error(Place::File(name.to_owned()), HostProblem::NoHost);
            return None;
        };
        if lines.len() == 0 {
            self.error(Place::File(name.to_owned()), HostProblem::NoWorker);
        }
        let management = self.management(first, place);
        let workers = lines.flat_map(|(place, line)| self.hosts(line, &place)).collect();
        let file_name = Path::new(name).file_stem().map(|stem| stem.to_string_lossy().into_owned());
        Some(Cluster {
            name: file_name,
            management: Some(management?),
            workers,
            options: HostOptions::default(),
        })
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// Everything that was wrong, in the order of reading.
    pub fn finish(self) -> Result<(), HostErrors> {
        if self.errors.is_empty() { Ok(()) } else { Err(HostErrors(self.errors)) }
    }

    /// Adds what is wrong with a text that was read elsewhere.
    pub fn error(&mut self, place: Place, problem: impl Into<HostProblem>) {
        self.errors.push(HostError { place, problem: problem.into() });
    }

    /// One entry, when nothing is wrong with it.
    fn item(&mut self, text: &str, place: &Place) -> Option<Item> {
        let problems = match Item::parse(text) {
            Ok(item) => return Some(item),
            Err(problems) => problems,
        };
        for problem in problems {
            self.error(place.clone(), problem);
        }
        None
    }

    /// One entry's hosts; none of them when anything is wrong with it.
    fn hosts(&mut self, text: &str, place: &Place) -> Vec<HostEntry> {
        let Some(item) = self.item(text, place) else {
            return Vec::new();
        };
        let had_room = self.count <= MAX_HOSTS;
        self.count = self.count.saturating_add(item.count());
        if self.count > MAX_HOSTS {
            // Said where the limit is passed, not at every entry behind it.
            if had_room {
                self.error(place.clone(), HostProblem::TooMany(self.count));
            }
            return Vec::new();
        }
        let hosts = item.expand();
        self.note(&hosts, place);
        hosts
    }

    /// Notes that `hosts` are named at `place`; one error for those that
    /// were named before.
    fn note(&mut self, hosts: &[HostEntry], place: &Place) {
        let here = self.places.len();
        self.places.push(place.clone());
        let mut repeated: Option<(&HostEntry, usize)> = None;
        let mut count = 0;
        for host in hosts {
            match self.seen.entry(identity(host)) {
                Entry::Vacant(vacant) => {
                    vacant.insert(here);
                }
                Entry::Occupied(first) => {
                    repeated.get_or_insert((host, *first.get()));
                    count += 1;
                }
            }
        }
        if let Some((host, first)) = repeated {
            let name = host.label().map_or_else(|_| host.name.clone(), |label| label.to_string());
            let problem =
                HostProblem::Duplicate { name, more: count - 1, first: self.places[first].clone() };
            self.error(place.clone(), problem);
        }
    }

    /// The management node, which may be among the workers too. None when
    /// something is wrong with it.
    pub fn management(&mut self, text: &str, place: Place) -> Option<HostEntry> {
        let item = self.item(text, &place)?;
        if item.count() > 1 {
            let problem = HostProblem::SeveralManagementNodes(item.count());
            self.error(place, problem);
            return None;
        }
        let host = item.expand().pop()?;
        if host.slots.is_some() {
            self.error(place, HostProblem::ManagementSlots);
            return None;
        }
        Some(host)
    }
}

/// The settings behind an entry, each up to where the next one begins: a value may have
/// blanks in it.
fn settings(rest: &str) -> Vec<&str> {
    let begins = |at: &usize| {
        let is_word = rest[..*at].chars().next_back().is_none_or(char::is_whitespace);
        is_word && SETTINGS.iter().any(|name| rest[*at..].starts_with(name))
    };
    let starts: Vec<usize> = rest.char_indices().map(|(at, _)| at).filter(begins).collect();
    let ends = starts.iter().skip(1).copied().chain([rest.len()]);
    starts.iter().zip(ends).map(|(start, end)| rest[*start..end].trim_end()).collect()
}

/// Sets what a line of a hosts file says.
fn apply(setting: &str, host: &mut HostEntry) -> Result<(), HostProblem> {
    match setting.split_once('=') {
        Some(("labels", labels)) => {
            for label in labels.split(',').map(str::trim) {
                if !is_label(label) {
                    return Err(HostProblem::Label(excerpt(label)));
                }
                host.labels.push(label.to_owned());
            }
        }
        Some(("results_dir", dir)) => {
            check_results_dir(dir)?;
            host.results_dir = Some(dir.to_owned());
        }
        Some((name, value)) if name.starts_with("env.") => {
            let spec = JobSpec::default().env(&name["env.".len()..], value);
            if let Some(error) = spec.check_variables().into_iter().next() {
                return Err(HostProblem::Variable(error.to_string()));
            }
            host.env.extend(spec.env);
        }
        _ => return Err(HostProblem::Variable(format!("{setting:?}: expected env.NAME=VALUE"))),
    }
    Ok(())
}

fn identity(host: &HostEntry) -> Identity {
    (host.user.clone(), host.name.clone(), host.port)
}

/// The items of a list: it is split at the commas that are not in brackets.
pub fn items(list: &str) -> impl Iterator<Item = &str> {
    let mut in_brackets = false;
    list.split(move |c| {
        match c {
            '[' => in_brackets = true,
            ']' => in_brackets = false,
            _ => {}
        }
        c == ',' && !in_brackets
    })
    .map(str::trim)
}

/// The lines that hold an entry, without comments and blanks.
fn entry_lines<'a>(name: &str, text: &'a str) -> Vec<(Place, &'a str)> {
    let lines = text.lines().enumerate().map(|(i, line)| {
        let entry = line.split('#').next().unwrap_or_default().trim();
        let place = Place::Line { file: name.to_owned(), line: i + 1 };
        (place, entry)
    });
    lines.filter(|(_, entry)| !entry.is_empty()).collect()
}
