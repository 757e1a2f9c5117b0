//! The programs that are measured: one file each.

mod clush;
mod gjob;
mod hyperqueue;
mod parallel;
mod pdsh;
mod ssh;
mod xargs;

use anyhow::Result;

use super::field::{Field, Place};
use super::measurement::Plan;
use super::options::Options;
use super::work::Load;

/// A program, and how it does works.
pub(crate) trait Peer {
    fn name(&self) -> &str;

    /// How it does them, for the reader of the table.
    fn about(&self) -> &str;

    /// What it says of its version.
    fn version(&self) -> String;

    /// A program that it needs and that is not installed.
    fn missing(&self) -> Option<&'static str>;

    /// Starts what serves all works. Dropping the peer ends that.
    fn start(&mut self, _field: &Field) -> Result<()> {
        Ok(())
    }

    /// The processes that were started and whose CPU time counts as its own.
    fn servers(&self) -> Vec<u32> {
        Vec::new()
    }

    /// True if it can do a work like this.
    fn takes(&self, load: &Load) -> bool;

    /// How it does the work.
    fn plan(&self, place: &Place<'_>, load: &Load) -> Result<Plan>;

    /// Fails if jobs of the work that it has just done did not succeed; for a program whose
    /// exit status does not say so.
    fn check(&self, _given: usize) -> Result<()> {
        Ok(())
    }

    /// True if its durable writes are those of its commands.
    fn is_traceable(&self) -> bool {
        false
    }
}

/// All of them, installed or not.
pub(crate) fn all(options: &Options) -> Vec<Box<dyn Peer>> {
    let mut all: Vec<Box<dyn Peer>> = vec![Box::new(gjob::Gjob::built())];
    if let Some(program) = &options.other {
        all.push(Box::new(gjob::Gjob::other(program)));
    }
    all.push(Box::new(hyperqueue::HyperQueue::default()));
    all.push(Box::new(xargs::There));
    all.push(Box::new(xargs::Here));
    all.push(Box::new(parallel::Parallel { keeps_connections: true }));
    all.push(Box::new(parallel::Parallel { keeps_connections: false }));
    all.push(Box::new(pdsh::Pdsh));
    all.push(Box::new(clush::Clush));
    all.push(Box::new(ssh::Ssh));
    all
}

/// The work for a program that logs in for each job: a tenth of it.
fn tenth(jobs: usize) -> usize {
    jobs.div_ceil(10)
}
