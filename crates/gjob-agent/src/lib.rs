//! The worker's side of gjob: what runs on a host.
//!
//! # Theory of operation
//!
//! The host's disk is the truth: every process here may die at any instant, and
//! nothing is lost with it.
//!
//! - A **slot** (`slot/`) is a small detached process that runs one job after another. It
//!   makes the job directory, claims the attempt's key, starts `bash -e .cmds`,
//!   waits for it, writes `.done`, and appends what happened to the run log.
//! - The **agent** (`agent/`) is the far end of one link. It hands launches to slots,
//!   and sends the manager what the run log holds, by offset. It reports
//!   nothing else: even its own findings go through the log.
//! - A **claim** is a symbolic link `keys/INDEX.ATTEMPT` whose target is the
//!   job id and its slot, or `withdrawn`. `symlink(2)` is atomic: it decides
//!   once and for all whether that attempt starts on this host.
//! - A **job directory** (`jobdir/`) shows by itself what became of its job. Its `.lock` is
//!   held (flock) by the slot and by the job's own processes, and names the
//!   slot; it is there before the claim is, so that a claim always leads to
//!   something that is either alive, or over.
//! - A **blob** (`blobs`) is an input's content, once per results directory, under
//!   its hash. The agent receives it; a slot copies or links it into a job directory,
//!   and believes only one that is as it was stored.
//! - A **lease** (`lease`) is a file in the run's directory that states until when its
//!   jobs may run without contact. The agent writes it; the slots, which outlive the
//!   agent, end their jobs by it.
//! - The **ledger** (`ledger`) says what the slots of all runs have of the machine. The agent
//!   takes from it before it hands a launch to a slot.
//! - A process is identified by boot id, pid and start time (`identity`), and is
//!   signalled through a pidfd where the kernel has them.
//!
//! Both are one thread with one `poll` loop, which decides everything. What takes long,
//! the agent does in background threads (`agent/background`) that report to it: it has
//! to answer pings. [`local`] acts on one job directory by hand, without an agent.

mod agent;
mod blobs;
mod claims;
mod control;
mod dispatch;
mod host;
mod identity;
mod jobdir;
mod lease;
mod ledger;
pub mod local;
mod open_files;
mod orphan;
mod own_file;
mod processes;
mod runlog;
mod shortage;
mod slot;
mod trust;

pub use dispatch::{dispatch, report_size_limit};
