//! What a person has chosen to see: a panel, a row, a sort, a filter, a text.

use gjob::manager::Act;
use gjob_core::run::HostIx;

use super::live::LiveLog;

/// Everything that keys change.
#[derive(Debug, Default)]
pub(crate) struct View {
    pub(crate) panel: Panel,
    pub(crate) jobs: Cursor<u32>,
    pub(crate) hosts: Cursor<HostIx>,
    /// A lane of a host.
    pub(crate) slots: Cursor<(HostIx, u32)>,
    pub(crate) job_sort: JobSort,
    pub(crate) host_sort: HostSort,
    /// Jobs and hosts with this text in them.
    pub(crate) filter: String,
    pub(crate) mode: Mode,
    /// What is to be said, until the next key.
    pub(crate) notice: Option<String>,
    /// True in `gjob run` and `gjob attach`: leaving leads back to the progress.
    pub(crate) beside_run: bool,
    /// How often the time that is looked at was halved.
    pub(crate) zoom: u32,
}

impl View {
    /// True while this is what is to be read: it has been asked for, and was not left.
    pub(crate) fn wants(&self, source: Source) -> bool {
        matches!(&self.mode, Mode::Read(pager) if pager.source == Some(source))
    }

    /// Opens a text that is still to be read.
    pub(crate) fn open(&mut self, source: Source) {
        if self.wants(source) {
            return;
        }
        let title = match source {
            Source::Log(job) => format!("Log of #{job}"),
            Source::Explain(job) => format!("Explain #{job}"),
        };
        self.mode = Mode::Read(Pager { title, source: Some(source), ..Pager::default() });
    }

    /// The text cannot be read. What was read of it before stays.
    pub(crate) fn fail(&mut self, source: Source, reason: String) {
        if matches!(&self.mode, Mode::Read(pager) if pager.source == Some(source) && pager.lines.is_empty())
        {
            self.mode = Mode::Browse;
        }
        self.notice = Some(reason);
    }

    /// True while more may come of the text that is read.
    pub(crate) fn shows_live_log(&self) -> bool {
        matches!(&self.mode, Mode::Read(Pager { live: Some(_), .. }))
    }
}

/// What keys mean now.
#[derive(Debug, Default)]
pub(crate) enum Mode {
    #[default]
    Browse,
    /// A filter is typed; what it was before.
    Filter(String),
    /// To be confirmed for a job.
    Confirm(Act, u32),
    /// A text is read.
    Read(Pager),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Panel {
    #[default]
    Jobs,
    Hosts,
    Slots,
}

impl Panel {
    pub(crate) const ALL: [Panel; 3] = [Panel::Hosts, Panel::Slots, Panel::Jobs];

    /// The panel so many places further on.
    pub(crate) fn step(self, by: usize) -> Panel {
        let at = Panel::ALL.iter().position(|panel| *panel == self).unwrap_or(0);
        Panel::ALL[(at + by) % Panel::ALL.len()]
    }
}

/// A row of a list that stays the same row when others move, and the part of the list
/// that is seen.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<T> {
    /// None for the first row, whichever it is.
    pub(crate) at: Option<T>,
    /// Its position.
    pub(crate) row: usize,
    /// The first row that is seen.
    pub(crate) top: usize,
}

impl<T> Default for Cursor<T> {
    fn default() -> Self {
        Cursor { at: None, row: 0, top: 0 }
    }
}

impl<T: Copy + PartialEq> Cursor<T> {
    /// Moves to a row of a list.
    pub(crate) fn go(&mut self, list: &[T], row: usize) {
        self.row = row.min(list.len().saturating_sub(1));
        self.at = list.get(self.row).copied().filter(|_| self.row > 0);
    }

    /// Finds its row in a list that has changed, and keeps it in sight.
    pub(crate) fn follow(&mut self, list: &[T], page: usize) {
        match self.at {
            None => self.row = 0,
            Some(at) => match list.iter().position(|other| *other == at) {
                Some(row) => self.row = row,
                None => self.go(list, self.row),
            },
        }
        self.keep_in_sight(list.len(), page);
    }

    fn keep_in_sight(&mut self, rows: usize, page: usize) {
        let page = page.max(1);
        self.top = self.top.min(rows.saturating_sub(page)).min(self.row);
        self.top = self.top.max((self.row + 1).saturating_sub(page));
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum JobSort {
    /// Those that run first, then those that have failed.
    #[default]
    State,
    Index,
    Time,
    Host,
    Name,
}

impl JobSort {
    pub(crate) fn next(self) -> JobSort {
        match self {
            JobSort::State => JobSort::Index,
            JobSort::Index => JobSort::Time,
            JobSort::Time => JobSort::Host,
            JobSort::Host => JobSort::Name,
            JobSort::Name => JobSort::State,
        }
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            JobSort::State => "state",
            JobSort::Index => "number",
            JobSort::Time => "time",
            JobSort::Host => "host",
            JobSort::Name => "name",
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum HostSort {
    /// As they were given.
    #[default]
    Given,
    Busy,
    Done,
    Failed,
    Median,
}

impl HostSort {
    pub(crate) fn next(self) -> HostSort {
        match self {
            HostSort::Given => HostSort::Busy,
            HostSort::Busy => HostSort::Done,
            HostSort::Done => HostSort::Failed,
            HostSort::Failed => HostSort::Median,
            HostSort::Median => HostSort::Given,
        }
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            HostSort::Given => "order",
            HostSort::Busy => "busy slots",
            HostSort::Done => "done",
            HostSort::Failed => "failed",
            HostSort::Median => "median",
        }
    }
}

/// A text that is read.
#[derive(Debug, Default)]
pub(crate) struct Pager {
    pub(crate) title: String,
    pub(crate) lines: Vec<String>,
    pub(crate) top: usize,
    /// What reads it again.
    pub(crate) source: Option<Source>,
    /// The log of a job that runs: more may come.
    pub(crate) live: Option<LiveLog>,
    /// True while its end is to stay in sight.
    pub(crate) follows: bool,
}

/// A text about a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Log(u32),
    Explain(u32),
}

impl Pager {
    /// Scrolls to a line; the last page is as far as it goes.
    pub(crate) fn go(&mut self, top: usize, page: usize) {
        let last = self.lines.len().saturating_sub(page);
        self.top = top.min(last);
        self.follows = self.live.is_some() && self.top == last;
    }

    /// Keeps its end in sight if that is wanted.
    pub(crate) fn stay(&mut self, page: usize) {
        if self.follows {
            self.top = self.lines.len().saturating_sub(page);
        }
    }
}
