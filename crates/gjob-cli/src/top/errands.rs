//! What takes longer than a frame, each on a thread of its own: reading what a job has
//! printed or what became of it, and acting on it as the commands do. The log of a job that
//! runs is followed while it is shown (`live`).

use std::sync::mpsc::{self, Receiver, Sender};

use gjob::manager::Act;
use gjob::settings::RunSettings;
use gjob::store::{RunDir, Store};
use gjob_core::job::Phase;
use gjob_core::wire::Stream;

use super::keys::Request;
use super::live::{self, Follower, Live, LiveLog, News, harmless};
use super::view::{Mode, Pager, Source, View};
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
    /// It cannot be read.
    Unread(Source, String),
}

#[derive(Debug)]
pub(crate) struct Errands {
    dir: RunDir,
    to: Sender<Done>,
    done: Receiver<Done>,
    /// The log that is shown while it grows, or will be, with the job.
    live: Option<(Live, Source)>,
}

/// What a thread does.
type Work = Box<dyn FnOnce(RunDir) -> anyhow::Result<Option<Done>> + Send>;

impl Errands {
    pub(crate) fn new(dir: &RunDir) -> Self {
        let (to, done) = mpsc::channel();
        Errands { dir: dir.clone(), to, done, live: None }
    }

    /// Starts one; returns what is to be said meanwhile.
    pub(crate) fn start(&mut self, request: Request) -> Option<String> {
        let source = match request {
            Request::Read(source) => Some(source),
            Request::Leave | Request::Act(..) => None,
        };
        let (doing, work): (String, Work) = match request {
            Request::Leave => return None,
            Request::Read(Source::Log(job)) => {
                let (live, follower) = live::channel();
                self.live = Some((live, Source::Log(job)));
                let work = move |dir: RunDir| log(&dir, job, &follower);
                (format!("reading the log of job {job} …"), Box::new(work))
            }
            Request::Read(Source::Explain(job)) => {
                let work = move |dir: RunDir| Ok(Some(Done::Text(explain(&dir, job)?)));
                (format!("reading about job {job} …"), Box::new(work))
            }
            Request::Act(act, job) => {
                let work = move |dir| Ok(Some(Done::Notice(act_on(dir, act, job)?)));
                (format!("{} job {job} …", doing(act)), Box::new(work))
            }
        };
        let (dir, to) = (self.dir.clone(), self.to.clone());
        let work = move || {
            let done = work(dir).unwrap_or_else(|error| {
                let reason = format!("{error:#}");
                Some(match source {
                    Some(source) => Done::Unread(source, reason),
                    None => Done::Notice(reason),
                })
            });
            // Who has left waits for nothing.
            done.map(|done| to.send(done));
        };
        match std::thread::Builder::new().name("gjob-errand".into()).spawn(work) {
            Ok(_) => Some(doing),
            Err(error) => Some(error.to_string()),
        }
    }

    /// Shows what has come of a log that grows; it is not asked for any longer than it is
    /// shown. True if anything has come.
    pub(crate) fn take_live(&mut self, view: &mut View) -> bool {
        let Some((live, source)) = &mut self.live else { return false };
        let mut any = false;
        loop {
            if !view.wants(*source) || (live.is_shown && !view.shows_live_log()) {
                self.live = None;
                return any;
            }
            match (live.news.try_recv(), &mut view.mode) {
                (Ok(News::Begin(pager)), mode) => {
                    *mode = Mode::Read(pager);
                    (live.is_shown, view.notice) = (true, None);
                }
                (Ok(News::Piece(piece)), Mode::Read(pager)) => pager.go_on(piece),
                (Ok(News::End), Mode::Read(pager)) => pager.end(),
                _ => return any,
            }
            any = true;
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
        retry::refuse_changed_files(&dir, &[job], false)?;
    }
    let acted = acting::on_chosen(dir, act, &[job])?;
    let refused = acted.refusals().next();
    Ok(refused.unwrap_or_else(|| format!("job {job}: {}", acted.summary())))
}

fn explain(dir: &RunDir, index: u32) -> anyhow::Result<Pager> {
    let store = Store::read(dir)?;
    let run = store.load()?;
    let job = run.job(index).ok_or_else(|| anyhow::anyhow!("no job {index}"))?;
    let text = explain::text(dir, &store, &run, job, dir.is_managed()?)?;
    let lines = text.lines().map(str::to_owned).collect();
    let title = format!("Explain {}", headline::title(job));
    Ok(Pager { title, lines, source: Some(Source::Explain(index)), ..Pager::default() })
}

/// What a job has printed. A job that runs is followed instead, until it has ended or its
/// log is not shown any more.
fn log(dir: &RunDir, index: u32, follower: &Follower) -> anyhow::Result<Option<Done>> {
    let store = Store::read(dir)?;
    let run = store.load()?;
    let settings = RunSettings::from_json(&store.row()?.settings)?;
    drop(store);
    let job = run.job(index).ok_or_else(|| anyhow::anyhow!("no job {index}"))?;
    anyhow::ensure!(job.id().is_some(), "job {index} has not started");
    let mut outputs = JobOutputs::of(dir.run(), settings)?;
    let (title, source) = (format!("Log of {}", headline::title(job)), Some(Source::Log(index)));
    if job.phase == Phase::Running {
        let live = Some(LiveLog::default());
        let pager = Pager { title, source, live, follows: true, ..Pager::default() };
        follower.follow(pager, job, &mut outputs)?;
        return Ok(None);
    }
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
    Ok(Some(Done::Text(Pager { title, lines, source, ..Pager::default() })))
}
