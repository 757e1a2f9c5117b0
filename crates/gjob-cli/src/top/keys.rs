//! What keys do: they change the view, or ask for something that takes longer.

use gjob::manager::Act;
use gjob_core::HostLabel;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::state::State;
use super::view::{Cursor, Mode, Pager, Panel, Source};

/// What is to be done beyond the view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Leave,
    Read(Source),
    Act(Act, u32),
}

/// Every key, for `?`.
const HELP: &str = "\
arrows, PgUp, PgDn   scroll
Home, End            to the first or last row
Tab, Shift-Tab       the next or previous panel
s                    sort in another way
/                    show only jobs and hosts with a text in them
                     (command, name, host, state, reason); Enter keeps it, Esc drops it
Enter, l             of a job: what it has printed; of a host or slot: its jobs
f, End               in the log of a running job: stay at its end
e                    explain a job: why it waits, or what became of it
k                    kill a job
p                    pause a job, or resume it
r                    retry a job
+, -                 look at a shorter or longer time
?                    this help
q, Esc               leave; this stops nothing
t                    in gjob run and gjob attach: back to the progress. Ctrl-C does
                     there what it does without top

In the slots, one line is one slot: a block is a job, the blocks of jobs that
follow one another differ, x is an attempt that has not succeeded, and > one
that runs.";

/// Handles a key.
pub(crate) fn handle(state: &mut State, key: KeyEvent) -> Option<Request> {
    state.view.notice = None;
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return (key.code == KeyCode::Char('c')).then_some(Request::Leave);
    }
    match std::mem::take(&mut state.view.mode) {
        Mode::Browse => browse(state, key.code),
        Mode::Filter(before) => {
            filter(state, key.code, before);
            None
        }
        Mode::Confirm(act, job) => match key.code {
            KeyCode::Char('y' | 'Y') => Some(Request::Act(act, job)),
            _ => {
                state.view.notice = Some("nothing was done".to_owned());
                None
            }
        },
        Mode::Read(pager) => read(state, key.code, pager),
    }
}

fn browse(state: &mut State, key: KeyCode) -> Option<Request> {
    match key {
        KeyCode::Char('q') | KeyCode::Esc => return Some(Request::Leave),
        KeyCode::Char('t') if state.view.beside_run => return Some(Request::Leave),
        KeyCode::Tab => state.view.panel = state.view.panel.step(1),
        KeyCode::BackTab => state.view.panel = state.view.panel.step(Panel::ALL.len() - 1),
        KeyCode::Char('s') => sort(state),
        KeyCode::Char('/') => {
            state.view.mode = Mode::Filter(state.view.filter.clone());
        }
        KeyCode::Char('+' | '=') => state.view.zoom = (state.view.zoom + 1).min(20),
        KeyCode::Char('-') => state.view.zoom = state.view.zoom.saturating_sub(1),
        KeyCode::Char('?') => {
            let lines = HELP.lines().map(str::to_owned).collect();
            state.view.mode =
                Mode::Read(Pager { title: "Keys".to_owned(), lines, ..Pager::default() });
        }
        KeyCode::Enter | KeyCode::Char('l') if state.view.panel != Panel::Jobs => {
            show_jobs_of_host(state);
        }
        KeyCode::Enter | KeyCode::Char('l') => return on_job(state, Source::Log),
        KeyCode::Char('e') => return on_job(state, Source::Explain),
        KeyCode::Char('k') => ask(state, |_| Act::Kill),
        KeyCode::Char('r') => ask(state, |_| Act::Retry),
        KeyCode::Char('p') => ask(state, |held| if held { Act::Resume } else { Act::Pause }),
        other => scroll(state, other),
    }
    None
}

fn scroll(state: &mut State, key: KeyCode) {
    let (view, rows) = (&mut state.view, state.layout.rows);
    match view.panel {
        Panel::Jobs => step(&mut view.jobs, &state.jobs, key, rows.jobs),
        Panel::Hosts => step(&mut view.hosts, &state.hosts, key, rows.hosts),
        Panel::Slots => step(&mut view.slots, &state.lanes, key, rows.slots),
    }
}

fn step<T: Copy + PartialEq>(cursor: &mut Cursor<T>, list: &[T], key: KeyCode, page: usize) {
    if let Some(row) = moved(cursor.row, key, page, list.len()) {
        cursor.go(list, row);
    }
}

/// Where a key leads from a row.
fn moved(row: usize, key: KeyCode, page: usize, rows: usize) -> Option<usize> {
    let page = page.saturating_sub(1).max(1);
    Some(match key {
        KeyCode::Up => row.saturating_sub(1),
        KeyCode::Down => row + 1,
        KeyCode::PageUp => row.saturating_sub(page),
        KeyCode::PageDown => row + page,
        KeyCode::Home => 0,
        KeyCode::End => rows,
        _ => return None,
    })
}

fn sort(state: &mut State) {
    let view = &mut state.view;
    match view.panel {
        Panel::Jobs => view.job_sort = view.job_sort.next(),
        Panel::Hosts | Panel::Slots => view.host_sort = view.host_sort.next(),
    }
    state.forget_lists();
}

fn filter(state: &mut State, key: KeyCode, before: String) {
    let text = &mut state.view.filter;
    match key {
        KeyCode::Enter => return,
        KeyCode::Esc => {
            *text = before;
            return state.forget_lists();
        }
        KeyCode::Char(c) => text.push(c),
        KeyCode::Backspace => drop(text.pop()),
        _ => {}
    }
    state.view.mode = Mode::Filter(before);
    state.forget_lists();
}

fn read(state: &mut State, key: KeyCode, mut pager: Pager) -> Option<Request> {
    let page = state.layout.rows.page;
    match key {
        KeyCode::Char('q') | KeyCode::Esc => return None,
        KeyCode::Enter | KeyCode::Char('l') if pager.source.is_some() && pager.live.is_none() => {
            let source = pager.source;
            state.view.mode = Mode::Read(pager);
            return source.map(Request::Read);
        }
        KeyCode::Char('f') if pager.live.is_some() => pager.go(usize::MAX, page),
        other => {
            if let Some(top) = moved(pager.top, other, page, pager.lines.len()) {
                pager.go(top, page);
            }
        }
    }
    state.view.mode = Mode::Read(pager);
    None
}

/// The jobs of the host that is chosen.
fn show_jobs_of_host(state: &mut State) {
    let view = &state.view;
    let host = match view.panel {
        Panel::Hosts => state.hosts.get(view.hosts.row).copied(),
        Panel::Slots | Panel::Jobs => state.lanes.get(view.slots.row).map(|(host, _)| *host),
    };
    let Some(host) = host.and_then(|ix| state.run.host(ix)) else { return };
    if host.label.as_str() != HostLabel::LOCAL {
        state.view.filter = host.label.to_string();
    }
    state.view.panel = Panel::Jobs;
    state.forget_lists();
}

/// The job that is chosen, or a notice that none is.
fn chosen(state: &mut State) -> Option<u32> {
    if state.view.panel != Panel::Jobs {
        state.view.notice = Some("Tab leads to the jobs".to_owned());
        return None;
    }
    state.chosen()
}

fn on_job(state: &mut State, source: impl FnOnce(u32) -> Source) -> Option<Request> {
    Some(Request::Read(source(chosen(state)?)))
}

/// Asks whether to do it to the job that is chosen.
fn ask(state: &mut State, act: impl FnOnce(bool) -> Act) {
    let Some(index) = chosen(state) else { return };
    let held = state.run.job(index).is_some_and(gjob_core::Job::is_held);
    state.view.mode = Mode::Confirm(act(held), index);
}
