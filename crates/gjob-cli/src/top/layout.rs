//! Where everything is on the screen: a large screen has all panels, a small one only
//! the one that is used.

use ratatui::layout::Rect;

use super::state::State;
use super::view::Panel;

/// Lines that the panels need to be shown together.
const ALL_PANELS: u16 = 18;

/// Lines that a screen needs to have charts.
const CHARTS: u16 = 16;

/// Columns beside a chart: what it is, and what it says now.
const BESIDE_CHART: u16 = 26;

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Layout {
    pub(crate) header: Rect,
    pub(crate) charts: Rect,
    pub(crate) hosts: Rect,
    pub(crate) slots: Rect,
    pub(crate) jobs: Rect,
    /// All panels together.
    pub(crate) body: Rect,
    pub(crate) footer: Rect,
    pub(crate) rows: Rows,
}

/// How much fits.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rows {
    pub(crate) hosts: usize,
    pub(crate) slots: usize,
    pub(crate) jobs: usize,
    pub(crate) page: usize,
    pub(crate) chart_width: usize,
}

impl Layout {
    pub(crate) fn new(width: u16, height: u16, panel: Panel, state: &State) -> Self {
        let mut y = 0;
        let mut take = |lines: u16| {
            let lines = lines.min(height.saturating_sub(y));
            let area = Rect::new(0, y, width, lines);
            y += lines;
            area
        };
        let header = take(2);
        let charts = take(if height >= CHARTS { 2 } else { 0 });
        let body = take(height.saturating_sub(header.height + charts.height + 1));
        let footer = take(1);
        let [hosts, slots, jobs] = panels(body, panel, state);
        let of = |area: Rect, title: u16| usize::from(area.height.saturating_sub(title));
        let rows = Rows {
            hosts: of(hosts, 2),
            slots: of(slots, 1),
            jobs: of(jobs, 2),
            page: of(body, 1),
            chart_width: width.saturating_sub(BESIDE_CHART).into(),
        };
        Layout { header, charts, hosts, slots, jobs, body, footer, rows }
    }
}

/// The panel that is used has what it needs, as far as the others leave it; what is left
/// over is for the jobs.
fn panels(body: Rect, used: Panel, state: &State) -> [Rect; 3] {
    let wanted = [state.run.hosts().len() + 2, state.lanes.len() + 1, usize::from(body.height)];
    let wanted = wanted.map(|lines| lines.min(usize::from(body.height)) as u16);
    let mut heights = [0; 3];
    let all = body.height >= ALL_PANELS;
    for ((height, panel), wanted) in heights.iter_mut().zip(Panel::ALL).zip(wanted) {
        if panel != used && all {
            *height = wanted.min(body.height / 4).max(3);
        }
    }
    let rest = body.height - heights.iter().sum::<u16>();
    for ((height, panel), wanted) in heights.iter_mut().zip(Panel::ALL).zip(wanted) {
        if panel == used {
            *height = if all { wanted.min(rest) } else { rest };
        }
    }
    if all {
        heights[2] = body.height - heights[0] - heights[1];
    }
    let mut y = body.y;
    heights.map(|height| {
        let area = Rect { y, height, ..body };
        y += height;
        area
    })
}
