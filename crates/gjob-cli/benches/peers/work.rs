//! The works: what is run, and what its figure says.

use super::field::HOSTS;
use super::measurement::Cost;
use super::options::Options;

/// Jobs at once on each host, unless a work says otherwise.
const SLOTS: usize = 2;

/// One row of the table.
pub(crate) struct Work {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) unit: Unit,
    pub(crate) load: Load,
    /// Measured in every run; others have to be asked for.
    pub(crate) by_default: bool,
    /// Long ones are measured fewer times.
    most_rounds: usize,
    /// The CPU time and the fsyncs of a job are of interest.
    pub(crate) counts_fsyncs: bool,
}

/// What a program is given to do.
#[derive(Clone, Debug)]
pub(crate) enum Load {
    /// So many jobs on all hosts.
    Jobs(Jobs),
    /// Jobs that need the shared input file.
    Shared { jobs: usize, copies: bool },
    /// `true` once on each of this number of names of one host.
    EachName { names: usize },
    /// `true` on one host.
    OneHost,
    /// `true` on this machine.
    Here,
    /// Jobs on hosts that nothing was sent to.
    Bare { jobs: usize },
    /// The job length at which half of the slots' time is used.
    Metg { slots: usize },
}

/// The same command, many times.
#[derive(Clone, Debug)]
pub(crate) struct Jobs {
    pub(crate) count: usize,
    pub(crate) command: String,
    /// The command is the shell's to run: it has syntax.
    pub(crate) needs_shell: bool,
    /// Jobs at once on each host.
    pub(crate) slots: usize,
    /// Connections have a round trip of 100 ms.
    pub(crate) delayed: bool,
}

impl Jobs {
    fn new(count: usize, command: &str) -> Self {
        let command = command.to_owned();
        Self { count, command, needs_shell: false, slots: SLOTS, delayed: false }
    }

    pub(crate) fn sleeping(count: usize, seconds: f64, slots: usize) -> Self {
        Self { slots, ..Self::new(count, &format!("sleep {seconds:.4}")) }
    }
}

impl Load {
    /// The jobs that the work consists of.
    pub(crate) fn jobs(&self) -> usize {
        match self {
            Load::Jobs(jobs) => jobs.count,
            Load::Shared { jobs, .. } | Load::Bare { jobs } => *jobs,
            Load::EachName { names } => *names,
            Load::OneHost | Load::Here => 1,
            Load::Metg { .. } => 0,
        }
    }
}

/// What the figure of a work says.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unit {
    /// Jobs per second.
    Rate,
    /// Seconds for all jobs.
    Seconds,
    /// Time, as a multiple of what jobs of this many seconds need at least.
    OfIdeal(f64),
    /// The percentage of the slots' time that jobs of this many seconds use.
    Busy(f64),
    /// Milliseconds.
    Milliseconds,
}

impl Unit {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Unit::Rate => "jobs/s",
            Unit::Seconds => "s",
            Unit::OfIdeal(_) => "× ideal",
            Unit::Busy(_) => "% busy",
            Unit::Milliseconds => "ms",
        }
    }

    pub(crate) fn more_is_better(self) -> bool {
        matches!(self, Unit::Rate | Unit::Busy(_))
    }

    /// The figure of one measurement. A program that was given fewer jobs is taken to need
    /// as much time for each of the others.
    pub(crate) fn value(self, cost: &Cost) -> f64 {
        let given = cost.given as f64;
        let ideal = |length: f64| given * length / (HOSTS * SLOTS) as f64;
        match self {
            Unit::Rate => given / cost.seconds,
            Unit::Seconds => cost.seconds * cost.jobs as f64 / given,
            Unit::OfIdeal(length) => cost.seconds / ideal(length),
            Unit::Busy(length) => 100.0 * ideal(length) / cost.seconds,
            Unit::Milliseconds => cost.seconds * 1e3,
        }
    }
}

impl Work {
    fn new(name: &str, title: &str, unit: Unit, load: Load) -> Self {
        let (name, title) = (name.to_owned(), title.to_owned());
        let most_rounds = usize::MAX;
        Self { name, title, unit, load, by_default: true, most_rounds, counts_fsyncs: false }
    }

    pub(crate) fn rounds(&self, asked: usize) -> usize {
        asked.min(self.most_rounds)
    }
}

/// All works, with as many jobs as the options want.
pub(crate) fn all(options: &Options) -> Vec<Work> {
    // As many on each host.
    let scaled = |jobs: usize| {
        let wanted = (jobs as f64 * options.scale / HOSTS as f64).round().max(1.0);
        wanted as usize * HOSTS
    };
    let mut works = Vec::new();
    for (name, command, needs_shell) in [("true", "true", false), ("bash", "cd . && true", true)] {
        for (size, most_rounds) in [(1_000, usize::MAX), (10_000, 2)] {
            let count = scaled(size);
            let title = format!("{count} × `{command}`, {HOSTS} hosts × {SLOTS} slots");
            let load = Load::Jobs(Jobs { needs_shell, ..Jobs::new(count, command) });
            let work = Work::new(&format!("{name}-{size}"), &title, Unit::Rate, load);
            works.push(Work { most_rounds, counts_fsyncs: true, ..work });
        }
    }
    for (name, size, length) in [("sleep-0.1", 400, 0.1), ("sleep-1", 40, 1.0)] {
        let count = scaled(size);
        let title = format!("{count} × `sleep {length}`, logins included");
        let load = Load::Jobs(Jobs::new(count, &format!("sleep {length}")));
        works.push(Work::new(name, &title, Unit::OfIdeal(length), load));
    }
    let count = scaled(800);
    let title = format!("{count} × `sleep 0.05` at a round trip of 100 ms");
    let load = Load::Jobs(Jobs { delayed: true, ..Jobs::new(count, "sleep 0.05") });
    works.push(Work::new("far", &title, Unit::Busy(0.05), load));
    works.push(Work::new("one-host", "one job on one warm host", Unit::Seconds, Load::OneHost));
    works.push(Work::new("here", "one job on this machine", Unit::Seconds, Load::Here));
    let title = format!("8 jobs on {HOSTS} hosts that nothing was sent to");
    works.push(Work::new("bare", &title, Unit::Seconds, Load::Bare { jobs: 8 }));
    for (size, copies) in [(40, false), (200, false), (40, true), (200, true)] {
        let jobs = scaled(size);
        let (kind, kinds) =
            if copies { ("copies", "private copies") } else { ("links", "hard links") };
        let title = format!("{jobs} jobs with one 50 MB input, {kinds}");
        let load = Load::Shared { jobs, copies };
        let work = Work::new(&format!("shared-{size}-{kind}"), &title, Unit::Seconds, load);
        // 200 copies fill 10 GB in each measurement.
        works.push(Work { by_default: size < 100 || !copies, ..work });
    }
    let title = "`true` on each of 64 names of one host";
    works.push(Work::new("names", title, Unit::Seconds, Load::EachName { names: 64 }));
    for slots in [8, 64, 512] {
        let title = format!("job length at which half of the time of {slots} slots is used");
        let load = Load::Metg { slots };
        let work = Work::new(&format!("metg-{slots}"), &title, Unit::Milliseconds, load);
        works.push(Work { most_rounds: 1, ..work });
    }
    works
}
