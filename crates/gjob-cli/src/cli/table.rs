//! The arguments of `gjob table`.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum, ValueHint};
use clap_complete::engine::ArgValueCandidates;

use super::{RunOption, names};
use crate::completion::jobs;

#[derive(Debug, Args)]
#[command(after_help = TABLE_HELP)]
pub(crate) struct TableArgs {
    /// Files with results in the jobs' directories (a path, or a pattern with *, ?, [a-z],
    /// **): .csv, .tsv, .json, or others with a JSON object per line; `log` is what a job
    /// has printed
    #[arg(value_name = "PATTERN", value_parser = names())]
    pub(crate) pattern: Option<String>,

    #[command(flatten)]
    pub(crate) run: RunOption,

    /// Only these jobs: an index, a range (3-7) or a name (repeatable) [default: all]
    #[arg(long = "job", value_name = "JOB", value_parser = names(), add = ArgValueCandidates::new(jobs))]
    pub(crate) jobs: Vec<String>,

    /// Write to FILE, in the format of its name: .csv, .json, .jsonl, .md, .db, .sqlite
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,

    /// Format of the table [default: csv]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<TableFormat>,
}

const TABLE_HELP: &str = "\
Each row has a job's index, name, parameters, host, state, exit status, attempt,
times, seconds and peak memory, then the columns of its results. A job with
several rows of results has as many rows; one without results has one. In SQLite
the table is `jobs`.

Exit status: 0 done; 1 the results of some job cannot be read; 2 invalid usage
or input; 3 the table cannot be written.";

/// How a table is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TableFormat {
    /// Comma-separated values, with a line of heads
    Csv,
    /// A list of objects
    Json,
    /// An object per line
    Jsonl,
    /// A table in Markdown
    #[value(alias = "md")]
    Markdown,
    /// A database with the table `jobs`
    Sqlite,
}

impl TableFormat {
    /// The format that the name of a file asks for.
    pub(crate) fn of_file(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "csv" => Some(TableFormat::Csv),
            "json" => Some(TableFormat::Json),
            "jsonl" | "ndjson" => Some(TableFormat::Jsonl),
            "md" => Some(TableFormat::Markdown),
            "db" | "sqlite" | "sqlite3" => Some(TableFormat::Sqlite),
            _ => None,
        }
    }
}
