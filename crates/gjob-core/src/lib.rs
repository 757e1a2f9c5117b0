//! What gjob does, and no more than that: the words (states, jobs, hosts,
//! outcomes, events), the scheduler that decides, and the messages that carry
//! its decisions.
//!
//! Nothing here does I/O, reads a clock, starts a thread or draws a random
//! number it was not given a seed for. The drivers are `gjob-agent` (a host's
//! side) and `gjob` (the manager's side).

pub mod after;
pub mod attempt;
pub mod builder;
pub mod dependency;
pub mod event;
pub mod from_job;
pub mod halt;
pub mod hosts;
pub mod id;
pub mod job;
pub mod jobdir;
pub mod order;
pub mod os_text;
pub mod outcome;
pub mod output;
pub mod plain_text;
pub mod platform;
pub mod plural;
pub mod queue;
pub mod record;
pub mod request;
pub mod resources;
pub mod run;
pub mod scheduler;
pub mod size;
pub mod spec;
pub mod state;
pub mod subset;
pub mod tally;
pub mod text;
pub mod time;
pub mod tree;
pub mod trust;
pub mod wire;
pub mod words;

pub use builder::Builder;
pub use event::{Event, What};
pub use hosts::{Cluster, HostEntry, HostOptions};
pub use id::{Epoch, HostLabel, JobId, Key, RunId};
pub use job::Job;
pub use order::Order;
pub use outcome::{Cause, Ending, Finish};
pub use platform::Platform;
pub use queue::Queue;
pub use record::Record;
pub use request::{JobRequest, Shell};
pub use run::{Run, Tally};
pub use spec::JobSpec;
pub use state::{STATES, State};
pub use time::Timestamp;
