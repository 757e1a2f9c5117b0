//! `gjob` runs N batch jobs on M machines over plain ssh, N far larger than M.
//! This is the manager's side, as a library; the program `gjob` runs on it.
//!
//! It grew out of the Python module `glimpse.util.cluster`, and all of that
//! module is here, under the same names in Rust's case:
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use gjob::{Builder, Cluster, JobSpec, LoggingManager, Network, hosts};
//!
//! let mut builder = Builder::new();
//! builder.set_repeat(100);
//! builder.add_job(JobSpec::new(["./sample --seed $GJOB_REPEAT"])?.files(["sample"]), None)?;
//!
//! let workers = hosts::parse_list("node[01-04]")?;
//! let network = Network::new("", [Cluster::of_hosts(workers)])?;
//! let mut manager = LoggingManager::new(Duration::from_secs(10), std::io::stderr());
//! manager.setup(builder.make_job_specs(), network)?;
//! manager.process_jobs()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A worker program serves the hosts; see [`program`] for how it is found and
//! how it gets there.

pub mod cluster_file;
pub mod config;
pub mod disk_usage;
mod host_tables;
pub mod inputs;
pub mod jobfile;
pub mod limits;
pub mod link;
pub mod manager;
pub mod nearest;
pub mod network;
mod open_files;
pub mod outputs;
pub mod past_runs;
pub mod program;
pub mod remote;
pub mod settings;
pub mod store;
mod toml_text;
mod trust;
pub mod units;

pub use gjob_core::{
    Builder, Cluster, Event, HostEntry, HostLabel, HostOptions, Job, JobId, JobSpec, Queue, Run,
    STATES, State, What, hosts,
};
pub use manager::{Handler, LoggingManager, Manager, ManagerError};
pub use network::{Network, NetworkError};
pub use remote::{
    RemoteOptions, check_local_command, check_remote_commands, copy_local_files_to_remote_host,
    write_remote_file,
};
