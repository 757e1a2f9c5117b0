//! All that `top` shows, as one value: the run, what is derived from it, and the view.
//! Nothing here reads a clock, a terminal or a file.

use gjob::store::Gaps;
use gjob_core::event::JobChange;
use gjob_core::run::HostIx;
use gjob_core::{Event, Run, RunId, Timestamp, What};

use super::charts::Charts;
use super::feed::{Loaded, News};
use super::layout::Layout;
use super::order;
use super::timeline::Timeline;
use super::view::{Mode, View};
use crate::report::{Absences, HostWork, host_work};

/// How often what each host has done is summed up, milliseconds.
const WORK_INTERVAL: u64 = 1000;

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) id: RunId,
    pub(crate) created: Timestamp,
    /// When it had no manager, before it was opened.
    pub(crate) gaps: Gaps,
    pub(crate) run: Run,
    /// True while a process manages the run.
    pub(crate) managed: bool,
    /// Why the run cannot be read now.
    pub(crate) problem: Option<String>,
    pub(crate) now: Timestamp,
    pub(crate) view: View,
    pub(crate) timeline: Timeline,
    pub(crate) charts: Charts,
    /// When jobs ended, in the order in which that was told.
    pub(crate) ends: Vec<Timestamp>,
    pub(crate) absences: Absences,
    pub(crate) work: Vec<HostWork>,
    /// What is listed, in order.
    pub(crate) jobs: Vec<u32>,
    pub(crate) hosts: Vec<HostIx>,
    pub(crate) lanes: Vec<(HostIx, u32)>,
    pub(crate) layout: Layout,
    /// True when the lists are not what they should be.
    pub(crate) stale: bool,
    work_at: Option<u64>,
}

impl State {
    pub(crate) fn new(id: RunId, created: Timestamp, gaps: Gaps, loaded: Loaded) -> Self {
        let mut state = State {
            id,
            created,
            gaps,
            run: Run::new([], [], gjob_core::dependency::Dependencies::default()),
            managed: false,
            problem: None,
            now: created,
            view: View::default(),
            timeline: Timeline::default(),
            charts: Charts::default(),
            ends: Vec::new(),
            absences: Absences::default(),
            work: Vec::new(),
            jobs: Vec::new(),
            hosts: Vec::new(),
            lanes: Vec::new(),
            layout: Layout::default(),
            stale: true,
            work_at: None,
        };
        state.load(loaded);
        state
    }

    fn load(&mut self, Loaded { run, earlier, managed }: Loaded) {
        self.timeline = Timeline::new(&run, &earlier);
        self.ends = run.jobs().iter().filter_map(|job| job.ended).collect();
        self.ends.sort_unstable();
        (self.run, self.managed, self.problem) = (run, managed, None);
        self.forget_lists();
    }

    /// The lists are made anew before the next drawing.
    pub(crate) fn forget_lists(&mut self) {
        self.stale = true;
        self.work_at = None;
    }

    /// Takes what has happened.
    pub(crate) fn apply(&mut self, news: News) {
        match news {
            News::Run(loaded) => self.load(*loaded),
            News::Event(event) => self.apply_event(&event),
            News::Problem(problem) => self.problem = Some(problem),
        }
    }

    fn apply_event(&mut self, event: &Event) {
        self.run.apply(event);
        self.stale |= event.what.is_durable();
        match &event.what {
            What::Attempt(change) => self.timeline.apply(&self.run, change, event.at),
            What::Job(job) => {
                if let JobChange::Ended { .. } = job.change {
                    self.ends.push(event.at);
                }
            }
            What::Host(change) => {
                self.absences.apply(change, event.at);
            }
            What::Run(_) | What::Transfer(_) => {}
        }
    }

    /// Prepares for a drawing at this time, on a screen of this size.
    pub(crate) fn prepare(&mut self, now: Timestamp, (width, height): (u16, u16)) {
        self.now = now;
        if self.stale {
            self.list();
        }
        self.layout = Layout::new(width, height, self.view.panel, self);
        let rows = self.layout.rows;
        self.view.jobs.follow(&self.jobs, rows.jobs);
        self.view.hosts.follow(&self.hosts, rows.hosts);
        self.view.slots.follow(&self.lanes, rows.slots);
        if let Mode::Read(pager) = &mut self.view.mode {
            pager.stay(rows.page);
        }
        self.charts.prepare(&self.timeline, &self.ends, self.window(), rows.chart_width);
    }

    fn list(&mut self) {
        if self.work_at.is_none_or(|at| self.now.0.saturating_sub(at) >= WORK_INTERVAL) {
            self.work = host_work(&self.run);
            self.work_at = Some(self.now.0);
        }
        let View { filter, job_sort, host_sort, .. } = &self.view;
        self.jobs = order::jobs(&self.run, self.managed, filter, *job_sort, self.now);
        self.hosts = order::hosts(&self.run, &self.work, filter, *host_sort);
        self.lanes = order::lanes(&self.run, &self.timeline, &self.hosts);
        self.stale = false;
    }

    /// The time that is looked at: from its start to now, or to its end.
    pub(crate) fn window(&self) -> (u64, u64) {
        let is_over = !self.managed && self.timeline.last() > 0;
        let to = if is_over { self.timeline.last() } else { self.now.0 };
        let first = self.timeline.first().unwrap_or(self.created.0).min(to);
        let span = (to - first) >> self.view.zoom.min(20);
        (to - span, to)
    }

    /// The job that is chosen.
    pub(crate) fn chosen(&self) -> Option<u32> {
        self.jobs.get(self.view.jobs.row).copied()
    }
}
