//! The jobs: state, host, time, name, and the command or the reason.

use std::time::Duration;

use gjob::units::format_duration;
use gjob_core::text::printable;
use gjob_core::{Job, State as JobState};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::super::order::time_ms;
use super::super::state::State;
use super::super::view::Panel;
use super::{Theme, cells, more_below, row_style, seen, title, widest};
use crate::commands::status::job_word;
use crate::report::{headline, whole_seconds};

/// As much of a command is shown, characters.
const COMMAND: usize = 500;

pub(super) fn draw(state: &State, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    if area.height == 0 {
        return;
    }
    let view = &state.view;
    let mut name = format!("Jobs {} · by {}", state.jobs.len(), view.job_sort.word());
    if !view.filter.is_empty() {
        name.push_str(&format!(" · with {:?}", printable(&view.filter)));
    }
    name.push_str(&more_below(&state.jobs, view.jobs.top, state.layout.rows.jobs));
    title(&name, view.panel == Panel::Jobs, theme, area, buffer);
    if area.height < 2 {
        return;
    }
    let rows = seen(&state.jobs, view.jobs.top, state.layout.rows.jobs);
    let jobs: Vec<&Job> = rows.iter().filter_map(|index| state.run.job(*index)).collect();
    let hosts = jobs.iter().filter_map(|job| Some(job.host()?.as_str()));
    let names = jobs.iter().filter_map(|job| job.name());
    let widths = [widest(hosts, 4, 16), widest(names, 0, 20)];
    let line = |y: u16| Rect { y: area.y + y, height: 1, ..area };
    let heads = ["JOB", "STATE", "HOST", "TIME", "NAME", "COMMAND"];
    row(heads, widths, Style::new(), theme.heading, line(1), buffer);
    for (y, job) in (2..).zip(jobs) {
        let is_chosen = state.chosen() == Some(job.index);
        let shown = state.run.shown_state(job.index, state.managed).unwrap_or(JobState::Unknown);
        let time = time_ms(job, state.now).map(|ms| match job.has_ended() {
            true => format_duration(Duration::from_millis(ms)),
            false => whole_seconds(Duration::from_millis(ms)),
        });
        let values: [&str; 6] = [
            &job.index.to_string(),
            job_word(job, shown),
            job.host().map_or("-", |host| host.as_str()),
            time.as_deref().unwrap_or("-"),
            &job.name().map(printable).unwrap_or_default(),
            &what(state, job, shown),
        ];
        let style = row_style(state, Panel::Jobs, is_chosen, theme);
        row(values, widths, state_style(shown, theme), style, line(y), buffer);
    }
}

fn row(
    values: [&str; 6],
    [host_wide, name_wide]: [u16; 2],
    state_style: Style,
    style: Style,
    area: Rect,
    buffer: &mut Buffer,
) {
    let [job, state, host, time, name, command] = values;
    let plain = Style::new();
    let mut columns =
        vec![(job, 6, plain), (state, 8, state_style), (host, host_wide, plain), (time, 8, plain)];
    if name_wide > 0 {
        columns.push((name, name_wide.max(4), plain));
    }
    columns.push((command, 0, plain));
    cells(&columns, style, area, buffer);
}

/// Why a job is as it is, where that is to be said, and its command.
fn what(state: &State, job: &Job, shown: JobState) -> String {
    let command = headline::cut_command(job, COMMAND);
    let waits = || {
        let why = state.run.wait_in_words(job.index, state.managed)?;
        (!job.is_held()).then_some(why)
    };
    let presumed = shown == JobState::Unknown && !job.has_ended();
    let presumed = || presumed.then(|| "as far as is known".to_owned());
    match job.reason.as_deref().map(printable).or_else(presumed).or_else(waits) {
        Some(reason) => format!("{reason} · {command}"),
        None => command,
    }
}

fn state_style(state: JobState, theme: &Theme) -> Style {
    match state {
        JobState::Busy => theme.running,
        JobState::Error => theme.bad,
        JobState::Unknown => theme.odd,
        JobState::Done => theme.good,
        JobState::Free => theme.faint,
    }
}
