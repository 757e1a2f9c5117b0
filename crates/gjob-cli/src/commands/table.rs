//! `gjob table`: one row for each job, with its parameters, what became of it, and what it
//! has written to a CSV or JSON file.

mod cell;
mod results;
mod sqlite;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io::{self, IsTerminal, Write};
use std::path::Path;

use anyhow::{Context, anyhow};
use gjob_core::plural::counted;
use gjob_core::{Job, State};

use self::cell::Cell;
use self::results::{Record, Results, Wanted};
use super::job_outputs::JobOutputs;
use super::{Recorded, find_run, read_run, selection};
use crate::cli::{TableArgs, TableFormat};
use crate::exit::{ALL_DONE, Failure, NOT_ALL_DONE, print_error};

/// The columns before and behind the parameters, which every table has.
const FIRST: [&str; 2] = ["index", "name"];
const LAST: [&str; 10] = [
    "host",
    "state",
    "exit",
    "attempt",
    "started",
    "ended",
    "seconds",
    "max_rss_kib",
    "read_bytes",
    "written_bytes",
];

/// Rows below named columns.
pub(super) struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<Cell>>,
}

pub(crate) fn run(args: &TableArgs) -> Result<u8, Failure> {
    let wanted = Wanted::read(args.pattern.as_deref()).map_err(|error| {
        let text = args.pattern.as_deref().unwrap_or_default();
        Failure::input(anyhow!("invalid pattern {text:?}: {error}"))
    })?;
    let format = format(args)?;
    let dir = find_run(args.run.word())?;
    let Recorded { run, settings, .. } = read_run(&dir)?;
    let chosen: Vec<&Job> = match args.jobs.as_slice() {
        [] => run.jobs().iter().collect(),
        words => selection::select(run.jobs(), words).map_err(Failure::input)?,
    };
    let mut results = Results {
        dir: settings.outputs.dir(dir.run()),
        settings: settings.outputs.clone(),
        outputs: JobOutputs::of(dir.run(), settings).map_err(Failure::machinery)?,
        wanted: &wanted,
    };
    let (mut found, mut errors) = (Vec::new(), 0);
    for job in &chosen {
        let records = results.of(job).unwrap_or_else(|error| {
            errors += 1;
            print_error(&format!("job {}: {error:#}", job.index));
            Vec::new()
        });
        found.push((*job, records));
    }
    if let Some(pattern) = &args.pattern {
        note_missing(&found, pattern, &wanted, errors);
    }
    let table = Table::new(&found, format);
    output(&table, format, args.output.as_deref()).map_err(Failure::machinery)?;
    if let Some(path) = args.output.as_deref().filter(|path| is_file(path)) {
        let (rows, columns) = (table.rows.len() as u64, table.columns.len() as u64);
        let (rows, columns) = (counted(rows, "row"), counted(columns, "column"));
        print_error(&format!("wrote {rows} of {columns} to {}", path.display()));
    }
    Ok(if errors == 0 { ALL_DONE } else { NOT_ALL_DONE })
}

/// True unless a device or a pipe was written to, whose reader sees what comes.
fn is_file(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| found.is_file())
}

/// The format that is asked for, else the one of the file's name.
fn format(args: &TableArgs) -> Result<TableFormat, Failure> {
    let format = match (args.format, &args.output) {
        (Some(format), _) => format,
        (None, None) => TableFormat::Csv,
        (None, Some(path)) => TableFormat::of_file(path).ok_or_else(|| {
            Failure::input(anyhow!(
                "{}: expected a name that ends in .csv, .json, .jsonl, .md, .db or .sqlite, or --format",
                path.display()
            ))
        })?,
    };
    if format == TableFormat::Sqlite && args.output.is_none() {
        return Err(Failure::input(anyhow!("SQLite needs a file: -o FILE")));
    }
    Ok(format)
}

/// A done job without a file looks like one that has failed.
fn note_missing(found: &[(&Job, Vec<Record>)], pattern: &str, wanted: &Wanted, errors: u64) {
    let is_missing =
        |(job, records): &&(&Job, Vec<Record>)| job.state() == State::Done && records.is_empty();
    let missing = (found.iter().filter(is_missing).count() as u64).saturating_sub(errors);
    if missing > 0 {
        let help = match wanted {
            Wanted::Stream(_) => "lines that are JSON objects are rows: {\"loss\": 0.1}".to_owned(),
            Wanted::Nothing | Wanted::Files(_) => {
                format!("declare outputs with -o, or fetch them with `gjob fetch -o {pattern}`")
            }
        };
        let jobs = counted(missing, "done job");
        print_error(&format!("{jobs} without rows in {pattern}\nhelp: {help}"));
    }
}

fn output(table: &Table, format: TableFormat, file: Option<&Path>) -> anyhow::Result<()> {
    let Some(path) = file else {
        let out = io::stdout().lock();
        let mut out: Box<dyn Write> = match out.is_terminal() {
            true => Box::new(Harmless(out)),
            false => Box::new(out),
        };
        return table.write(format, &mut *out).and_then(|()| out.flush()).context("cannot write");
    };
    // A link stays one, and what is no file is written to.
    let path = &path.canonicalize().unwrap_or_else(|_| path.to_owned());
    if path.metadata().is_ok_and(|found| !found.is_file()) && format != TableFormat::Sqlite {
        let within = || path.display().to_string();
        let mut to = OpenOptions::new().write(true).open(path).with_context(within)?;
        return table.write(format, &mut to).with_context(within);
    }
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let within = || path.display().to_string();
    std::fs::metadata(dir).with_context(within)?;
    let mut builder = tempfile::Builder::new();
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    let mut new = builder.permissions(permissions).tempfile_in(dir).with_context(within)?;
    match format {
        TableFormat::Sqlite => sqlite::write(table, new.path()).with_context(within)?,
        other => table.write(other, new.as_file_mut()).with_context(within)?,
    }
    new.persist(path).map(drop).map_err(|error| error.error).with_context(within)
}

/// A terminal, for which control characters are left out.
struct Harmless<W>(W);

impl<W: Write> Write for Harmless<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let is_harmless = |byte: &u8| matches!(byte, b'\n' | b'\t' | b' '..=b'~' | 0x80..);
        let shown: Vec<u8> = bytes.iter().copied().filter(is_harmless).collect();
        self.0.write_all(&shown)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Table {
    fn new(found: &[(&Job, Vec<Record>)], format: TableFormat) -> Self {
        let params: BTreeSet<Param<'_>> = found
            .iter()
            .flat_map(|(job, _)| job.spec.params.keys().map(|key| Param(key)))
            .collect();
        let params: Vec<&str> = params.into_iter().map(|param| param.0).collect();
        let mut of_results: Vec<&str> = Vec::new();
        let mut known = BTreeSet::new();
        for (name, _) in found.iter().flat_map(|(_, records)| records).flatten() {
            if known.insert(name.as_str()) {
                of_results.push(name);
            }
        }
        let rows = found.iter().flat_map(|(job, records)| {
            let none = [Record::new()];
            let records = if records.is_empty() { &none[..] } else { records };
            let rows = records.iter().map(|record| row(job, format, &params, &of_results, record));
            rows.collect::<Vec<_>>()
        });
        let rows = rows.collect();
        Table { columns: columns(&params, &of_results), rows }
    }
}

/// Parameters in the order of their names; those of `:::`, which are numbers, in that order.
#[derive(PartialEq, Eq)]
struct Param<'a>(&'a str);

impl Ord for Param<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let key = |param: &Self| (param.0.parse::<u32>().unwrap_or(u32::MAX), param.0.to_owned());
        key(self).cmp(&key(other))
    }
}

impl PartialOrd for Param<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// The heads of the columns. One that another column has already is told apart by where it
/// is from.
fn columns(params: &[&str], of_results: &[&str]) -> Vec<String> {
    let mut taken: BTreeSet<String> =
        FIRST.iter().chain(&LAST).map(|name| (*name).into()).collect();
    let mut numbers: BTreeMap<String, u32> = BTreeMap::new();
    let mut own = |kind: &str, name: &str| {
        let name = name.replace('\0', "\u{fffd}");
        let qualified = format!("{kind}.{name}");
        if taken.insert(name.to_lowercase()) {
            return name;
        }
        // Names that differ in case alone are one in SQLite.
        let mut column = qualified.clone();
        while !taken.insert(column.to_lowercase()) {
            let number = numbers.entry(qualified.to_lowercase()).or_insert(1);
            *number += 1;
            column = format!("{qualified}.{number}");
        }
        column
    };
    let params: Vec<String> = params.iter().map(|name| own("param", name)).collect();
    let of_results: Vec<String> = of_results.iter().map(|name| own("result", name)).collect();
    let fixed = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    [fixed(&FIRST), params, fixed(&LAST), of_results].concat()
}

/// The state in the words of `gjob status --json`, or, in a table for people, of `gjob status`.
fn state(job: &Job, format: TableFormat) -> &'static str {
    match (job.state(), format) {
        (State::Error, TableFormat::Markdown) => "failed",
        (state, _) => state.as_str(),
    }
}

fn row(
    job: &Job,
    format: TableFormat,
    params: &[&str],
    of_results: &[&str],
    record: &Record,
) -> Vec<Cell> {
    let attempt = job.attempt.as_deref();
    let finish = attempt.and_then(|attempt| attempt.finish.as_deref());
    let time = |at: Option<gjob_core::Timestamp>| at.map(|at| Cell::text(at.to_string()));
    let seconds = attempt.and_then(|attempt| attempt.duration());
    let first = [Some(Cell::number(job.index)), job.name().map(Cell::text)];
    let params = params.iter().map(|name| job.spec.params.get(*name).map(Cell::written));
    let last = [
        job.host().map(|host| Cell::text(host.as_str())),
        Some(Cell::text(state(job, format))),
        job.exit().map(Cell::number),
        Some(Cell::number(job.key().map_or(0, |key| key.attempt))),
        time(attempt.and_then(|attempt| attempt.started)),
        time(job.ended.or_else(|| attempt.and_then(|attempt| attempt.ended))),
        seconds.map(|seconds| Cell::number(seconds.as_millis() as f64 / 1000.0)),
        finish.map(|finish| Cell::number(finish.max_rss_kib)),
        finish.map(|finish| Cell::number(finish.read_bytes)),
        finish.map(|finish| Cell::number(finish.written_bytes)),
    ];
    let values: BTreeMap<&str, &Cell> =
        record.iter().map(|(name, cell)| (name.as_str(), cell)).collect();
    let results = of_results.iter().map(|name| values.get(name).map(|cell| (*cell).clone()));
    let cells = first.into_iter().chain(params).chain(last).chain(results);
    cells.map(Option::unwrap_or_default).collect()
}
