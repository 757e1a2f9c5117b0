//! The last line: what keys do, what is asked, what is to be said.

use gjob::manager::Act;
use gjob_core::text::printable;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::super::state::State;
use super::super::view::{Mode, Panel};
use super::Theme;
use crate::report::headline;

/// Keys, and what they do.
type Keys = &'static [(&'static str, &'static str)];

const ON_JOBS: Keys = &[
    ("q", "leave"),
    ("Tab", "panel"),
    ("/", "filter"),
    ("s", "sort"),
    ("l", "log"),
    ("e", "explain"),
    ("k", "kill"),
    ("p", "pause"),
    ("r", "retry"),
    ("?", "help"),
];

const ON_HOSTS: Keys = &[
    ("q", "leave"),
    ("Tab", "panel"),
    ("/", "filter"),
    ("s", "sort"),
    ("Enter", "its jobs"),
    ("+", "shorter"),
    ("-", "longer time"),
    ("?", "help"),
];

const IN_TEXT: Keys = &[("q", "back"), ("arrows", "scroll")];

const IN_TEXT_OF_JOB: Keys = &[("q", "back"), ("arrows", "scroll"), ("l", "read again")];

const IN_LIVE_LOG: Keys = &[("q", "back"), ("arrows", "scroll"), ("f", "follow its end")];

pub(super) fn draw(state: &State, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    if area.height == 0 {
        return;
    }
    let view = &state.view;
    let said = match (&view.mode, &view.notice, &state.problem) {
        (Mode::Confirm(act, job), ..) => question(state, *act, *job),
        (Mode::Filter(_), ..) => format!("/{}_", printable(&view.filter)),
        (_, Some(notice), _) => printable(notice),
        (_, None, Some(problem)) => printable(problem),
        (Mode::Read(pager), None, None) if pager.source.is_some() => {
            let used = if pager.live.is_some() { IN_LIVE_LOG } else { IN_TEXT_OF_JOB };
            return keys(used, view.beside_run, theme, area, buffer);
        }
        (Mode::Read(_), None, None) => return keys(IN_TEXT, view.beside_run, theme, area, buffer),
        (Mode::Browse, None, None) => {
            let used = if view.panel == Panel::Jobs { ON_JOBS } else { ON_HOSTS };
            return keys(used, view.beside_run, theme, area, buffer);
        }
    };
    buffer.set_stringn(area.x, area.y, said, area.width.into(), theme.ask);
}

fn keys(keys: Keys, beside_run: bool, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let spans = keys.iter().flat_map(|(key, what)| {
        let what = if *what == "leave" && beside_run { "back" } else { what };
        let key = Span::styled(*key, Style::new().add_modifier(Modifier::BOLD));
        [key, Span::styled(format!(" {what} "), theme.faint)]
    });
    buffer.set_line(area.x, area.y, &Line::from_iter(spans), area.width);
}

fn question(state: &State, act: Act, index: u32) -> String {
    let verb = match act {
        Act::Kill => "kill",
        Act::Pause => "pause",
        Act::Resume => "resume",
        Act::Retry => "retry",
    };
    let job = state.run.job(index).map(headline::title).unwrap_or_default();
    format!("{verb} {job}? y for yes, any other key for no")
}
