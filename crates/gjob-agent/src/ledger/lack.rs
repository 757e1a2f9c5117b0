//! What an ask waits for, in words: what there is too little of, and which run has it.

use std::collections::BTreeSet;
use std::fmt;

use gjob_core::RunId;
use gjob_core::resources::Cpus;
use gjob_core::text::{Shown, excerpt};

use super::line::{Line, Writer};

/// What there is too little of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// Processors.
    Processors,
    /// Memory.
    Memory,
    /// GPUs.
    Gpus,
}

impl What {
    /// True if a line says that its writer has some of it, or is to have it first.
    fn is_in(self, line: &Line) -> bool {
        let Line { held, turn, .. } = line;
        match self {
            What::Processors => held.cpus != Cpus::Count(0) || !held.bound.is_empty(),
            What::Memory => held.mem > 0,
            What::Gpus => !held.gpus.is_empty() || turn.is_some_and(|turn| turn.gpus > 0),
        }
    }
}

/// Who has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum User {
    /// The same run, under another name of the machine.
    Own,
    /// Others.
    Runs {
        /// One of them, as people know it; none if it has no name that they know.
        first: Option<String>,
        /// There are more.
        more: bool,
    },
}

/// Why an ask has to wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lack {
    /// Of what.
    pub(crate) what: What,
    /// Who has it.
    pub(crate) user: User,
}

impl Lack {
    /// Of what these lines say that others have.
    pub(super) fn new(what: What, lines: &[&Line], own: &Writer) -> Self {
        let others = lines.iter().filter(|line| line.writer.run != own.run);
        let runs: BTreeSet<(bool, &str)> =
            { others }.map(|line| (!what.is_in(line), line.writer.run.as_str())).collect();
        // Those that have none of it are named only if nobody has.
        let first = runs.first().copied();
        let has_it = |run: &&(bool, &str)| Some(run.0) == first.map(|first| first.0);
        let Some((_, first)) = first else { return Lack { what, user: User::Own } };
        let more = runs.iter().filter(has_it).count() > 1;
        let writer = lines.iter().map(|line| &line.writer).find(|writer| writer.run == first);
        let first = writer.and_then(|writer| name(writer, own));
        Lack { what, user: User::Runs { first, more } }
    }
}

/// A run as `gjob runs` shows it, with where that is if it is not where `own` is managed.
/// Another process has written it.
fn name(writer: &Writer, own: &Writer) -> Option<String> {
    let run: RunId = writer.run.parse().ok()?;
    let run = run.plain();
    let at = &writer.managed;
    if *at == own.managed {
        return Some(run.to_owned());
    }
    let (machine, dir) = (excerpt(&at.machine), excerpt(&at.state_dir));
    let place = match (machine == own.managed.machine, at.state_dir.is_empty()) {
        (_, true) => return None,
        (true, false) => dir,
        (false, false) => format!("{machine}:{dir}"),
    };
    Some(format!("{run} of {}", Shown::new(&place)))
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.what {
            What::Processors => "processors",
            What::Memory => "memory",
            What::Gpus => "GPUs",
        };
        match &self.user {
            User::Own => write!(f, "{what} that this run uses under another name of the machine"),
            User::Runs { first: Some(run), more: false } => write!(f, "{what} that run {run} uses"),
            User::Runs { first: Some(run), more: true } => {
                write!(f, "{what} that run {run} and others use")
            }
            User::Runs { first: None, .. } => write!(f, "{what} that another run of yours uses"),
        }
    }
}

#[cfg(test)]
mod tests {
    use gjob_core::wire::ManagedAt;

    use super::*;
    use crate::ledger::Held;

    fn line(run: &str, at: (&str, &str), cpus: u32, mem: u64) -> Line {
        let managed = ManagedAt { machine: at.0.to_owned(), state_dir: at.1.to_owned() };
        let writer = Writer { run: run.to_owned(), managed, ..Writer::default() };
        Line { writer, held: Held { cpus: Cpus::Count(cpus), mem, ..Held::nothing() }, turn: None }
    }

    #[test]
    fn run_is_named_as_its_user_knows_it() {
        let here = ("m", "/s");
        let own = line("2026-11-22-9+00000000000000aa", here, 0, 0);
        let lacks = |what, lines: &[&Line]| Lack::new(what, lines, &own.writer).to_string();
        let processors = |lines: &[&Line]| lacks(What::Processors, lines);
        let first = line("2026-11-22-1+00000000000000bb", here, 1, 0);
        assert_eq!(processors(&[&own, &first]), "processors that run 2026-11-22-1 uses");
        let second = line("2026-11-22-2+00000000000000bb", here, 1, 5);
        let both = "processors that run 2026-11-22-1 and others use";
        assert_eq!(processors(&[&second, &first, &second]), both);
        // Only one of them has any memory.
        let memory = "memory that run 2026-11-22-2 uses";
        assert_eq!(lacks(What::Memory, &[&first, &second]), memory);
        assert_eq!(lacks(What::Gpus, &[&second]), "GPUs that run 2026-11-22-2 uses");
        let own_name = "processors that this run uses under another name of the machine";
        assert_eq!(processors(&[&own]), own_name);
    }

    #[test]
    fn run_that_is_managed_elsewhere_is_named_with_the_place_and_nothing_odd_is_shown() {
        let own = line("2026-11-22-9+00000000000000aa", ("m", "/s"), 0, 0);
        let lack = |run: &str, at: (&str, &str)| {
            Lack::new(What::Processors, &[&line(run, at, 1, 0)], &own.writer).to_string()
        };
        let run = "2026-11-22-1+00000000000000bb";
        assert_eq!(lack(run, ("m", "/t")), "processors that run 2026-11-22-1 of /t uses");
        assert_eq!(lack(run, ("n", "/s")), "processors that run 2026-11-22-1 of n:/s uses");
        let unknown = "processors that another run of yours uses";
        assert_eq!(lack(run, ("m", "")), unknown);
        assert_eq!(lack("\x1b[31mred", ("m", "/s")), unknown);
        let odd = lack(run, ("n\x1b[31m", &format!("/\n{}", "x".repeat(1000))));
        assert!(!odd.contains(['\x1b', '\n']) && odd.len() < 250, "{odd:?}");
    }
}
