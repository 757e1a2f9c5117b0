//! `gjob explain`: why a job waits, or what became of each of its attempts and what
//! gjob did about it; from the store alone.

mod awaited;
mod away;

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use gjob::settings::RunSettings;
use gjob::store::{RunDir, Store};
use gjob::units::format_duration;
use gjob_core::dependency::{FromGroup, Group};
use gjob_core::event::{AttemptChange, JobChange};
use gjob_core::job::Phase;
use gjob_core::plural::counted;
use gjob_core::resources::Cpus;
use gjob_core::run::{Attempt, Host, HostStatus, Outcome, WaitReason};
use gjob_core::size::shown_size;
use gjob_core::text::printable;
use gjob_core::{Cause, Event, Job, Run, State, Timestamp, What};

use super::{find_run, rounded, selection};
use crate::cli::ExplainArgs;
use crate::exit::{ALL_DONE, Failure};
use crate::local_time::local_time;
use crate::report::headline::spoken;
use crate::report::{FateOfJobs, fit, fit_hints, remedies, stdout_columns};
use away::{Away, Step};

pub(crate) fn run(args: &ExplainArgs) -> Result<u8, Failure> {
    let dir = find_run(args.run.word())?;
    let store = Store::read(&dir).map_err(Failure::machinery)?;
    let run = store.load().map_err(Failure::machinery)?;
    let managed = dir.is_managed().map_err(Failure::machinery)?;
    let mut chosen = match &args.jobs[..] {
        [] => run.jobs().iter().collect(),
        words => selection::select(run.jobs(), words).map_err(Failure::input)?,
    };
    chosen.retain(|job| !args.failed || job.has_failed());
    let texts = chosen.into_iter().map(|job| text(&dir, &store, &run, job, managed));
    let texts = texts.collect::<Result<Vec<_>, _>>().map_err(Failure::machinery)?;
    let mut out = std::io::stdout().lock();
    let text = fit_hints(&texts.join("\n"), stdout_columns());
    out.write_all(text.as_bytes()).map_err(Failure::machinery)?;
    Ok(ALL_DONE)
}

/// As many jobs are named whose outputs a job waits for.
const NAMED: usize = 5;

/// All that is known of a job of a run.
pub(crate) fn text(
    dir: &RunDir,
    store: &Store,
    run: &Run,
    job: &Job,
    managed: bool,
) -> anyhow::Result<String> {
    History { run, dir, job, managed }.text(store)
}

/// One job and all around it.
struct History<'a> {
    run: &'a Run,
    dir: &'a RunDir,
    job: &'a Job,
    managed: bool,
}

impl History<'_> {
    fn text(&self, store: &Store) -> anyhow::Result<String> {
        let Job { index, spec, .. } = self.job;
        let name = self.job.name().map(|name| format!(" {}", printable(name)));
        let mut text = String::new();
        writeln!(text, "job {index}{}: {}", name.unwrap_or_default(), self.state())?;
        for command in &spec.cmds {
            writeln!(text, "  {}", printable(command))?;
        }
        writeln!(text, "asks for {}", spec.ask())?;
        if spec.is_bound() {
            writeln!(text, "bound to {}", printable(&spec.bound_to()))?;
        }
        for line in self.inputs().into_iter().chain(self.why_waiting(store)?) {
            writeln!(text, "{line}")?;
        }
        if let Some(line) = self.waits_on_its_host() {
            writeln!(text, "{line}")?;
        }
        let events = store.events_of(*index)?;
        let absences = away::during(&events, &store.host_events()?, !self.job.has_ended());
        if let Some(line) = self.host_is_away(store, &absences)? {
            writeln!(text, "{line}")?;
        }
        let attempts = store.attempts_of(*index)?;
        if !attempts.is_empty() {
            writeln!(text, "\nattempts:")?;
        }
        for attempt in &attempts {
            let line = format!("  {}\n", printable(&describe(attempt)));
            text.push_str(&fit(&line, stdout_columns()));
        }
        let of_job = events.iter().filter_map(|it| Some((it.seq, time_of(it), step(it)?)));
        let mut steps: Vec<Step> = of_job.chain(absences.iter().flat_map(Away::steps)).collect();
        steps.sort_by_key(|(seq, ..)| *seq);
        if !steps.is_empty() {
            writeln!(text, "\nwhat happened:")?;
        }
        for (_, at, what) in &steps {
            writeln!(text, "  {}  {}", local_time(*at), printable(what))?;
        }
        for line in self.next_steps() {
            writeln!(text, "{line}")?;
        }
        Ok(text)
    }

    fn state(&self) -> String {
        let state = self.run.shown_state(self.job.index, self.managed).unwrap_or(State::Unknown);
        let on = self.job.host().map(|host| format!(" on {}", spoken(host))).unwrap_or_default();
        let reason = self.job.reason.as_ref();
        let reason = reason.map(|reason| format!(": {}", printable(reason))).unwrap_or_default();
        match state {
            State::Free => "waiting".to_owned(),
            State::Busy if self.job.is_held() => format!("paused{on}"),
            State::Busy if self.job.phase == Phase::Assigned => format!("queued{on}"),
            State::Busy => format!("running{on}"),
            State::Done => format!("done{on}"),
            State::Error => format!("failed{on}{reason}"),
            State::Unknown if self.job.has_ended() => format!("outcome unknown{on}{reason}"),
            State::Unknown if self.managed => {
                format!("running{on}, as far as is known: it does not answer")
            }
            State::Unknown => format!("running{on}, as far as is known: no gjob is attached"),
        }
    }

    /// Its files that are outputs of other jobs, and which of these are not done.
    fn inputs(&self) -> Vec<String> {
        let dependencies = self.run.dependencies();
        let is_open =
            |job: &&u32| self.run.job(**job).is_some_and(|job| job.state() != State::Done);
        let line = |from: &FromGroup| {
            let Group { members, past, .. } = &dependencies.groups()[from.group as usize];
            let mut open = members.iter().filter(is_open);
            let named: Vec<_> =
                open.by_ref().take(NAMED).map(|job| self.run.job_title(*job)).collect();
            let more = match open.count() as u64 {
                0 => String::new(),
                more => format!(" and {}", counted(more, "more job")),
            };
            let waits = match named.is_empty() {
                true => "all done".to_owned(),
                false => format!("not done: {}{more}", named.join(", ")),
            };
            let count = (members.len() + past.len()) as u64;
            let (file, jobs) = (printable(&from.entry.text), counted(count, "job"));
            let of_past = match past.as_slice() {
                [] => String::new(),
                past => format!(", {} of past runs", past.len()),
            };
            format!("needs {file}: outputs of {jobs}{of_past}, {waits}")
        };
        dependencies.sources(self.job.index).iter().map(line).collect()
    }

    /// Why the job waits, and what each host lacks for it.
    fn why_waiting(&self, store: &Store) -> anyhow::Result<Vec<String>> {
        let Some(why) = self.run.why_waiting(self.job.index, self.managed) else {
            return Ok(Vec::new());
        };
        let lacks_host = match why {
            WaitReason::NoneServes | WaitReason::BoundNoneServes => true,
            WaitReason::NoHost | WaitReason::NoRoom => true,
            WaitReason::BoundNoHost | WaitReason::BoundNoRoom => true,
            WaitReason::Paused | WaitReason::Dependency(_) => false,
            WaitReason::NoManager | WaitReason::Untold(_) | WaitReason::Next => false,
        };
        if lacks_host || why == WaitReason::Next {
            let line = awaited::line(self.dir, store, self.run, self.job)?;
            if let Some(line) = line {
                return Ok(vec![printable(&line)]);
            }
        }
        let mut lines = vec![match why {
            WaitReason::Paused => "it waits since it is paused: `gjob resume` continues it".into(),
            WaitReason::Dependency(before) => {
                format!("it waits for {} to be done", self.run.job_title(before))
            }
            WaitReason::NoManager => format!(
                "it waits since no gjob is attached: `gjob attach {}` resumes the run",
                self.dir.run()
            ),
            WaitReason::Untold(host) => format!(
                "it waits until {} has told what it has run: this run is a copy, which may be older",
                spoken(&self.run.hosts()[host.at()].label)
            ),
            WaitReason::NoneServes => {
                "it waits since every host was drained or removed: `gjob hosts add` adds hosts"
                    .into()
            }
            WaitReason::BoundNoneServes => {
                "it waits since every host that it is bound to was drained or removed: \
                 `gjob hosts add` returns one to service"
                    .into()
            }
            WaitReason::NoHost => "it waits since no host answers:".into(),
            WaitReason::NoRoom => "it waits for a host with room:".into(),
            WaitReason::BoundNoHost => "it waits since no host that it is bound to answers:".into(),
            WaitReason::BoundNoRoom => {
                "it waits for a host with room among those it is bound to:".into()
            }
            WaitReason::Next => {
                "a host has room for it: it starts next, unless that is kept for a larger job"
                    .into()
            }
        }];
        if lacks_host {
            let (spec, hosts) = (&self.job.spec, self.run.hosts().iter());
            let choice = spec.choice();
            let may = |host: &&Host| !spec.is_bound() || choice.admits(&host.label, &host.labels);
            lines.extend(hosts.filter(may).map(|host| format!("  {}", self.lack(host))));
        }
        Ok(lines)
    }

    /// What the job waits for on the host that it was sent to.
    fn waits_on_its_host(&self) -> Option<String> {
        let label =
            self.job.host().filter(|_| self.managed && self.job.phase == Phase::Assigned)?;
        let host = self.run.hosts().iter().find(|host| host.label == *label)?;
        let what = host.waits_for.as_deref().map(printable)?;
        Some(format!("{}: waits for {what}", spoken(label)))
    }

    /// Why a host does not start the job now.
    fn lack(&self, host: &Host) -> String {
        let (label, ask, offer) = (spoken(&host.label), self.job.spec.ask(), host.offer());
        let reason = host.reason.as_deref().map(printable);
        let because = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        if let Some(leaving) = host.leaving() {
            return format!("{label} is {leaving}");
        }
        match host.status {
            HostStatus::Connecting => format!("{label} has not been reached yet"),
            HostStatus::Unreachable => format!("{label} does not answer{because}"),
            HostStatus::Failed => format!("{label} is out of the run{because}"),
            HostStatus::Paused => format!("{label} is paused{because}"),
            HostStatus::Up if !host.is_ready() => format!("{label} is being set up"),
            HostStatus::Up if host.waits_for.is_some() => {
                let what = host.waits_for.as_deref().map(printable).unwrap_or_default();
                format!("{label} waits for {what}")
            }
            HostStatus::Up if !offer.fits(&ask) => {
                format!("{label} is too small: it offers {offer}")
            }
            HostStatus::Up if matches!(ask.cpus, Cpus::Count(_)) && host.load() < host.slots() => {
                format!("{label} has {} free of {}", host.slots() - host.load(), host.slots())
            }
            HostStatus::Up => format!(
                "{label} is busy: {} of {} in use",
                host.load(),
                counted(host.slots().into(), "slot")
            ),
        }
    }

    /// Since when the host does not answer that the job is on, and what comes of that.
    fn host_is_away(&self, store: &Store, absences: &[Away]) -> anyhow::Result<Option<String>> {
        if !self.managed || self.job.state() != State::Busy {
            return Ok(None);
        }
        let is_now = |away: &&Away| Some(&away.host) == self.job.host() && !away.is_over();
        let Some(away) = absences.iter().rfind(is_now) else {
            return Ok(None);
        };
        let fate = FateOfJobs::of(&RunSettings::from_json(&store.row()?.settings)?);
        let (host, since) = (spoken(&away.host), local_time(away.since));
        Ok(Some(format!("{host} has not been heard since {since}: {}", fate.of_one(self.run))))
    }

    fn next_steps(&self) -> Vec<String> {
        let (index, run) = (self.job.index, self.dir.run());
        let failed = self.job.has_failed();
        let printed = self.job.finish().is_some_and(|it| it.stdout_bytes + it.stderr_bytes > 0);
        let mut lines = Vec::new();
        if printed {
            lines.push(format!("help: what it printed: `gjob logs {index} -R {run}`"));
        }
        if failed {
            let attach = if self.managed { "" } else { " --attach" };
            lines.push(format!("help: to run it again: `gjob retry {index}{attach} -R {run}`"));
            lines.extend(remedies(std::slice::from_ref(self.job), run));
        }
        if !lines.is_empty() {
            lines.insert(0, String::new());
        }
        lines
    }
}

/// One attempt in one line.
fn describe(attempt: &Attempt) -> String {
    let Attempt { key, host, reason, .. } = attempt;
    let mut parts = Vec::new();
    let cause = attempt.finish.as_ref().and_then(|finish| finish.cause);
    match (attempt.outcome, &attempt.finish) {
        (Some(Outcome::Exited), Some(finish)) => {
            let in_words = |cause: Cause| cause.in_words().to_owned();
            let ending = cause.map_or_else(|| finish.ending.to_string(), in_words);
            parts.push(format!("{ending} after {}", took(attempt)));
            parts
                .push(format!("{} of memory", shown_size(finish.max_rss_kib.saturating_mul(1024))));
            let (read, written) = (finish.read_bytes, finish.written_bytes);
            let moved = [(read, "read"), (written, "written")];
            let moved = moved.into_iter().filter(|(bytes, _)| *bytes > 0);
            parts.extend(moved.map(|(bytes, what)| format!("{} {what}", rounded(bytes))));
            let cpu = Duration::from_micros(finish.user_us + finish.system_us);
            parts.push(format!("{} of CPU time", format_duration(cpu)));
        }
        (Some(outcome), _) => parts.push(outcome.as_str().to_owned()),
        // Another attempt counts, and this one was killed.
        (None, _) if reason.as_deref() == Some("superseded") => {}
        (None, _) if attempt.started.is_some() => parts.push("running".to_owned()),
        (None, _) => parts.push("assigned, not known to have started".to_owned()),
    }
    parts.extend(attempt.processors_in_words().map(|processors| format!("bound to {processors}")));
    parts.extend(reason.clone());
    let id = attempt.id.as_ref().map(|id| format!(" ({id})")).unwrap_or_default();
    format!("{} on {}{id}: {}", key.attempt, spoken(host), parts.join(", "))
}

fn took(attempt: &Attempt) -> String {
    attempt.duration().map_or_else(|| "an unknown time".to_owned(), format_duration)
}

/// When it happened: what a host reports happened there before gjob learned of it.
fn time_of(event: &Event) -> Timestamp {
    let What::Attempt(attempt) = &event.what else { return event.at };
    match &attempt.change {
        AttemptChange::Started { started, .. } => *started,
        AttemptChange::Exited { finish } => finish.ended,
        _ => event.at,
    }
}

/// What gjob noted of a job, in one line; nothing for what the next one says, too.
fn step(event: &Event) -> Option<String> {
    match &event.what {
        What::Attempt(event) => {
            let (attempt, host) = (event.key.attempt, spoken(&event.host));
            Some(match &event.change {
                AttemptChange::Assigned => format!("attempt {attempt} assigned to {host}"),
                AttemptChange::Started { .. } => format!("attempt {attempt} started on {host}"),
                AttemptChange::Exited { finish } => {
                    let cause = finish.cause.map(|cause| format!(" ({})", cause.in_words()));
                    format!("attempt {attempt}: {}{}", finish.ending, cause.unwrap_or_default())
                }
                AttemptChange::Refused { reason, .. } => format!("{host} refused it: {reason}"),
                AttemptChange::Withdrawn => format!("attempt {attempt} taken back from {host}"),
                AttemptChange::Lost { reason, .. } => format!("attempt {attempt} lost: {reason}"),
                AttemptChange::Abandoned { reason } => {
                    format!("attempt {attempt} on {host} abandoned: {reason}")
                }
                AttemptChange::Superseded => {
                    format!("attempt {attempt} on {host} came too late: another one counts")
                }
                AttemptChange::Collecting => "its outputs are being fetched".to_owned(),
                AttemptChange::Collected { files, bytes } => {
                    format!("fetched {}, {}", counted(*files, "file"), counted(*bytes, "byte"))
                }
                AttemptChange::CollectFailed { reason, .. } => {
                    format!("cannot fetch its outputs: {reason}")
                }
            })
        }
        What::Job(event) => Some(match &event.change {
            JobChange::KillRequested => "a user killed it".to_owned(),
            JobChange::Paused => "a user paused it".to_owned(),
            JobChange::Resumed => "a user resumed it".to_owned(),
            JobChange::MemoryRaised { mem } => {
                format!("it gets {} of memory from now on", shown_size(*mem))
            }
            JobChange::Reopened => "a user wants it run again".to_owned(),
            JobChange::Ended { state: State::Done, .. } => "done".to_owned(),
            JobChange::Ended { state, reason } => {
                let word = if *state == State::Error { "failed" } else { "outcome unknown" };
                match reason {
                    Some(reason) => format!("{word}: {reason}"),
                    None => word.to_owned(),
                }
            }
        }),
        What::Run(_) | What::Host(_) | What::Transfer(_) => None,
    }
}
