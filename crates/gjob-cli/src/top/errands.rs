//! What takes longer than a frame, each on a thread of its own: reading what a job has
//! printed or what became of it, and acting on it as the commands do.

use std::sync::mpsc::{self, Receiver, Sender};

use gjob::manager::Act;
use gjob::settings::RunSettings;
use gjob::store::{RunDir, Store};
use gjob_core::text::printable;
use gjob_core::wire::Stream;

use super::keys::Request;
use super::view::{Pager, Source};
use crate::commands::job_outputs::JobOutputs;
use crate::commands::{acting, explain, retry};
use crate::report::{Tail, headline};

/// As many lines of each stream are shown.
const LOG_LINES: usize = 5000;

/// What came of an errand.
#[derive(Debug)]
pub(crate) enum Done {
    Text(Pager),
    Notice(String),
}

#[derive(Debug)]
pub(crate) struct Errands {
    dir: RunDir,
    to: Sender<Done>,
    done: Receiver<Done>,
}

impl Errands {
    pub(crate) fn new(dir: &RunDir) -> Self {
        let (to, done) = mpsc::channel();
        Errands { dir: dir.clone(), to, done }
    }

    /// Starts one; returns what is to be said meanwhile.
    pub(crate) fn start(&self, request: Request) -> Option<String> {
        let doing = match request {
            Request::Leave => return None,
            Request::Read(Source::Log(job)) => format!("reading the log of job {job} …"),
            Request::Read(Source::Explain(job)) => format!("reading about job {job} …"),
            Request::Act(act, job) => format!("{} job {job} …", doing(act)),
        };
        let (dir, to) = (self.dir.clone(), self.to.clone());
        let work = move || {
            let done = match request {
                Request::Leave => return,
                Request::Read(source) => read(&dir, source).map(Done::Text),
                Request::Act(act, job) => act_on(dir, act, job).map(Done::Notice),
            };
            // Who has left waits for nothing.
            let _ = to.send(done.unwrap_or_else(|error| Done::Notice(format!("{error:#}"))));
        };
        match std::thread::Builder::new().name("gjob-errand".into()).spawn(work) {
            Ok(_) => Some(doing),
            Err(error) => Some(error.to_string()),
        }
    }

    /// What has been done since.
    pub(crate) fn next(&self) -> Option<Done> {
        self.done.try_recv().ok()
    }
}

/// What is being done to a job.
fn doing(act: Act) -> &'static str {
    match act {
        Act::Kill => "killing",
        Act::Pause => "pausing",
        Act::Resume => "resuming",
        Act::Retry => "reopening",
    }
}

fn act_on(dir: RunDir, act: Act, job: u32) -> anyhow::Result<String> {
    if act == Act::Retry {
        retry::refuse_changed_files(&dir, &[job])?;
    }
    let acted = acting::on_chosen(dir, act, &[job])?;
    let refused = acted.refusals().next();
    Ok(refused.unwrap_or_else(|| format!("job {job}: {}", acted.summary())))
}

fn read(dir: &RunDir, source: Source) -> anyhow::Result<Pager> {
    match source {
        Source::Log(job) => log(dir, job),
        Source::Explain(job) => explain(dir, job),
    }
}

fn explain(dir: &RunDir, index: u32) -> anyhow::Result<Pager> {
    let store = Store::read(dir)?;
    let run = store.load()?;
    let job = run.job(index).ok_or_else(|| anyhow::anyhow!("no job {index}"))?;
    let text = explain::text(dir, &store, &run, job, dir.is_managed()?)?;
    let lines = text.lines().map(str::to_owned).collect();
    let title = format!("Explain {}", headline::title(job));
    Ok(Pager { title, lines, top: 0, source: Some(Source::Explain(index)) })
}

fn log(dir: &RunDir, index: u32) -> anyhow::Result<Pager> {
    let store = Store::read(dir)?;
    let run = store.load()?;
    let settings = RunSettings::from_json(&store.row()?.settings)?;
    drop(store);
    let job = run.job(index).ok_or_else(|| anyhow::anyhow!("no job {index}"))?;
    anyhow::ensure!(job.id().is_some(), "job {index} has not started");
    let mut outputs = JobOutputs::of(dir.run(), settings)?;
    let mut lines = Vec::new();
    for (stream, what) in [(Stream::Stdout, "stdout"), (Stream::Stderr, "stderr")] {
        let tail = Tail::of(LOG_LINES, |to| outputs.copy(job, stream, to).map(drop))?;
        let count = tail.before + tail.lines.len() as u64;
        let from = if tail.before > 0 { format!(", the last {LOG_LINES}") } else { String::new() };
        lines.push(format!("{what}: {}{from}", gjob_core::plural::counted(count, "line")));
        lines.extend(tail.lines.iter().map(|line| harmless(line)));
        lines.push(String::new());
    }
    lines.pop();
    let title = format!("Log of {}", headline::title(job));
    Ok(Pager { title, lines, top: 0, source: Some(Source::Log(index)) })
}

/// A line as a terminal would leave it, without all that controls the terminal.
fn harmless(line: &[u8]) -> String {
    let text = anstream::adapter::strip_bytes(line).into_vec();
    let text = String::from_utf8_lossy(&text).replace('\t', "    ");
    let text = text.trim_end_matches('\r');
    printable(text.rsplit('\r').next().unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_log_are_harmless_and_as_they_were_last_written() {
        assert_eq!(harmless(b"\x1b[31mred\x1b[0m\x1b]0;title\x07 \x1b[2Jend"), "red end");
        assert_eq!(harmless(b"10%\r20%\r30%\r"), "30%");
        assert_eq!(harmless("a\tb\u{9b}2J\u{202e}".as_bytes()), "a    b 2J ");
    }
}
