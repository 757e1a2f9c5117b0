//! `gjob attach`: takes up a run whose manager is gone, with the settings it
//! was begun with.

use gjob::settings::RunSettings;
use gjob::store::Store;
use gjob::{Manager, ManagerError};

use super::{find_run, hosts, manage};
use crate::cli::{AttachArgs, Show};
use crate::exit::Failure;
use crate::report::Reporter;

pub(crate) fn run(args: &AttachArgs) -> Result<u8, Failure> {
    let dir = find_run(args.run.as_deref())?;
    let store = Store::read(&dir).map_err(Failure::machinery)?;
    let row = store.run().map_err(Failure::machinery)?;
    let settings: RunSettings = serde_json::from_str(&row.settings).map_err(Failure::machinery)?;
    let counts = store.counts().map_err(Failure::machinery)?;
    drop(store);
    let jobs = counts.iter().map(|(_, count)| u64::from(*count)).sum();
    let reporter = Reporter::new(&args.report, Show::Failed, jobs).map_err(Failure::input)?;
    let network = hosts::network(&settings).map_err(Failure::machinery)?;
    let mut manager = Manager::with_handler(manage::SLEEP_TIME, reporter);
    manager.attach(&dir, network).map_err(|error| match error {
        ManagerError::Network(_) => Failure::input(error),
        other => Failure::machinery(other),
    })?;
    manage::to_the_end(manager)
}
