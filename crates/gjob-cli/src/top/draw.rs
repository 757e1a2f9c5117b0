//! The screen as a function of the state: nothing else decides what is drawn.

mod header;
mod hosts;
mod jobs;
mod pager;
mod prompt;
mod slots;
mod theme;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::state::State;
use super::view::{Mode, Panel};
pub(crate) use theme::Theme;

/// Draws all of it.
pub(crate) fn draw(state: &State, theme: &Theme, buffer: &mut Buffer) {
    let layout = &state.layout;
    header::draw(state, theme, layout.header, buffer);
    header::charts(state, theme, layout.charts, buffer);
    if let Mode::Read(pager) = &state.view.mode {
        pager::draw(pager, theme, layout.body, buffer);
    } else {
        hosts::draw(state, theme, layout.hosts, buffer);
        slots::draw(state, theme, layout.slots, buffer);
        jobs::draw(state, theme, layout.jobs, buffer);
    }
    prompt::draw(state, theme, layout.footer, buffer);
}

/// A panel's title, over the whole width.
fn title(text: &str, is_used: bool, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let style = if is_used { theme.used } else { theme.title };
    let line = Rect { height: 1, ..area };
    buffer.set_style(line, style);
    buffer.set_stringn(area.x, area.y, text, area.width.into(), style);
}

/// The style of a row of the panel that is used.
fn row_style(state: &State, panel: Panel, is_chosen: bool, theme: &Theme) -> Style {
    if is_chosen && state.view.panel == panel { theme.chosen } else { Style::new() }
}

/// Writes cells side by side, each cut to its width; the last one takes the rest.
fn cells(
    columns: &[(&str, u16, Style)],
    style: Style,
    Rect { x, y, width, .. }: Rect,
    buffer: &mut Buffer,
) {
    let end = x + width;
    buffer.set_style(Rect { x, y, width, height: 1 }, style);
    let mut at = x;
    for (number, (text, wide, cell_style)) in columns.iter().enumerate() {
        let is_last = number + 1 == columns.len();
        let room = end.saturating_sub(at);
        let wide = if is_last { room } else { (*wide).min(room) };
        if wide == 0 {
            break;
        }
        buffer.set_stringn(at, y, text, wide.into(), style.patch(*cell_style));
        at += wide + 2;
    }
}

/// The width of the widest text, within limits.
fn widest<'a>(texts: impl Iterator<Item = &'a str>, least: u16, most: u16) -> u16 {
    let widest = texts.map(|text| ratatui::text::Span::raw(text).width()).max().unwrap_or(0);
    (widest.min(usize::from(u16::MAX)) as u16).clamp(least, most)
}

/// ` · ↓ 7 more` for a list of which rows are below those that are seen.
fn more_below<T>(list: &[T], top: usize, rows: usize) -> String {
    match list.len().saturating_sub(top.saturating_add(rows)) {
        0 => String::new(),
        more => format!(" · ↓ {more} more"),
    }
}

/// The rows that are seen, from the first one to as many as fit.
fn seen<T>(list: &[T], top: usize, rows: usize) -> &[T] {
    let first = top.min(list.len());
    &list[first..(first + rows).min(list.len())]
}
