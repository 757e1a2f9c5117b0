//! Cluster files: the original's text format, one host per line, and TOML,
//! which can also say how the hosts of each cluster are reached and used.
//!
//! ```toml
//! [cluster.pods]
//! hosts = "pod[1-4]"
//! connect = ["kubectl", "exec", "-i", "{host}", "--"]
//! results_dir = "/scratch/gjob"
//! slots = 2
//! ```

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;

use gjob_core::hosts::{Cluster, HostEntry, HostProblem, HostReader, Place};
use toml::de::DeValue;

use crate::host_tables::{HostTables, Key, Value};
use crate::toml_text::in_order;
use crate::trust::{PlaceError, check_open, resolve};

/// What a TOML file may hold.
const TABLES: [&str; 1] = ["cluster"];

/// What a cluster's table may hold.
const KEYS: [&str; 5] = ["hosts", "management", "connect", "results_dir", "slots"];

/// What is in a cluster file that nobody else could have written: it says which programs
/// are run, and where jobs go.
///
/// # Errors
/// When it cannot be read, or another user could have written it.
pub fn contents(path: &Path) -> io::Result<Vec<u8>> {
    // Before it is opened: another user's pipe would be waited for.
    let resolved = resolve(path);
    if let Err(error @ PlaceError::Distrusted { .. }) = resolved {
        return Err(io::Error::other(Unsafe(error)));
    }
    let mut file = File::open(path)?;
    // A pipe of a shell's has no place.
    if resolved.is_err() {
        check_open(&file)?;
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Another user could have written the file.
#[derive(Debug, thiserror::Error)]
#[error("not relied on: {0}\nhelp: copy it to a directory that only you can write to")]
struct Unsafe(PlaceError);

/// Reads the text of a cluster file with `reader`, which keeps what is wrong
/// with it. A file whose name ends in `.toml` is TOML; a relative program in it
/// is one below the file's directory.
pub fn read(reader: &mut HostReader, name: &str, text: &str) -> Vec<Cluster> {
    if name.ends_with(".toml") {
        let absolute = std::path::absolute(name).unwrap_or_default();
        let dir = absolute.parent().unwrap_or(Path::new("/"));
        Document { reader, name, dir, text }.read()
    } else {
        reader.cluster_file(name, text).into_iter().collect()
    }
}

/// A TOML text that is being read.
struct Document<'a> {
    reader: &'a mut HostReader,
    name: &'a str,
    /// Where its file is.
    dir: &'a Path,
    text: &'a str,
}

impl HostTables for Document<'_> {
    fn dir(&self) -> &Path {
        self.dir
    }

    fn host_problem(&mut self, span: &Range<usize>, problem: HostProblem) {
        self.reader.error(self.place(span), problem);
    }
}

impl Document<'_> {
    fn read(mut self) -> Vec<Cluster> {
        let Some(document) = self.document(self.text) else { return Vec::new() };
        let mut clusters = Vec::new();
        for (key, value) in in_order(document.get_ref()) {
            match (key.get_ref().as_ref(), value.get_ref()) {
                ("cluster", DeValue::Table(tables)) => {
                    let tables = in_order(tables);
                    clusters.extend(tables.into_iter().filter_map(|(key, v)| self.cluster(key, v)));
                }
                ("cluster", _) => self.wrong_type(key, value, "tables [cluster.NAME]"),
                _ => self.unknown(key, &TABLES, "tables [cluster.NAME]"),
            }
        }
        if document.get_ref().is_empty() {
            self.reader.error(Place::File(self.name.to_owned()), HostProblem::NoCluster);
        }
        clusters
    }

    fn cluster(&mut self, key: &Key<'_>, value: &Value<'_>) -> Option<Cluster> {
        let DeValue::Table(table) = value.get_ref() else {
            self.wrong_type(key, value, "a table");
            return None;
        };
        let name = key.get_ref().to_string();
        self.check_name(&name, &key.span());
        let mut cluster = Cluster { name: Some(name.clone()), ..Cluster::default() };
        let mut has_hosts = false;
        for (key, value) in in_order(table) {
            match key.get_ref().as_ref() {
                "hosts" => {
                    let is_empty = value.get_ref().as_array().is_some_and(|list| list.is_empty());
                    has_hosts = !is_empty;
                    cluster.workers = self.hosts(key, value);
                }
                "management" => cluster.management = self.management(key, value),
                "connect" => cluster.options.connect = self.connect(key, value),
                "results_dir" => cluster.options.results_dir = self.results_dir(key, value),
                "slots" => cluster.options.slots = self.slots(key, value),
                _ => self.unknown(key, &KEYS, "hosts, management, connect, results_dir or slots"),
            }
        }
        if !has_hosts {
            self.host_problem(&key.span(), HostProblem::MissingHosts(name));
        }
        Some(cluster)
    }

    fn hosts(&mut self, key: &Key<'_>, value: &Value<'_>) -> Vec<HostEntry> {
        let expected = "a host list or an array of them";
        let lists = self.texts(key, value, expected);
        lists.iter().flat_map(|(at, list)| self.reader.list_at(&self.place(at), list)).collect()
    }

    fn management(&mut self, key: &Key<'_>, value: &Value<'_>) -> Option<HostEntry> {
        let host = self.text(key, value, "a host")?;
        self.reader.management(&host, self.place(&value.span()))
    }

    /// The line on which some bytes of the text begin.
    fn place(&self, span: &Range<usize>) -> Place {
        let before = self.text.as_bytes().iter().take(span.start);
        let line = before.filter(|byte| **byte == b'\n').count() + 1;
        Place::Line { file: self.name.to_owned(), line }
    }
}

#[cfg(test)]
mod tests {
    use gjob_core::HostOptions;

    use super::*;

    fn read_toml(text: &str) -> Result<Vec<Cluster>, String> {
        let mut reader = HostReader::new();
        let clusters = read(&mut reader, "c.toml", text);
        reader.finish().map(|()| clusters).map_err(|errors| errors.to_string())
    }

    fn labels(cluster: &Cluster) -> Vec<String> {
        cluster.workers.iter().map(|host| host.label().unwrap().to_string()).collect()
    }

    #[test]
    fn pipe_that_others_can_write_to_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hosts");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, mode).unwrap();
        let all = std::os::unix::fs::PermissionsExt::from_mode(0o666);
        std::fs::set_permissions(&path, all).unwrap();
        let error = contents(&path).unwrap_err().to_string();
        assert!(error.contains("other users can write to it"), "{error}");
    }

    #[test]
    fn clusters_come_in_the_files_order_each_with_its_options() {
        let clusters = read_toml(
            "[cluster.pods]\n\
             hosts = 'pod[1-2]'\n\
             connect = ['kubectl', 'exec', '-i', '{host}', '--']\n\
             slots = 0x10\n\
             [cluster.lab]\n\
             management = 'admin@gate'\n\
             hosts = ['n1,2/n[2-3]:22', 'n4']\n\
             results_dir = '/scratch/me'\n\
             [cluster.boxes]\n\
             hosts = 'box'\n\
             connect = \"./docker exec -i 'a {host}'\"\n",
        )
        .unwrap();
        let names: Vec<_> =
            clusters.iter().map(|cluster| cluster.name.as_deref().unwrap()).collect();
        assert_eq!(names, ["pods", "lab", "boxes"]);
        assert_eq!(labels(&clusters[0]), ["pod1", "pod2"]);
        let connect = "kubectl exec -i {host} --".parse().ok();
        let options = HostOptions { connect, slots: Some(16), ..HostOptions::default() };
        assert_eq!(clusters[0].options, options);
        assert_eq!(labels(&clusters[1]), ["n1", "n2:22", "n3:22", "n4"]);
        assert_eq!(clusters[1].workers[1].slots, Some(2));
        assert_eq!(clusters[1].management.as_ref().unwrap().destination(), "admin@gate");
        assert_eq!(clusters[1].options.results_dir.as_deref(), Some("/scratch/me"));
        let words = clusters[2].options.connect.as_ref().unwrap().words();
        let program = std::env::current_dir().unwrap().join("./docker").display().to_string();
        assert_eq!(words, [&program, "exec", "-i", "a {host}"]);
    }

    #[test]
    fn everything_wrong_is_reported_at_once_with_its_line() {
        let errors = read_toml(
            "clutser = 1\n\
             [cluster.a]\n\
             hosts = ['n1', 7, '-x']\n\
             conect = ['x']\n\
             engine = 'slurm'\n\
             slots = 0\n\
             results_dir = \"a\\nb\"\n\
             [cluster.b]\n\
             connect = ['x', '{hots}']\n\
             [cluster.c]\n\
             hosts = 'n1'\n\
             connect = \"x '\"\n\
             management = '2/gate'\n\
             [cluster.'d e']\n\
             hosts = ''\n\
             connect = []\n\
             [cluster.f]\n\
             hosts = []\n",
        )
        .unwrap_err();
        let expected = r#"c.toml:1: unknown key "clutser": did you mean "cluster"?
c.toml:3: invalid hosts: expected a host list or an array of them, found an integer
c.toml:3: invalid host name "-x": expected up to 200 letters, digits and -._, not starting with a dash
c.toml:4: unknown key "conect": did you mean "connect"?
c.toml:5: unknown key "engine": expected hosts, management, connect, results_dir or slots
c.toml:6: invalid slots "0": expected a number from 1 to 10000
c.toml:7: invalid results directory "a\nb": expected a path of at most 4096 bytes, at most 255 of each name, without newlines and NUL characters
c.toml:9: unknown placeholder {hots} in the connect command: expected {host}, {user} or {port}
c.toml:8: cluster b has no hosts: expected hosts = "node[1-4]" or a list of such texts
c.toml:11: host "n1" is named twice, first at c.toml:3
c.toml:12: invalid connect command "x '": a quote or a backslash at its end is not closed
c.toml:13: the management node runs no jobs: expected [USER@]NAME[:PORT], without slots
c.toml:14: invalid cluster name "d e": expected up to 40 letters, digits and -_
c.toml:15: empty entry: expected [SLOTS/][USER@]NAME[:PORT]
c.toml:16: invalid connect command "": expected a program and its arguments, such as docker exec -i {host}
c.toml:17: cluster f has no hosts: expected hosts = "node[1-4]" or a list of such texts"#;
        assert_eq!(errors, expected);
    }

    #[test]
    fn a_text_that_is_no_toml_or_has_no_clusters_is_refused() {
        let error = read_toml("[cluster.a\nhosts = 'x'\n").unwrap_err();
        assert!(error.starts_with("c.toml:1: invalid TOML: "), "{error}");
        assert_eq!(
            read_toml("# none\n").unwrap_err(),
            "c.toml: no clusters: expected tables [cluster.NAME]"
        );
        let error = read_toml("cluster = 3").unwrap_err();
        assert_eq!(
            error,
            "c.toml:1: invalid cluster: expected tables [cluster.NAME], found an integer"
        );
        let error = read_toml("cluster.a = 3").unwrap_err();
        assert_eq!(error, "c.toml:1: invalid a: expected a table, found an integer");
    }

    #[test]
    fn other_files_name_their_management_node_and_workers_line_by_line() {
        let mut reader = HostReader::new();
        let clusters = read(&mut reader, "dir/lab.txt", "gate\nn[1-2]\n");
        reader.finish().unwrap();
        assert_eq!(clusters[0].name.as_deref(), Some("lab"));
        assert_eq!(labels(&clusters[0]), ["n1", "n2"]);
    }
}
