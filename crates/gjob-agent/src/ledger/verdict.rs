//! Whether an ask has its turn and room, from all that the ledger says. First come, first
//! served, as far as waiters want the same: what an earlier one asks for counts as taken,
//! so that small asks do not starve large ones.
//!
//! A run that a job has started takes what it needs within that job's share, so it does not
//! count it; nor does it count any share that some run takes within, since such a job waits
//! for its own run, and two of them could wait for each other. For the same reason it only
//! queues with its like.

use std::collections::HashSet;

use gjob_core::resources::Cpus;

use super::ask::{Ask, Free};
use super::lack::{Lack, What};
use super::line::{Held, Line, Offer, Turn, Writer};

/// All shares and waiters of others, by name.
#[derive(Debug, Default)]
pub(crate) struct Others {
    /// Shares.
    pub(crate) shares: Vec<(String, Line)>,
    /// Waiters.
    pub(crate) waiters: Vec<Line>,
    /// How the names of this machine's shares begin.
    pub(crate) names_here: String,
}

impl Others {
    /// What an ask gets, when everything it asks for is free: that, with some of what is
    /// `free`. The one who asks waits with `ticket`, if it does already.
    pub(crate) fn judge(
        &self,
        own: &Writer,
        ticket: Option<u64>,
        ask: &Ask,
        offer: &Offer,
        free: &Free,
    ) -> Result<Held, Lack> {
        let counted = self.counted(own);
        let earlier = self.earlier(own, ticket);
        let lack = |what| {
            let all: Vec<&Line> = counted.iter().chain(&earlier).copied().collect();
            Err(Lack::new(what, &all, own))
        };
        let held: Vec<&Held> = counted.iter().chain(&earlier).map(|line| &line.held).collect();
        // Among those who wait, the smallest offer counts: one who is content with more
        // would never leave room for one who is not.
        let turns = || earlier.iter().filter_map(|line| line.turn);
        let cpus = turns().map(|turn| turn.offer.cpus).fold(offer.cpus, u32::min);
        let mem = turns().map(|turn| turn.offer.mem).fold(offer.mem, u64::min);
        let waits = !self.is_visitor(own);
        if waits && !has_processors(&held, ask.cpus, cpus) {
            return lack(What::Processors);
        }
        let mut processors = free.processors.unbound();
        held.iter().for_each(|held| processors.note(&held.bound));
        let promised: u64 = turns().map(|turn| u64::from(turn.bound)).sum();
        let alone = u64::from(ask.bound_alone());
        if alone > 0 && promised + alone > processors.free() {
            return lack(What::Processors);
        }
        let used_mem: u128 = held.iter().map(|held| u128::from(held.mem)).sum();
        if waits && ask.mem > 0 && used_mem + u128::from(ask.mem) > mem.into() {
            return lack(What::Memory);
        }
        let is_held = |gpu: &&String| held.iter().any(|held| held.gpus.contains(gpu));
        let gpus: Vec<String> = free.gpus.iter().filter(|gpu| !is_held(gpu)).cloned().collect();
        let promised: u64 = turns().map(|turn| u64::from(turn.gpus)).sum();
        if ask.gpus > 0 && promised + u64::from(ask.gpus) > gpus.len() as u64 {
            return lack(What::Gpus);
        }
        Ok(ask.of(&Free { gpus, processors }))
    }

    /// The shares that count.
    fn counted(&self, own: &Writer) -> Vec<&Line> {
        let mut within: HashSet<&String> = HashSet::new();
        if self.is_nested(own) {
            let lines = self.shares.iter().map(|(_, line)| line).chain(&self.waiters);
            within.extend(lines.flat_map(|line| &line.writer.within));
            within.extend(&own.within);
        }
        let counts =
            |(name, line): &&(String, Line)| line.writer.meets(own) && !within.contains(name);
        self.shares.iter().filter(counts).map(|(_, line)| line).collect()
    }

    /// The waiters whose turn it is before.
    fn earlier(&self, own: &Writer, ticket: Option<u64>) -> Vec<&Line> {
        let is_nested = self.is_nested(own);
        let is_before = |line: &&Line| {
            let is_earlier = |turn: Turn| ticket.is_none_or(|ticket| turn.ticket < ticket);
            line.writer.meets(own)
                && line.turn.is_some_and(is_earlier)
                && (!is_nested || self.is_nested(&line.writer))
        };
        self.waiters.iter().filter(is_before).collect()
    }

    /// True if a job of another machine has started the writer's run: it does not wait for
    /// processors and memory. What it would wait for may be a job here that waits for a run on
    /// that machine, and no ledger would know of both.
    fn is_visitor(&self, writer: &Writer) -> bool {
        let is_here = |name: &String| name.starts_with(&self.names_here);
        !writer.within.iter().all(is_here) && !self.is_nested(writer)
    }

    /// True if a job that runs here has started the writer's run.
    fn is_nested(&self, writer: &Writer) -> bool {
        self.shares.iter().any(|(name, _)| writer.within.contains(name))
    }
}

fn has_processors(held: &[&Held], ask: Cpus, offer: u32) -> bool {
    if held.iter().any(|held| held.cpus == Cpus::All) {
        return ask == Cpus::Count(0);
    }
    let used: u64 = held.iter().filter_map(|held| held.cpus.count()).map(u64::from).sum();
    match ask {
        Cpus::All => used == 0,
        // What asks for none may begin on a machine whose processors are all taken.
        Cpus::Count(0) => true,
        Cpus::Count(count) => used + u64::from(count) <= offer.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Processors;
    use crate::ledger::lack::User;

    const OFFER: Offer = Offer { cpus: 4, mem: 100 };

    fn writer(run: &str, within: &[&str]) -> Writer {
        let within = within.iter().map(|&name| name.to_owned()).collect();
        let run = run.to_owned();
        Writer { run, agent: 1, processors: vec![(0, 3)], within, ..Writer::default() }
    }

    fn share(run: &str, cpus: u32) -> Line {
        let held = Held { cpus: Cpus::Count(cpus), ..Held::nothing() };
        Line { writer: writer(run, &[]), held, turn: None }
    }

    fn waiter(run: &str, cpus: u32, ticket: u64, offer: u32) -> Line {
        let offer = Offer { cpus: offer, mem: 100 };
        Line { turn: Some(Turn { ticket, offer, gpus: 0, bound: 0 }), ..share(run, cpus) }
    }

    fn ask(cpus: u32) -> Ask {
        Ask { cpus: Cpus::Count(cpus), mem: 0, gpus: 0, bound: 0, may_overlap: false }
    }

    fn named(lines: Vec<Line>) -> Vec<(String, Line)> {
        lines.into_iter().enumerate().map(|(at, line)| (format!("s{at}"), line)).collect()
    }

    #[test]
    fn shares_of_all_runs_count_together() {
        let others =
            Others { shares: named(vec![share("a", 2), share("b", 1)]), ..Others::default() };
        let judge = |ask: &Ask, own: &str| {
            others.judge(&writer(own, &[]), None, ask, &OFFER, &Free::default())
        };
        assert!(judge(&ask(1), "a").is_ok());
        let lack = |user| Err(Lack { what: What::Processors, user });
        let others_use = || User::Runs { first: None, more: false };
        assert_eq!(judge(&ask(2), "a"), lack(others_use()));
        assert_eq!(judge(&Ask { cpus: Cpus::All, ..ask(0) }, "a"), lack(others_use()));
        let others = Others { shares: named(vec![share("a", 4)]), ..Others::default() };
        assert_eq!(
            others.judge(&writer("a", &[]), None, &ask(1), &OFFER, &Free::default()),
            lack(User::Own)
        );
        assert!(others.judge(&writer("a", &[]), None, &ask(0), &OFFER, &Free::default()).is_ok());
    }

    #[test]
    fn memory_and_gpus_are_given_out_once() {
        let gpus = vec!["0".into()];
        let held = Held { cpus: Cpus::Count(1), mem: 60, gpus, ..Held::nothing() };
        let shares = named(vec![Line { held, ..share("a", 1) }]);
        let others = Others { shares, ..Others::default() };
        let gpus = ["0", "1"].map(str::to_owned).into();
        let free = Free { gpus, ..Free::default() };
        let judge = |mem, count| {
            let ask = Ask { mem, gpus: count, ..ask(1) };
            others.judge(&writer("b", &[]), None, &ask, &OFFER, &free)
        };
        assert_eq!(judge(41, 0).map_err(|lack| lack.what), Err(What::Memory));
        assert_eq!(judge(0, 2).map_err(|lack| lack.what), Err(What::Gpus));
        assert_eq!(judge(40, 1).unwrap().gpus, ["1"]);
    }

    #[test]
    fn bound_jobs_of_all_runs_have_different_processors() {
        let bound = |run, bound: &[u32]| {
            let held = Held { bound: bound.to_vec(), ..share(run, bound.len() as u32).held };
            Line { held, ..share(run, 0) }
        };
        let free = Free { processors: Processors::new(0..4), ..Free::default() };
        let wide = Offer { cpus: 8, ..OFFER };
        let judge = |others: &Others, count, may_overlap| {
            let ask = Ask { bound: count, may_overlap, ..ask(1) };
            let judged = others.judge(&writer("c", &[]), None, &ask, &wide, &free);
            judged.map(|held| held.bound).map_err(|lack| lack.what)
        };
        let shares = named(vec![bound("a", &[1]), share("b", 1), bound("b", &[0])]);
        let mut others = Others { shares, ..Others::default() };
        assert_eq!(judge(&others, 0, false), Ok(vec![]));
        assert_eq!(judge(&others, 1, false), Ok(vec![2]));
        assert_eq!(judge(&others, 3, false), Err(What::Processors));
        assert_eq!(judge(&others, 3, true), Ok(vec![0, 2, 3]));
        // One who waits for one of them leaves the other.
        let turn = Turn { ticket: 1, offer: wide, gpus: 0, bound: 1 };
        others.waiters.push(Line { turn: Some(turn), ..share("d", 1) });
        assert_eq!(judge(&others, 1, false), Ok(vec![2]));
        assert_eq!(judge(&others, 2, false), Err(What::Processors));
    }

    #[test]
    fn small_ask_does_not_pass_a_large_one_that_waits() {
        let others = Others {
            shares: named(vec![share("a", 1)]),
            waiters: vec![waiter("b", 4, 5, 4)],
            ..Others::default()
        };
        let judge = |ticket| {
            others.judge(&writer("c", &[]), ticket, &ask(1), &OFFER, &Free::default()).is_ok()
        };
        assert!(!judge(None) && !judge(Some(6)) && judge(Some(4)));
        // One who waits for two leaves room for one.
        let others = Others { waiters: vec![waiter("b", 2, 5, 4)], ..others };
        assert!(others.judge(&writer("c", &[]), None, &ask(1), &OFFER, &Free::default()).is_ok());
        // Of a run that has fewer processors, it is the number that counts.
        let others = Others { waiters: vec![waiter("b", 1, 5, 2)], ..others };
        assert!(others.judge(&writer("c", &[]), None, &ask(1), &OFFER, &Free::default()).is_err());
    }

    #[test]
    fn run_of_a_job_does_not_wait_for_that_job_or_for_others_that_wait_like_it() {
        let shares = named(vec![share("a", 2), share("a", 2)]);
        let waiters = vec![waiter("b", 1, 1, 4)];
        let others = Others { shares, waiters, ..Others::default() };
        let judge = |others: &Others, within: &[&str], cpus| {
            others.judge(&writer("n", within), None, &ask(cpus), &OFFER, &Free::default()).is_ok()
        };
        assert!(!judge(&others, &[], 1));
        // Its own job's share is free for it, and the one who waits is not before it.
        assert!(judge(&others, &["s0"], 2) && !judge(&others, &["s0"], 4));
        // The job of `s1` waits for a run of its own as well.
        let mut nested = waiter("m", 4, 2, 4);
        nested.writer.within = vec!["s1".into()];
        let mut others = others;
        others.waiters.push(nested);
        let own = writer("n", &["s0"]);
        assert!(others.judge(&own, Some(1), &ask(4), &OFFER, &Free::default()).is_ok());
        assert!(others.judge(&own, Some(3), &ask(4), &OFFER, &Free::default()).is_err());
        // A job that has ended is nobody's any more.
        assert!(!judge(&others, &["gone"], 1));
    }

    #[test]
    fn run_of_a_job_on_another_machine_does_not_wait_here() {
        let shares = vec![("share.here.1".to_owned(), share("a", 4))];
        let names_here = "share.here.".to_owned();
        let others = Others { shares, names_here, ..Others::default() };
        let judge = |within: &[&str]| {
            others.judge(&writer("n", within), None, &ask(4), &OFFER, &Free::default()).is_ok()
        };
        assert!(judge(&["share.there.1"]) && judge(&["share.here.9", "share.there.1"]));
        assert!(!judge(&[]) && !judge(&["share.here.9"]));
    }

    #[test]
    fn allocations_without_a_common_processor_are_machines_of_their_own() {
        let others = Others { shares: named(vec![share("a", 4)]), ..Others::default() };
        let apart = Writer { processors: vec![(4, 7)], ..writer("b", &[]) };
        assert!(others.judge(&apart, None, &ask(4), &OFFER, &Free::default()).is_ok());
    }
}
