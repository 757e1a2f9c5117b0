//! The hosts: how many slots are in use, what they have done, how they are and why.

use std::time::Duration;

use gjob::units::format_duration;
use gjob_core::run::{Host, HostDuty, HostIx, HostStatus};
use gjob_core::text::printable;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::super::state::State;
use super::super::view::Panel;
use super::{Theme, cells, more_below, row_style, seen, title, widest};
use crate::report::whole_seconds;

/// Cells of a bar.
const BAR: usize = 10;

pub(super) fn draw(state: &State, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    if area.height == 0 {
        return;
    }
    let view = &state.view;
    let more = more_below(&state.hosts, view.hosts.top, state.layout.rows.hosts);
    let name = format!("Hosts {} · by {}{more}", state.hosts.len(), view.host_sort.word());
    title(&name, view.panel == Panel::Hosts, theme, area, buffer);
    if area.height < 2 {
        return;
    }
    let rows = seen(&state.hosts, view.hosts.top, state.layout.rows.hosts);
    let hosts: Vec<(HostIx, &Host)> =
        rows.iter().filter_map(|ix| Some((*ix, state.run.host(*ix)?))).collect();
    let wide = widest(hosts.iter().map(|(_, host)| host.label.as_str()), 4, 20);
    let plain = Style::new();
    let line = |y: u16| Rect { y: area.y + y, height: 1, ..area };
    let columns = |values: [&str; 6], styles: [Style; 2], style: Style, y: u16, buffer: &mut _| {
        let [host, slots, done, failed, median, state] = values;
        let row = [
            (host, wide, plain),
            (slots, BAR as u16 + 10, styles[0]),
            (done, 6, plain),
            (failed, 6, plain),
            (median, 8, plain),
            (state, 0, styles[1]),
        ];
        cells(&row, style, line(y), buffer);
    };
    let heads = ["HOST", "SLOTS IN USE", "DONE", "FAILED", "MEDIAN", "STATE"];
    columns(heads, [plain; 2], theme.heading, 1, buffer);
    for (y, (ix, host)) in (2..).zip(&hosts) {
        let work = state.work.get(ix.at()).cloned().unwrap_or_default();
        let median = work.median_ms.map(|median| format_duration(Duration::from_millis(median)));
        let is_chosen = state.hosts.get(view.hosts.row) == Some(ix);
        let values = [
            host.label.as_str(),
            &bar(state, host),
            &host.pace.jobs.to_string(),
            &work.failed.to_string(),
            &median.unwrap_or_else(|| "-".to_owned()),
            &condition(state, host),
        ];
        let styles = [theme.running, status_style(host, theme)];
        columns(values, styles, row_style(state, Panel::Hosts, is_chosen, theme), y, buffer);
    }
}

/// `[||||      ] 2/5`
fn bar(state: &State, host: &Host) -> String {
    if host.facts.is_none() || !state.managed {
        return "-".to_owned();
    }
    let (load, slots) = (state.run.busy_slots(host) as usize, host.slots() as usize);
    let filled = (load * BAR).div_ceil(slots.max(1)).min(BAR);
    format!("[{}{}] {load}/{slots}", "|".repeat(filled), " ".repeat(BAR - filled))
}

/// How a host is, since when, and why.
fn condition(state: &State, host: &Host) -> String {
    let mut text = match (state.managed, host.status) {
        (false, _) if host.duty != HostDuty::Serving => host.condition(),
        (false, HostStatus::Failed) => "failed",
        (false, _) => "-",
        (true, _) => host.condition(),
    }
    .to_owned();
    let is_away = state.managed && (host.status == HostStatus::Unreachable || host.is_silent());
    if let Some(away) = state.absences.of(&host.label, state.now).filter(|_| is_away) {
        text.push_str(&format!(" for {}", whole_seconds(away)));
    }
    if let Some(what) = host.waits_for.as_ref().filter(|_| state.managed && !is_away) {
        text.push_str(&format!(" for {}", printable(what)));
    }
    if let Some(task) = host.tasks().under_way().filter(|_| state.managed && !is_away) {
        let runs = Duration::from_millis(state.now.0.saturating_sub(task.attempt.assigned.0));
        text.push_str(&format!(" for {}", whole_seconds(runs)));
    }
    // That it is silent was just said.
    let has_reason = (state.managed && !host.is_silent()) || host.status == HostStatus::Failed;
    if let Some(reason) = host.reason.as_ref().filter(|_| has_reason) {
        text.push_str(&format!(": {}", printable(reason)));
    }
    text
}

fn status_style(host: &Host, theme: &Theme) -> Style {
    match host.status {
        _ if host.is_silent() || host.duty != HostDuty::Serving => theme.odd,
        HostStatus::Up => theme.good,
        HostStatus::Connecting | HostStatus::Paused => theme.odd,
        HostStatus::Unreachable | HostStatus::Failed => theme.bad,
    }
}
