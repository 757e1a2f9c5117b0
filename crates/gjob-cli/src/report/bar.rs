//! The progress of a run on a terminal: the lines of [`Glance`], drawn at most ten times
//! a second, and once a second while nothing happens.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::time::{Duration, Instant};

use gjob::units::format_duration;
use gjob_core::event::Transfer;
use gjob_core::{HostLabel, Run, Timestamp};
use rustix::termios::{Winsize, tcgetwinsize};

use super::area::Area;
use super::glance::Glance;
use super::progress::way;
use super::{Absences, FAILURE};

/// Between two drawings while much happens.
const FRAME: Duration = Duration::from_millis(100);

/// Between two drawings while nothing happens: times go on.
const TICK: Duration = Duration::from_secs(1);

/// How often the rest of the time is estimated again.
const ESTIMATE_INTERVAL: Duration = Duration::from_millis(500);

/// The time whose jobs make the rate, and the least that says anything.
const RATE_TIME: Duration = Duration::from_secs(60);
const RATE_LEAST: Duration = Duration::from_secs(5);

/// The size of a terminal that does not tell it.
const SIZE: (usize, usize) = (80, 24);

#[derive(Debug)]
pub(crate) struct Bar {
    pub(super) area: Area,
    /// When the run was submitted.
    pub(super) created: Timestamp,
    drawn: Option<(Instant, u64)>,
    /// When the run will be over, and when that was estimated.
    estimate: Option<(Option<Instant>, Instant)>,
    /// How many jobs had ended when, the latest last.
    ended: VecDeque<(Instant, u32)>,
    /// Large files in transfer, by host, and how far they are.
    transfers: BTreeMap<HostLabel, String>,
    colour: bool,
    /// True if keys are read.
    pub(super) has_keys: bool,
}

impl Bar {
    pub(super) fn new(colour: bool) -> Self {
        Bar {
            area: Area::default(),
            created: gjob::store::now(),
            drawn: None,
            estimate: None,
            ended: VecDeque::new(),
            transfers: BTreeMap::new(),
            colour,
            has_keys: false,
        }
    }

    /// A large file has come this far.
    pub(super) fn transfer(&mut self, transfer: &Transfer) {
        let Transfer { host, bytes, size, .. } = transfer;
        if bytes >= size {
            self.transfers.remove(host);
        } else {
            let percent = (u128::from(*bytes) * 100 / u128::from(*size)) as u64;
            self.transfers.insert(host.clone(), format!("{} {percent}%", way(transfer)));
        }
    }

    /// How long it is until the next drawing; none if it is time for it. `has_more` says
    /// that there is something to be said beside it.
    pub(super) fn rest(&self, run: &Run, has_more: bool) -> Option<Duration> {
        let (drawn, seq) = self.drawn?;
        let is_news = has_more || seq != run.seq() || !self.transfers.is_empty();
        let wait = if is_news { FRAME } else { TICK };
        wait.checked_sub(drawn.elapsed()).filter(|rest| !rest.is_zero())
    }

    /// Draws; returns when to do so again if nothing happens.
    pub(super) fn draw(&mut self, run: &Run, absences: &Absences) -> Duration {
        let now = Instant::now();
        self.drawn = Some((now, run.seq()));
        let (columns, rows) = size();
        let (tally, time) = (run.tally(), gjob::store::now());
        let glance = Glance {
            run,
            now: time,
            took: run.elapsed(self.created, time),
            left: self.left(run, now),
            rate: self.rate(tally.total() - tally.left(), now),
            absences,
            transfer: self.transfers_now(),
            has_keys: self.has_keys,
        };
        // A terminal may wrap a line that fills its last column.
        let mut lines = glance.lines(columns.saturating_sub(1), rows);
        if self.colour && tally.failed() > 0 {
            let failed = format!("{} failed", tally.failed());
            let coloured = format!("{FAILURE}{failed}{FAILURE:#}");
            lines[0] = lines[0].replacen(&failed, &coloured, 1);
        }
        self.area.draw(&lines);
        TICK
    }

    fn left(&mut self, run: &Run, now: Instant) -> Option<Duration> {
        let is_old = |(_, at): (_, Instant)| now - at >= ESTIMATE_INTERVAL;
        if self.estimate.is_none_or(is_old) {
            let end = run.time_left(gjob::store::now()).map(|left| now + left);
            self.estimate = Some((end, now));
        }
        let (end, _) = self.estimate?;
        Some(end?.saturating_duration_since(now))
    }

    fn rate(&mut self, ended: u32, now: Instant) -> Option<f64> {
        // A job that is done again has not ended any more.
        if self.ended.back().is_some_and(|(_, before)| *before > ended) {
            self.ended.clear();
        }
        if self.ended.back().is_none_or(|(at, _)| now - *at >= TICK) {
            self.ended.push_back((now, ended));
        }
        while self.ended.len() > 1 && now - self.ended[0].0 > RATE_TIME {
            self.ended.pop_front();
        }
        let (from, before) = self.ended.front().copied()?;
        let (time, jobs) = (now - from, ended - before);
        (time >= RATE_LEAST && jobs > 0).then(|| f64::from(jobs) * 60.0 / time.as_secs_f64())
    }

    fn transfers_now(&self) -> Option<String> {
        let (_, first) = self.transfers.first_key_value()?;
        Some(match self.transfers.len() {
            1 => first.clone(),
            more => format!("{first} and {} more", more - 1),
        })
    }
}

/// Columns and lines of the terminal.
pub(super) fn size() -> (usize, usize) {
    let told = tcgetwinsize(io::stderr()).ok().filter(|size| size.ws_col > 0 && size.ws_row > 0);
    told.map_or(SIZE, |size| (size.ws_col.into(), size.ws_row.into()))
}

/// The columns of standard output if that is a terminal.
pub(crate) fn stdout_columns() -> Option<usize> {
    columns(tcgetwinsize(io::stdout()))
}

/// The columns of standard error if that is a terminal.
pub(crate) fn stderr_columns() -> Option<usize> {
    columns(tcgetwinsize(io::stderr()))
}

fn columns(size: rustix::io::Result<Winsize>) -> Option<usize> {
    let columns = size.ok()?.ws_col;
    Some(if columns > 0 { columns.into() } else { SIZE.0 })
}

/// A shorter time without a manager is not worth a word.
const SHORT_GAP: Duration = Duration::from_secs(60);

/// How long a run has taken, with how long of that it had no manager: `2h 3m, 1h 50m of it
/// without a manager`.
pub(crate) fn with_gaps(took: &str, unmanaged: Duration) -> String {
    match unmanaged >= SHORT_GAP {
        true => format!("{took}, {} of it without a manager", whole_seconds(unmanaged)),
        false => took.to_owned(),
    }
}

/// A time that goes on: hundredths would only flicker. It is never said to be nothing.
pub(crate) fn whole_seconds(duration: Duration) -> String {
    if duration.as_secs() == 0 {
        return "<1s".to_owned();
    }
    format_duration(Duration::from_secs(duration.as_secs()))
}
