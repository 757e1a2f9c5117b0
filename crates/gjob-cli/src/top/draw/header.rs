//! How the run is, in two lines, and how it has gone, in two charts.

use gjob_core::plural::counted;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::widgets::{Sparkline, Widget};

use super::super::charts::rate;
use super::super::state::State;
use super::{Theme, cells, title};
use crate::commands::status::{counts, headline};
use crate::report::rate_text;

pub(super) fn draw(state: &State, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let State { id, created, gaps, run, managed, now, .. } = state;
    let first = format!("run {id}: {}", headline(run, id, *created, *managed, *now, gaps));
    let line = |y: u16| Rect { y: area.y + y, height: 1, ..area };
    if area.height > 0 {
        title(&first, true, theme, line(0), buffer);
    }
    if area.height > 1 {
        let hosts = run.hosts();
        let up = hosts.iter().filter(|host| host.status.answers() && !host.is_silent()).count();
        let all = counted(hosts.len() as u64, "host");
        let (hosts, manager, style) = match managed {
            true => (format!("{up} of {all} up"), "a gjob manages it", theme.good),
            false => (all, "no gjob manages it", theme.odd),
        };
        let counts = format!("{} · {hosts}", counts(run, *managed));
        let wide = counts.chars().count() as u16;
        let plain = Style::new();
        cells(&[(&counts, wide, plain), (manager, 0, style)], plain, line(1), buffer);
    }
}

/// Jobs that ended, and slots in use, over time.
pub(super) fn charts(state: &State, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    if area.height < 2 {
        return;
    }
    let (_, to) = state.window();
    let rate = rate(&state.ends, state.timeline.first(), to);
    let rate = rate.map_or_else(String::new, rate_text);
    chart("ended", &rate, &state.charts.ended, None, theme, Rect { height: 1, ..area }, buffer);
    let known = state.run.hosts().iter().filter(|host| host.facts.is_some());
    let (mut used, mut slots) = (0, 0);
    for host in known {
        slots += u64::from(host.slots());
        used += u64::from(if host.status.answers() { state.run.busy_slots(host) } else { 0 });
    }
    let text = if state.managed { format!("{used}/{slots} slots") } else { String::new() };
    let in_use = &state.charts.in_use;
    let line = Rect { y: area.y + 1, height: 1, ..area };
    chart("in use", &text, in_use, Some(slots.max(1)), theme, line, buffer);
}

fn chart(
    name: &str,
    text: &str,
    data: &[u64],
    most: Option<u64>,
    theme: &Theme,
    area: Rect,
    buffer: &mut Buffer,
) {
    let wide = data.len() as u16;
    let plain = Style::new();
    cells(&[(name, 8, plain), ("", wide, plain), (text, 0, plain)], plain, area, buffer);
    let inner = Rect { x: area.x + 10, width: wide.min(area.width.saturating_sub(10)), ..area };
    let most = most.unwrap_or_else(|| data.iter().copied().max().unwrap_or(0).max(1));
    Sparkline::default().data(data).max(most).style(theme.good).render(inner, buffer);
}
