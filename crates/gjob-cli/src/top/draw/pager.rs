//! A text that is read: a log, an explanation, the keys.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::super::view::Pager;
use super::{Theme, seen, title};

pub(super) fn draw(pager: &Pager, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    if area.height == 0 {
        return;
    }
    let rows = usize::from(area.height) - 1;
    let lines = seen(&pager.lines, pager.top, rows);
    let last = pager.top + lines.len();
    let name = format!("{} · {}-{last} of {}", pager.title, pager.top + 1, pager.lines.len());
    title(&name, true, theme, area, buffer);
    for (y, line) in (area.y + 1..).zip(lines) {
        buffer.set_stringn(area.x, y, line, area.width.into(), Style::new());
    }
}
