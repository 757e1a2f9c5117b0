//! `gjob.toml`: hosts, groups of hosts, clusters, and defaults for the options of
//! `gjob run`. There is the user's file and the project's, which counts first.
//!
//! Which options there are, the command line knows: here a default is a name and
//! values with their place.

mod document;
mod error;
mod labels;
mod locate;

use std::path::{Path, PathBuf};

use gjob_core::HostEntry;
use gjob_core::hosts::{Cluster, HostOptions, items};
use gjob_core::os_text::to_path;
use gjob_core::trust::Distrust;

pub use error::{ConfigError, ConfigErrors, ConfigProblem};

use crate::jobfile::place::Spot;

/// What the files say, the nearest file first.
#[derive(Debug, Default)]
pub struct Config {
    files: Vec<ConfigFile>,
    passed_over: Vec<PassedOver>,
}

/// A project's file that is not read, since it is another user's.
#[derive(Debug, thiserror::Error)]
#[error("passed over {path}: {why}", path = .path.display())]
pub struct PassedOver {
    path: PathBuf,
    why: Distrust,
}

/// One file.
#[derive(Debug, Default)]
struct ConfigFile {
    path: PathBuf,
    hosts: Vec<HostTable>,
    groups: Vec<Group>,
    defaults: Vec<DefaultOption>,
}

/// What is set for some hosts, wherever they are named.
#[derive(Debug)]
struct HostTable {
    names: Vec<HostEntry>,
    labels: Vec<String>,
    settings: HostSettings,
}

/// Hosts that are used together: a group or a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// The node by which the hosts can be reached.
    pub management: Option<HostEntry>,
    /// The hosts.
    pub hosts: Vec<HostEntry>,
    /// What is set for all of them.
    pub settings: HostSettings,
}

/// What a file sets for a host or a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostSettings {
    /// The user to log in as, unless an entry names one.
    pub user: Option<String>,
    /// The port, unless an entry names one.
    pub port: Option<u16>,
    /// How the hosts are reached and used.
    pub options: HostOptions,
}

/// A default for an option of `gjob run`.
#[derive(Debug)]
pub struct DefaultOption {
    /// The option's long name, without dashes.
    pub name: String,
    /// Its values.
    pub values: DefaultValues,
    spot: Spot,
    dir: PathBuf,
}

/// What an option is set to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DefaultValues {
    /// An option without a value is given, or not.
    Flag(bool),
    /// One value.
    One(String),
    /// The values of an option that can be repeated.
    Several(Vec<String>),
}

impl Config {
    /// Reads the project's file, the nearest one from `here` upwards, and the user's.
    /// Everything that is wrong with them is added to `errors`. A file that another user
    /// could have written is not read; a project's file of another user is passed over.
    #[must_use]
    pub fn read(here: &Path, errors: &mut Vec<ConfigError>) -> Config {
        let (mut files, mut passed_over) = (Vec::new(), Vec::new());
        for path in locate::paths(here, &mut passed_over) {
            match locate::text(&path) {
                Ok((text, real)) => files.push(document::read(&path, &real, &text, errors)),
                Err(error) => errors.push(*error),
            }
        }
        let config = Config { files, passed_over };
        errors.extend(config.unknown_groups());
        config
    }

    /// Groups that defaults name and no file has.
    fn unknown_groups(&self) -> Vec<ConfigError> {
        let mut errors = Vec::new();
        for default in self.files.iter().flat_map(|file| &file.defaults) {
            let lists = match &default.values {
                DefaultValues::One(list) => std::slice::from_ref(list),
                DefaultValues::Several(lists) => lists,
                DefaultValues::Flag(_) => &[],
            };
            let lists = lists.iter().filter(|_| default.name == "hosts");
            let named = lists.flat_map(|list| items(list)).filter_map(|it| it.strip_prefix('@'));
            for found in named.filter(|name| self.group(name).is_none()) {
                errors.push(default.error(self.no_group(found)));
            }
        }
        errors
    }

    /// The problem of a group that is not there.
    #[must_use]
    pub fn no_group(&self, found: &str) -> ConfigProblem {
        let known = self.group_names().iter().map(|name| format!("@{name}")).collect();
        ConfigProblem::UnknownGroup { found: found.to_owned(), known }
    }

    /// The project's files that were not read, the nearest first.
    #[must_use]
    pub fn passed_over(&self) -> &[PassedOver] {
        &self.passed_over
    }

    /// The files that were read, the nearest first.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|file| file.path.as_path())
    }

    /// The defaults: those of the nearest file, and those that only the other one has.
    pub fn defaults(&self) -> Vec<&DefaultOption> {
        let mut defaults: Vec<&DefaultOption> = Vec::new();
        for default in self.files.iter().flat_map(|file| &file.defaults) {
            if !defaults.iter().any(|known| known.name == default.name) {
                defaults.push(default);
            }
        }
        defaults
    }

    /// The hosts of a group or a cluster, or those with a label.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<Group> {
        let mut groups = self.files.iter().flat_map(|file| &file.groups);
        if let Some(group) = groups.find(|group| group.name == name) {
            return Some(group.clone());
        }
        let tables = self.files.iter().flat_map(|file| &file.hosts);
        let labelled = tables.filter(|table| table.labels.iter().any(|label| label == name));
        let mut hosts: Vec<HostEntry> = Vec::new();
        for host in labelled.flat_map(|table| &table.names) {
            if !hosts.contains(host) {
                hosts.push(host.clone());
            }
        }
        (!hosts.is_empty()).then(|| Group { name: name.to_owned(), hosts, ..Group::default() })
    }

    /// The names of all groups, clusters and labels.
    #[must_use]
    pub fn group_names(&self) -> Vec<&str> {
        let groups = self.files.iter().flat_map(|file| &file.groups);
        let tables = self.files.iter().flat_map(|file| &file.hosts);
        let labels = tables.flat_map(|table| &table.labels).map(String::as_str);
        let mut names: Vec<&str> = groups.map(|group| group.name.as_str()).chain(labels).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The names of all hosts.
    #[must_use]
    pub fn host_names(&self) -> Vec<&str> {
        let tables = self.files.iter().flat_map(|file| &file.hosts);
        let groups = self.files.iter().flat_map(|file| &file.groups);
        let hosts = tables.flat_map(|table| &table.names).chain(groups.flat_map(|it| &it.hosts));
        let mut names: Vec<&str> = hosts.map(|host| host.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Some hosts as clusters whose options are those that the files set for them: one
    /// for all hosts with the same. What is `given` on the command line is not set.
    #[must_use]
    pub fn clusters(&self, group: Group, given: &HostOptions) -> Vec<Cluster> {
        let name = Some(group.name).filter(|name| !name.is_empty());
        let mut clusters: Vec<Cluster> = Vec::new();
        for mut host in group.hosts {
            let settings = self.settings_of(&host.name).or(&group.settings);
            let own = HostOptions {
                results_dir: host.results_dir.take(),
                env: std::mem::take(&mut host.env),
                ..HostOptions::default()
            };
            let options = own.or(&settings.options.unless(given));
            let user = host.user.or(settings.user);
            let mut labels = host.labels;
            labels.extend(self.labels_of(&host.name));
            let host = HostEntry { port: host.port.or(settings.port), user, labels, ..host };
            match clusters.iter_mut().find(|cluster| cluster.options == options) {
                Some(cluster) => cluster.workers.push(host),
                None => clusters.push(Cluster {
                    name: name.clone(),
                    management: group.management.clone(),
                    workers: vec![host],
                    options,
                }),
            }
        }
        clusters
    }

    /// What the files set for a host itself.
    fn settings_of(&self, name: &str) -> HostSettings {
        let tables = self.files.iter().flat_map(|file| &file.hosts);
        let tables = tables.filter(|table| table.names.iter().any(|host| host.name == name));
        tables.fold(HostSettings::default(), |settings, table| settings.or(&table.settings))
    }
}

impl HostSettings {
    /// These settings, completed with others.
    fn or(self, others: &HostSettings) -> HostSettings {
        HostSettings {
            user: self.user.or_else(|| others.user.clone()),
            port: self.port.or(others.port),
            options: self.options.or(&others.options),
        }
    }
}

impl DefaultOption {
    /// A value that is a path: relative ones begin at the file's directory, `~/` is the
    /// home directory.
    #[must_use]
    pub fn path(&self, value: &str) -> PathBuf {
        path(&self.dir, value)
    }

    /// What is wrong with it, at its place.
    #[must_use]
    pub fn error(&self, problem: ConfigProblem) -> ConfigError {
        ConfigError { spot: self.spot.clone(), problem }
    }
}

fn path(dir: &Path, text: &str) -> PathBuf {
    match (text.strip_prefix("~/"), std::env::home_dir()) {
        (Some(below), Some(home)) => home.join(to_path(below)),
        _ => dir.join(to_path(text)),
    }
}
