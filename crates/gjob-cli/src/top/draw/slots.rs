//! Which slot ran which jobs when, a line for each slot.

use std::time::Duration;

use gjob::units::format_duration;
use gjob_core::run::Host;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::super::scale::Scale;
use super::super::state::State;
use super::super::timeline::{Lane, since};
use super::super::view::Panel;
use super::{Theme, more_below, row_style, seen, title, widest};
use crate::report::whole_seconds;

/// What stands for an attempt. Of those that overlap in a cell, the last of these wins.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Glyph {
    Idle,
    Even,
    Odd,
    Running,
    Failed,
}

impl Glyph {
    fn shown(self, theme: &Theme) -> (&'static str, Style) {
        match self {
            Glyph::Idle => ("·", theme.faint),
            Glyph::Even => ("█", theme.good),
            Glyph::Odd => ("▒", theme.good),
            Glyph::Running => (">", theme.running),
            Glyph::Failed => ("x", theme.bad),
        }
    }
}

pub(super) fn draw(state: &State, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    if area.height == 0 {
        return;
    }
    let view = &state.view;
    let rows = seen(&state.lanes, view.slots.top, state.layout.rows.slots);
    let label = |ix| state.run.host(ix).map_or("", |host: &Host| host.label.as_str());
    let wide = widest(rows.iter().map(|(ix, _)| label(*ix)), 1, 16) + 5;
    let cells = area.width.saturating_sub(wide + 1);
    let (from, to) = state.window();
    let scale = Scale::new(from, to, cells.into());
    let length = |ms: u64| format_duration(Duration::from_millis(ms));
    let name = format!(
        "Slots {} · the last {} · a cell is {}{}",
        state.lanes.len(),
        whole_seconds(Duration::from_millis(to - from)),
        length(scale.cell_ms),
        more_below(&state.lanes, view.slots.top, state.layout.rows.slots)
    );
    title(&name, view.panel == Panel::Slots, theme, area, buffer);
    for (y, (ix, lane)) in (area.y + 1..).zip(rows) {
        let is_chosen = state.lanes.get(view.slots.row) == Some(&(*ix, *lane));
        let style = row_style(state, Panel::Slots, is_chosen, theme);
        let text = format!("{:w$} {lane:>3}", label(*ix), w = usize::from(wide) - 5);
        buffer.set_stringn(area.x, y, text, wide.into(), style);
        let lane = state.timeline.lanes(*ix).get(*lane as usize);
        let glyphs = glyphs(lane, scale, state, (from, to));
        for (x, glyph) in (area.x + wide + 1..).zip(glyphs) {
            let (symbol, style) = glyph.shown(theme);
            buffer.set_stringn(x, y, symbol, 1, style);
        }
    }
}

fn glyphs(lane: Option<&Lane>, scale: Scale, state: &State, window: (u64, u64)) -> Vec<Glyph> {
    let mut glyphs = vec![Glyph::Idle; scale.cells];
    let Some(lane) = lane else { return glyphs };
    let spans = since(lane, window.0);
    let before = lane.len() - spans.len();
    for (number, span) in spans.iter().enumerate() {
        let glyph = match (span.end, span.fine) {
            (None, _) => Glyph::Running,
            (Some(_), false) => Glyph::Failed,
            (Some(_), true) if (before + number).is_multiple_of(2) => Glyph::Even,
            (Some(_), true) => Glyph::Odd,
        };
        for cell in scale.cells_between(span.start, span.until(state.now).min(window.1)) {
            glyphs[cell] = glyphs[cell].max(glyph);
        }
    }
    glyphs
}
