//! `gjob run --each-host`: one job for each host of the run, which is its name.

use std::sync::Arc;

use anyhow::anyhow;
use gjob::settings::NetworkSettings;
use gjob_core::JobSpec;
use gjob_core::plural::counted;

/// The one job for each of the hosts.
///
/// # Errors
/// When there is not one job alone, or the hosts are wrong.
pub(super) fn spread(
    specs: &[Arc<JobSpec>],
    network: &NetworkSettings,
) -> anyhow::Result<Vec<Arc<JobSpec>>> {
    let [spec] = specs else {
        return Err(anyhow!(
            "--each-host: {} from values, -n or a job file: expected one command, such as -- uptime",
            counted(specs.len() as u64, "job")
        ));
    };
    if spec.is_bound() {
        return Err(anyhow!(
            "--each-host: the job is bound to {}: expected the hosts in -H",
            spec.bound_to()
        ));
    }
    let hosts = network.plan_hosts()?;
    let job = |label: &str| JobSpec::clone(spec).name(label).hosts([label]);
    Ok(hosts.iter().map(|host| Arc::new(job(host.label().as_str()))).collect())
}
