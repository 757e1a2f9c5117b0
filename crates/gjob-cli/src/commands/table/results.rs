//! What jobs have written: the rows of their CSV files, the keys of their JSON.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use gjob::settings::OutputSettings;
use gjob_core::Job;
use gjob_core::jobdir::OwnFile;
use gjob_core::os_text::{from_os, to_path};
use gjob_core::output::{OutputPattern, PatternError};
use gjob_core::plain_text;
use gjob_core::wire::Stream;
use serde_json::{Map, Value};

use super::cell::Cell;
use crate::commands::job_outputs::JobOutputs;

/// The values of a row, by the names of their columns.
pub(super) type Record = Vec<(String, Cell)>;

/// The largest file that is read, bytes.
const MAX_BYTES: u64 = 256 << 20;

/// As deep below a job's directory files are looked for.
const MAX_DEPTH: usize = 32;

/// What the jobs of a run have written to files that match a pattern.
pub(super) struct Results<'a> {
    /// Where the jobs' directories are.
    pub(super) dir: PathBuf,
    pub(super) settings: OutputSettings,
    pub(super) outputs: JobOutputs,
    pub(super) wanted: &'a Wanted,
}

/// Where the results of jobs are.
pub(super) enum Wanted {
    /// They are not wanted.
    Nothing,
    /// In what a job has printed.
    Stream(Stream),
    /// In its files that match.
    Files(OutputPattern),
}

impl Wanted {
    /// What a user names.
    pub(super) fn read(text: Option<&str>) -> Result<Self, PatternError> {
        match text {
            None => Ok(Wanted::Nothing),
            Some(text) if text == OwnFile::Stdout.name() => Ok(Wanted::Stream(Stream::Stdout)),
            Some(text) if text == OwnFile::Stderr.name() => Ok(Wanted::Stream(Stream::Stderr)),
            Some(text) => OutputPattern::new(text).map(Wanted::Files),
        }
    }
}

impl Results<'_> {
    /// The rows of a job: none if it has no file that matches.
    pub(super) fn of(&mut self, job: &Job) -> anyhow::Result<Vec<Record>> {
        let pattern = match self.wanted {
            Wanted::Nothing => return Ok(Vec::new()),
            Wanted::Stream(stream) => return self.of_stream(job, *stream),
            Wanted::Files(pattern) => pattern,
        };
        let dir = self.dir.join(self.settings.job_dir_name(job.name(), job.index));
        let mut paths = Vec::new();
        match pattern.literal() {
            Some(path) => paths.push(path.to_owned()),
            None => find(&dir, "", MAX_DEPTH, pattern, &mut paths)?,
        }
        paths.sort_unstable();
        let mut records = Vec::new();
        for path in paths {
            let file = dir.join(to_path(&path));
            let Some(bytes) = read(&file).with_context(|| path.clone())? else { continue };
            records.extend(rows(&path, &bytes).with_context(|| path.clone())?);
        }
        Ok(records)
    }

    /// What a job has printed, fetched or not.
    fn of_stream(&mut self, job: &Job, stream: Stream) -> anyhow::Result<Vec<Record>> {
        if job.id().is_none() {
            return Ok(Vec::new());
        }
        let mut bounded = Bounded::default();
        self.outputs.copy(job, stream, &mut bounded)?;
        lines(&bounded.0)
    }
}

/// What is read of an output, which may be endless.
#[derive(Default)]
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if (self.0.len() + bytes.len()) as u64 > MAX_BYTES {
            let text = format!("it has more than {MAX_BYTES} bytes");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Files below a directory that match; links are not followed.
fn find(
    dir: &Path,
    below: &str,
    depth: usize,
    pattern: &OutputPattern,
    found: &mut Vec<String>,
) -> anyhow::Result<()> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| dir.display().to_string()),
    };
    for entry in entries {
        let entry = entry.with_context(|| dir.display().to_string())?;
        let name = from_os(&entry.file_name()).into_owned();
        let path = if below.is_empty() { name } else { format!("{below}/{name}") };
        let kind = entry.file_type()?;
        if kind.is_dir() && depth > 0 && pattern.may_match_below(&path) {
            find(&entry.path(), &path, depth - 1, pattern, found)?;
        } else if kind.is_file() && pattern.matches(&path) {
            found.push(path);
        }
    }
    Ok(())
}

/// The content of a regular file; none if there is none.
fn read(path: &Path) -> anyhow::Result<Option<Vec<u8>>> {
    match fs::metadata(path) {
        Ok(found) if !found.is_file() => bail!("it is no regular file"),
        Ok(found) if found.len() > MAX_BYTES => {
            bail!("it has {} bytes: expected at most {MAX_BYTES}", found.len())
        }
        Ok(_) => Ok(Some(fs::read(path)?)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The rows of a file, by the end of its name.
fn rows(path: &str, bytes: &[u8]) -> anyhow::Result<Vec<Record>> {
    let end = path.rsplit('/').next().and_then(|name| name.rsplit_once('.')).map(|(_, end)| end);
    match end.map(str::to_lowercase).as_deref() {
        Some("csv") => separated(bytes, b','),
        Some("tsv") => separated(bytes, b'\t'),
        Some("json") => json(bytes),
        _ => lines(bytes),
    }
}

fn separated(bytes: &[u8], delimiter: u8) -> anyhow::Result<Vec<Record>> {
    let body = plain_text::body(bytes)?;
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(body);
    let mut heads = Heads::default();
    let heads: Vec<String> = reader.headers()?.iter().map(|head| heads.own(head)).collect();
    let mut records = Vec::new();
    for row in reader.records() {
        let row = row?;
        let cells = heads.iter().zip(&row);
        records.push(cells.map(|(head, cell)| (head.clone(), Cell::written(cell))).collect());
    }
    Ok(records)
}

/// An object, or a list of objects.
fn json(bytes: &[u8]) -> anyhow::Result<Vec<Record>> {
    match serde_json::from_slice(plain_text::body(bytes)?)? {
        Value::Object(members) => Ok(vec![record(members)]),
        Value::Array(items) => items
            .into_iter()
            .map(|item| match item {
                Value::Object(members) => Ok(record(members)),
                other => Err(anyhow!("expected a list of objects, found {other}")),
            })
            .collect(),
        other => Err(anyhow!("expected an object or a list of objects, found {other}")),
    }
}

/// The lines that are objects; others may be there, too.
fn lines(bytes: &[u8]) -> anyhow::Result<Vec<Record>> {
    let body = plain_text::body(bytes)?;
    let object = |line: &[u8]| match serde_json::from_slice(line) {
        Ok(Value::Object(members)) => Some(record(members)),
        _ => None,
    };
    Ok(plain_text::lines(body)
        .filter(|line| line.first() == Some(&b'{'))
        .filter_map(object)
        .collect())
}

/// Names of columns, each once: `x`, `x.2`, `x.3`.
#[derive(Default)]
struct Heads(BTreeMap<String, u32>);

impl Heads {
    fn own(&mut self, name: &str) -> String {
        let mut own = name.to_owned();
        while self.0.contains_key(&own) {
            let number = self.0.entry(name.to_owned()).or_insert(1);
            *number += 1;
            own = format!("{name}.{number}");
        }
        self.0.insert(own.clone(), 1);
        own
    }
}

fn record(members: Map<String, Value>) -> Record {
    let mut record = Record::new();
    flatten("", members, &mut record);
    let mut heads = Heads::default();
    record.iter_mut().for_each(|(name, _)| *name = heads.own(name));
    record
}

/// Objects in objects become columns of their own: `loss.train`.
fn flatten(above: &str, members: Map<String, Value>, record: &mut Record) {
    for (name, value) in members {
        let name = if above.is_empty() { name } else { format!("{above}.{name}") };
        match value {
            Value::Object(members) if !members.is_empty() => flatten(&name, members, record),
            other => record.push((name, Cell::json(other))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(records: &[Record]) -> Vec<Vec<String>> {
        let text = |(name, cell): &(String, Cell)| format!("{name}={cell}");
        records.iter().map(|record| record.iter().map(text).collect()).collect()
    }

    #[test]
    fn rows_of_every_kind_of_file_are_read() {
        let twice = texts(&rows("r.csv", b"x,x,x\n1,2,3\n").unwrap());
        assert_eq!(twice, [["x=1", "x.2=2", "x.3=3"]]);
        let nested = texts(&rows("r.json", br#"{"a.b": 1, "a": {"b": 2}}"#).unwrap());
        assert_eq!(nested, [["a.b=2", "a.b.2=1"]]);
        let csv = "\u{feff}a,b\r\n1,\"x, y\"\r\n2,\r\n";
        let read = texts(&rows("r.csv", csv.as_bytes()).unwrap());
        assert_eq!(read, [["a=1", "b=x, y"], ["a=2", "b="]]);
        let read = texts(&rows("d/r.tsv", b"a\tb\n1\t2\n").unwrap());
        assert_eq!(read, [["a=1", "b=2"]]);
        let json = r#"{"loss": {"train": 0.5, "test": null}, "ok": true, "list": [1, 2]}"#;
        let expected = ["list=[1,2]", "loss.test=", "loss.train=0.5", "ok=true"];
        assert_eq!(texts(&rows("r.json", json.as_bytes()).unwrap()), [expected]);
        assert_eq!(rows("r.json", b"[{\"a\":1},{\"a\":2}]").unwrap().len(), 2);
        let log = "epoch 1\n{\"a\": 1}\n{not json\n{\"a\": 2}";
        assert_eq!(texts(&rows("log", log.as_bytes()).unwrap()), [["a=1"], ["a=2"]]);
    }

    #[test]
    fn malformed_files_are_refused() {
        for (path, content) in [("r.csv", "a,b\n1\n"), ("r.json", "[1]"), ("r.json", "{")] {
            assert!(rows(path, content.as_bytes()).is_err(), "{path}: {content}");
        }
    }
}
