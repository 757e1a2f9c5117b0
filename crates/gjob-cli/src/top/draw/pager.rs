//! A text that is read: a log, an explanation, the keys.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::super::view::Pager;
use super::{Theme, title};

pub(super) fn draw(pager: &Pager, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    if area.height == 0 {
        return;
    }
    let rows = usize::from(area.height) - 1;
    let lines = super::seen(&pager.lines, pager.top, rows);
    let last = pager.top + lines.len();
    let all = pager.lines.len();
    let seen = if all > 0 { format!("{}-{last} of {all}", pager.top + 1) } else { "empty".into() };
    let follows = match (&pager.live, pager.follows) {
        (None, _) => "",
        (Some(_), true) => " · following",
        (Some(_), false) => " · not following",
    };
    let name = format!("{} · {seen}{follows}", pager.title);
    title(&name, true, theme, area, buffer);
    for (y, line) in (area.y + 1..).zip(lines) {
        buffer.set_stringn(area.x, y, line, area.width.into(), Style::new());
    }
}
