//! How many jobs ended, and how many slots were in use, over time.

use gjob_core::Timestamp;

use super::scale::Scale;
use super::timeline::{Timeline, since};

/// Both charts, a number for each cell.
#[derive(Debug, Default)]
pub(crate) struct Charts {
    pub(crate) ended: Vec<u64>,
    pub(crate) in_use: Vec<u64>,
    made_for: Option<(Scale, u64)>,
}

impl Charts {
    /// Makes them anew, once a second at most.
    pub(crate) fn prepare(
        &mut self,
        timeline: &Timeline,
        ends: &[Timestamp],
        (from, to): (u64, u64),
        width: usize,
    ) {
        let made_for = (Scale::new(from, to, width), to / 1000);
        if width == 0 || self.made_for == Some(made_for) {
            return;
        }
        self.made_for = Some(made_for);
        let (scale, _) = made_for;
        self.ended = vec![0; scale.cells];
        for end in ends.iter().rev().take_while(|end| end.0 >= scale.from()) {
            if let Some(cell) = scale.cell(end.0) {
                self.ended[cell] += 1;
            }
        }
        self.in_use = in_use(timeline, scale, to);
    }
}

/// The time that attempts ran in each cell, all together, as slots in use; rounded up.
fn in_use(timeline: &Timeline, scale: Scale, to: u64) -> Vec<u64> {
    let mut busy_ms = vec![0; scale.cells];
    // What lies in the middle of a span counts at once: the number of cells that it
    // fills changes at its ends only.
    let mut full = vec![0i64; scale.cells + 1];
    for span in timeline.all_lanes().flat_map(|lane| since(lane, scale.from())) {
        let (start, end) = (span.start.max(scale.from()), span.until(Timestamp(to)).min(to));
        let cells = scale.cells_between(start, end);
        let (Some(first), Some(last)) = (cells.clone().next(), cells.last()) else { continue };
        let begins = |cell: usize| scale.from() + cell as u64 * scale.cell_ms;
        if first == last {
            busy_ms[first] += end.saturating_sub(start);
            continue;
        }
        busy_ms[first] += begins(first + 1) - start;
        busy_ms[last] += end - begins(last);
        full[first + 1] += 1;
        full[last] -= 1;
    }
    let mut running = 0;
    for (cell, busy) in busy_ms.iter_mut().enumerate() {
        running += full[cell];
        *busy += running as u64 * scale.cell_ms;
    }
    busy_ms.into_iter().map(|busy| busy.div_ceil(scale.cell_ms)).collect()
}

/// A rate of less time says nothing, milliseconds.
const ENOUGH: u64 = 5_000;

/// Jobs that end in a minute, as in the last one or since the start; none before that
/// can be said.
pub(crate) fn rate(ends: &[Timestamp], first: Option<u64>, to: u64) -> Option<f64> {
    let from = first?.max(to.saturating_sub(60_000));
    let count = ends.iter().rev().take_while(|end| end.0 >= from).count();
    let span = to.saturating_sub(from);
    (count > 0 && span >= ENOUGH).then(|| count as f64 * 60_000.0 / span as f64)
}
