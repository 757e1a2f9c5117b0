//! Outputs of other jobs that a job waits for, since they are not where they were put.

use std::io::ErrorKind;
use std::path::Path;

use gjob::settings::RunSettings;
use gjob::store::{RunDir, Store};
use gjob_core::os_text::to_path;
use gjob_core::run::HostStatus;
use gjob_core::{Job, Run};

use crate::report::headline::spoken;

/// What a job waits for that could start otherwise; nothing if no such output is gone.
pub(super) fn line(
    dir: &RunDir,
    store: &Store,
    run: &Run,
    job: &Job,
) -> anyhow::Result<Option<String>> {
    let sources = run.dependencies().producers(job.index);
    if sources.is_empty() {
        return Ok(None);
    }
    let outputs = RunSettings::from_json(&store.row()?.settings)?.outputs;
    for from in sources {
        let Some(producer) = run.job(from.producer) else { continue };
        let Some(key) = producer.key() else { continue };
        let name = outputs.job_dir_name(producer.name(), producer.index);
        let place = outputs.dir(dir.run()).join(name);
        let needed = store.outputs_of(key)?.into_iter();
        let needed = needed.filter(|file| from.paths.iter().any(|path| path.takes(&file.path)));
        let gone = needed.map(|file| place.join(to_path(&file.path))).find(|path| is_gone(path));
        if let Some(path) = gone {
            return Ok(Some(wait(run, producer, &path.to_string_lossy())));
        }
    }
    Ok(None)
}

fn is_gone(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_err_and(|error| error.kind() == ErrorKind::NotFound)
}

fn wait(run: &Run, producer: &Job, path: &str) -> String {
    let title = run.job_title(producer.index);
    let host = run.hosts().iter().find(|host| Some(&host.label) == producer.host());
    let from = host.map_or(String::new(), |host| {
        let away = match host.status {
            HostStatus::Unreachable | HostStatus::Connecting => ", which does not answer",
            HostStatus::Up | HostStatus::Paused | HostStatus::Failed => "",
        };
        format!(" from {}{away}", spoken(&host.label))
    });
    format!("it waits for outputs of {title} to be fetched again{from}: {path:?} does not exist")
}
