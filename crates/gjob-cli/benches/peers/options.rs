//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Parser;

/// Measure gjob beside other programs on real ssh hosts
#[derive(Debug, Parser)]
#[command(name = "peers")]
pub(crate) struct Options {
    /// Measure these works only (--list names them)
    #[arg(long, value_name = "WORK", value_delimiter = ',')]
    pub(crate) only: Vec<String>,

    /// Measure these programs only; one that is not installed is an error then
    #[arg(long, value_name = "PEER", value_delimiter = ',')]
    pub(crate) peers: Vec<String>,

    /// How often each program is measured with each work
    #[arg(long, value_name = "N", default_value_t = 3,
          value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    pub(crate) rounds: usize,

    /// Multiply the numbers of jobs by this
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    pub(crate) scale: f64,

    /// Keep all files below DIR (another file system, such as /dev/shm)
    #[arg(long, value_name = "DIR")]
    pub(crate) on: Option<PathBuf>,

    /// Measure this gjob, too, such as one of an earlier version
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) other: Option<PathBuf>,

    /// Write the results to FILE as JSON
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// List the works
    #[arg(long)]
    pub(crate) list: bool,

    /// Connects to a host with a delay (milliseconds, host, port), for ssh
    #[arg(long, hide = true, num_args = 3)]
    pub(crate) relay: Option<Vec<OsString>>,

    /// What `cargo bench` passes to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}
