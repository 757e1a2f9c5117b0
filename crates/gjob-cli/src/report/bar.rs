//! The progress line of a terminal: how far the run is, what runs, and about how
//! long the rest takes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use gjob::units::format_duration;
use gjob_core::event::Transfer;
use gjob_core::plural::counted;
use gjob_core::run::{Host, Tally};
use gjob_core::text::printable;
use gjob_core::{HostLabel, Run};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::progress::way;

/// How often the rest of the time is estimated again.
const ESTIMATE_INTERVAL: Duration = Duration::from_millis(500);

/// When the run will be over, if that can be told.
type Estimate = Arc<Mutex<Option<Instant>>>;

#[derive(Debug)]
pub(crate) struct Bar {
    pub(super) bar: ProgressBar,
    jobs: Tally,
    running: u32,
    /// What is to be said of the hosts.
    hosts: String,
    estimate: Estimate,
    estimated: Option<Instant>,
    /// Large files in transfer, by host, and how far they are.
    transfers: BTreeMap<HostLabel, String>,
}

impl Bar {
    pub(super) fn new() -> Self {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
        let estimate = Estimate::default();
        let template = "{bar:20} {pos}/{len} {took}{left} · {wide_msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            let end = Arc::clone(&estimate);
            let took = |state: &ProgressState, out: &mut dyn std::fmt::Write| {
                let _ = out.write_str(&whole_seconds(state.elapsed()));
            };
            let left = move |_: &ProgressState, out: &mut dyn std::fmt::Write| {
                if let Some(end) = *end.lock().unwrap_or_else(PoisonError::into_inner) {
                    let left = end.saturating_duration_since(Instant::now());
                    if left.as_secs() > 0 {
                        let _ = write!(out, ", about {} left", whole_seconds(left));
                    }
                }
            };
            bar.set_style(
                style.progress_chars("=> ").with_key("took", took).with_key("left", left),
            );
        }
        bar.enable_steady_tick(Duration::from_secs(1));
        Bar {
            bar,
            jobs: Tally::default(),
            running: 0,
            hosts: String::new(),
            estimate,
            estimated: None,
            transfers: BTreeMap::new(),
        }
    }

    pub(super) fn update(&mut self, run: &Run) {
        self.jobs = run.tally();
        self.running = run.hosts().iter().map(running).sum();
        self.hosts = hosts(run);
        self.estimate_again(run);
        self.bar.set_length(self.jobs.total().into());
        self.bar.set_position((self.jobs.total() - self.jobs.left()).into());
        self.show();
    }

    fn estimate_again(&mut self, run: &Run) {
        let now = Instant::now();
        if self.estimated.is_some_and(|last| now - last < ESTIMATE_INTERVAL) {
            return;
        }
        self.estimated = Some(now);
        let end = run.time_left(gjob::store::now()).map(|left| now + left);
        *self.estimate.lock().unwrap_or_else(PoisonError::into_inner) = end;
    }

    fn show(&self) {
        let mut text = format!("{} running", self.running);
        let failed = self.jobs.failed();
        if failed > 0 {
            let _ = write!(text, ", {failed} failed");
        }
        text.push_str(&self.hosts);
        match (self.transfers.first_key_value(), self.transfers.len()) {
            (None, _) => {}
            (Some((_, first)), 1) => drop(write!(text, " · {first}")),
            (Some((_, first)), more) => drop(write!(text, " · {first} and {} more", more - 1)),
        }
        self.bar.set_message(text);
    }

    pub(super) fn transfer(&mut self, transfer: &Transfer) {
        let Transfer { host, bytes, size, .. } = transfer;
        if bytes >= size {
            self.transfers.remove(host);
        } else {
            let percent = (u128::from(*bytes) * 100 / u128::from(*size)) as u64;
            self.transfers.insert(host.clone(), format!("{} {percent}%", way(transfer)));
        }
        self.show();
    }
}

/// Jobs that run on a host; those that are promised to it wait.
fn running(host: &Host) -> u32 {
    (host.in_flight().len() as u32).min(host.slots())
}

/// What keeps hosts away, as long as some are.
fn hosts(run: &Run) -> String {
    let all = run.hosts().len();
    let away: Vec<&Host> = run.hosts().iter().filter(|host| !host.status.answers()).collect();
    let first = away.iter().find(|host| host.reason.is_some());
    match (away.len(), first) {
        (0, _) => String::new(),
        (away, Some(host)) if away == all => {
            let reason = host.reason.as_deref().map_or_else(String::new, printable);
            format!(" · waiting for {}: {reason}", host.label)
        }
        (away, None) if away == all => format!(" · connecting to {}", counted(all as u64, "host")),
        (away, _) => format!(" · {} of {} up", all - away, counted(all as u64, "host")),
    }
}

/// A time that goes on: hundredths would only flicker.
pub(crate) fn whole_seconds(duration: Duration) -> String {
    format_duration(Duration::from_secs(duration.as_secs()))
}
