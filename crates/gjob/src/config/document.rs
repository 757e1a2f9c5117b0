//! One file's text as tables.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gjob_core::hosts::{HostProblem, HostReader, parse_list};
use gjob_core::os_text::from_os;
use gjob_core::{HostEntry, JobSpec};
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, ConfigProblem};
use super::{ConfigFile, DefaultOption, DefaultValues, Group, HostSettings, HostTable};
use crate::host_tables::{HostTables, Key, Value};
use crate::jobfile::place::{Span, Text};
use crate::limits::set_limit;
use crate::toml_text::in_order;

/// What a file may hold.
const TABLES: &[&str] = &["defaults", "host", "group", "cluster"];
const ALL_TABLES: &str = "[defaults], [host.NAME], [group.NAME] or [cluster.NAME]";

/// What can be set for a host and for a group.
const SETTINGS: &[&str] = &[
    "user",
    "port",
    "slots",
    "results_dir",
    "env",
    "setup",
    "teardown",
    "connect",
    "ssh_config",
    "blob_budget",
    "min_free",
    "load",
    "nice",
    "delay",
    "oversubscribe",
];

/// Reads the text of the file at `path`, which really is at `real`. What is wrong with it is added to `errors`.
pub(super) fn read(
    path: &Path,
    real: &Path,
    text: &str,
    errors: &mut Vec<ConfigError>,
) -> ConfigFile {
    let name = from_os(path.as_os_str()).into_owned();
    let text = Text { file: name, text: text.to_owned() };
    let dir = real.parent().unwrap_or(Path::new("/"));
    let file = ConfigFile { path: path.to_owned(), ..ConfigFile::default() };
    let mut document = Document { text: &text, dir, errors, file };
    document.read();
    document.file
}

struct Document<'a> {
    text: &'a Text,
    /// Where relative paths begin.
    dir: &'a Path,
    errors: &'a mut Vec<ConfigError>,
    file: ConfigFile,
}

impl HostTables for Document<'_> {
    fn dir(&self) -> &Path {
        self.dir
    }

    fn host_problem(&mut self, span: &Span, problem: HostProblem) {
        self.error(span, problem);
    }
}

impl Document<'_> {
    fn read(&mut self) {
        let text = self.text;
        let Some(document) = self.document(&text.text) else { return };
        for (key, value) in in_order(document.get_ref()) {
            let DeValue::Table(table) = value.get_ref() else {
                match TABLES.contains(&key.get_ref().as_ref()) {
                    true => self.wrong_type(key, value, "a table"),
                    false => self.unknown(key, TABLES, ALL_TABLES),
                }
                continue;
            };
            match key.get_ref().as_ref() {
                "defaults" => self.defaults(table),
                "host" => self.tables(table, Self::host),
                "group" => self.tables(table, |it, key, table| it.group(key, table, false)),
                "cluster" => self.tables(table, |it, key, table| it.group(key, table, true)),
                _ => self.unknown(key, TABLES, ALL_TABLES),
            }
        }
    }

    fn tables(
        &mut self,
        tables: &DeTable<'_>,
        mut read: impl FnMut(&mut Self, &Key<'_>, &DeTable<'_>),
    ) {
        for (key, value) in in_order(tables) {
            match value.get_ref() {
                DeValue::Table(table) => read(self, key, table),
                _ => self.wrong_type(key, value, "a table"),
            }
        }
    }

    /// `[host.NAME]`; the name may have ranges.
    fn host(&mut self, key: &Key<'_>, table: &DeTable<'_>) {
        let names = self.hosts_in(key.get_ref(), &key.span());
        let is_more = |it: &HostEntry| it.slots.is_some() || it.user.is_some() || it.port.is_some();
        if names.iter().any(is_more) {
            self.error(&key.span(), HostProblem::Name(key.get_ref().to_string()));
        }
        let (mut labels, mut settings) = (Vec::new(), HostSettings::default());
        for (key, value) in in_order(table) {
            match key.get_ref().as_ref() {
                "labels" => {
                    for (span, label) in self.texts(key, value, "a label or an array of them") {
                        self.check_name(&label, &span);
                        labels.push(label);
                    }
                }
                name if SETTINGS.contains(&name) => self.setting(key, value, &mut settings),
                _ => self.unknown_setting(key, &["labels"]),
            }
        }
        self.file.hosts.push(HostTable { names, labels, settings });
    }

    /// `[group.NAME]` or `[cluster.NAME]`.
    fn group(&mut self, key: &Key<'_>, table: &DeTable<'_>, is_cluster: bool) {
        let name = key.get_ref().to_string();
        self.check_name(&name, &key.span());
        if self.file.groups.iter().any(|group| group.name == name) {
            self.error(&key.span(), ConfigProblem::Duplicate(name.clone()));
        }
        let mut group = Group { name, ..Group::default() };
        let more: &[&str] = if is_cluster { &["hosts", "management"] } else { &["hosts"] };
        for (key, value) in in_order(table) {
            match key.get_ref().as_ref() {
                "hosts" => {
                    let lists = self.texts(key, value, "a host list or an array of them");
                    for (span, list) in lists {
                        group.hosts.extend(self.hosts_in(&list, &span));
                    }
                }
                "management" if is_cluster => group.management = self.management(key, value),
                name if SETTINGS.contains(&name) => self.setting(key, value, &mut group.settings),
                _ => self.unknown_setting(key, more),
            }
        }
        if !table.keys().any(|key| key.get_ref() == "hosts") {
            self.error(&key.span(), HostProblem::MissingHosts(group.name.clone()));
        }
        self.file.groups.push(group);
    }

    fn setting(&mut self, key: &Key<'_>, value: &Value<'_>, settings: &mut HostSettings) {
        let span = value.span();
        let options = &mut settings.options;
        match key.get_ref().as_ref() {
            "port" => {
                let port = self.number(key, value, 65535, HostProblem::Port);
                settings.port = port.and_then(|port| port.try_into().ok());
            }
            "slots" => options.slots = self.slots(key, value),
            "connect" => options.connect = self.connect(key, value),
            "results_dir" => options.results_dir = self.results_dir(key, value),
            "env" => options.env = self.env(key, value),
            "min_free" | "load" | "nice" | "delay" | "oversubscribe" => {
                let Some(text) = self.scalar(key, value) else { return };
                let name = key.get_ref().replace('_', "-");
                if let Err(error) = set_limit(&mut options.limits, &name, &text) {
                    self.error(&span, error);
                }
            }
            name => {
                let Some(text) = self.text(key, value, "a text") else { return };
                match name {
                    "setup" => options.setup = Some(text),
                    "teardown" => options.teardown = Some(text),
                    "user" => match parse_list(&format!("{text}@host")).as_deref() {
                        Ok([HostEntry { user: Some(user), .. }]) if *user == text => {
                            settings.user = Some(text);
                        }
                        _ => self.error(&span, HostProblem::User(text)),
                    },
                    "blob_budget" => match crate::units::parse_size(&text) {
                        Ok(size) => options.blob_budget = Some(size),
                        Err(error) => self.error(&span, error),
                    },
                    _ => options.ssh_config = Some(self.path(&text)),
                }
            }
        }
    }

    /// Variables for the jobs on a host.
    fn env(&mut self, key: &Key<'_>, value: &Value<'_>) -> BTreeMap<String, String> {
        let DeValue::Table(variables) = value.get_ref() else {
            self.wrong_type(key, value, "a table of variables");
            return BTreeMap::new();
        };
        let mut env = BTreeMap::new();
        for (name, value) in in_order(variables) {
            let text = self.scalar(name, value);
            env.extend(text.map(|text| (name.get_ref().to_string(), text)));
        }
        let mut spec = JobSpec::default();
        spec.env.clone_from(&env);
        for error in spec.check_variables() {
            self.error(&value.span(), error);
        }
        env
    }

    fn path(&self, text: &str) -> PathBuf {
        super::path(self.dir, text)
    }

    fn management(&mut self, key: &Key<'_>, value: &Value<'_>) -> Option<HostEntry> {
        let host = self.text(key, value, "a host")?;
        let mut reader = HostReader::new();
        let place = gjob_core::hosts::Place::File(String::new());
        let found = reader.management(&host, place);
        self.host_problems(reader.finish(), &value.span());
        found
    }

    /// `[defaults]`.
    fn defaults(&mut self, table: &DeTable<'_>) {
        for (key, value) in in_order(table) {
            let name = key.get_ref().replace('_', "-");
            let values = match value.get_ref() {
                DeValue::Boolean(is) => DefaultValues::Flag(*is),
                DeValue::Array(values) => {
                    let values = values.iter().filter_map(|it| self.scalar(key, it));
                    DefaultValues::Several(values.collect())
                }
                DeValue::Table(variables) => DefaultValues::Several(self.pairs(variables)),
                _ => match self.scalar(key, value) {
                    Some(text) => DefaultValues::One(text),
                    None => continue,
                },
            };
            if name == "hosts" {
                self.check_hosts(key, value);
            }
            let spot = self.text.spot(&value.span());
            let dir = self.dir.to_owned();
            self.file.defaults.push(DefaultOption { name, values, spot, dir });
        }
    }

    /// `NAME=VALUE` for each entry.
    fn pairs(&mut self, variables: &DeTable<'_>) -> Vec<String> {
        let mut pairs = Vec::new();
        for (name, value) in in_order(variables) {
            pairs.extend(self.scalar(name, value).map(|text| format!("{}={text}", name.get_ref())));
        }
        pairs
    }

    /// A text, or a number as it is written.
    fn scalar(&mut self, key: &Key<'_>, value: &Value<'_>) -> Option<String> {
        match value.get_ref() {
            DeValue::Integer(number) => Some(number.to_string()),
            DeValue::Float(number) => Some(number.to_string()),
            _ => self.text(key, value, "a text or a number"),
        }
    }

    /// Looks at host lists in which groups are named, too.
    fn check_hosts(&mut self, key: &Key<'_>, value: &Value<'_>) {
        for (span, list) in self.texts(key, value, "a host list or an array of them") {
            for item in gjob_core::hosts::items(&list).filter(|item| !item.starts_with('@')) {
                self.hosts_in(item, &span);
            }
        }
    }

    fn hosts_in(&mut self, list: &str, span: &Span) -> Vec<HostEntry> {
        match parse_list(list) {
            Ok(hosts) => hosts,
            Err(errors) => {
                self.host_problems(Err(errors), span);
                Vec::new()
            }
        }
    }

    fn host_problems(&mut self, result: Result<(), gjob_core::hosts::HostErrors>, span: &Span) {
        for error in result.err().into_iter().flat_map(|errors| errors.0) {
            self.error(span, error.problem);
        }
    }

    fn unknown_setting(&mut self, key: &Key<'_>, more: &[&'static str]) {
        let known = [more, SETTINGS].concat();
        let expected = match more {
            ["labels"] => {
                "labels, user, port, slots, results_dir, env, setup, teardown, connect, ssh_config, \
                 blob_budget, min_free, load, nice, delay or oversubscribe"
            }
            _ => {
                "hosts, user, port, slots, results_dir, env, setup, teardown, connect, ssh_config, \
                 blob_budget, min_free, load, nice, delay or oversubscribe"
            }
        };
        self.unknown(key, &known, expected);
    }

    fn error(&mut self, span: &Span, problem: impl Into<ConfigProblem>) {
        self.errors.push(ConfigError { spot: self.text.spot(span), problem: problem.into() });
    }
}
