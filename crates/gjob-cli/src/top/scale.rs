//! Time on a line of cells: each stands for a round time, and the last one for now, so
//! that what is drawn moves on by whole cells.

/// What a cell may stand for, milliseconds.
const CELLS: [u64; 17] = [
    100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 30_000, 60_000, 120_000, 300_000, 600_000,
    1_800_000, 3_600_000, 14_400_000, 86_400_000,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scale {
    /// What one cell stands for, milliseconds.
    pub(crate) cell_ms: u64,
    /// The number of the first cell since the beginning of time.
    first: u64,
    pub(crate) cells: usize,
}

impl Scale {
    /// So many cells, the last of which has `to` in it, and the first of which has
    /// `from` in it or is earlier.
    pub(crate) fn new(from: u64, to: u64, cells: usize) -> Self {
        let span = to.saturating_sub(from);
        let fits = |cell: &u64| span / cell + 2 <= cells as u64;
        let cell_ms = CELLS.into_iter().find(fits).unwrap_or(CELLS[CELLS.len() - 1]);
        let first = (to / cell_ms + 1).saturating_sub(cells as u64);
        Scale { cell_ms, first, cells }
    }

    /// When the first cell begins.
    pub(crate) fn from(self) -> u64 {
        self.first * self.cell_ms
    }

    /// The cell of a time; none before the first.
    pub(crate) fn cell(self, at: u64) -> Option<usize> {
        let cell = (at / self.cell_ms).checked_sub(self.first)? as usize;
        (cell < self.cells).then_some(cell)
    }

    /// The cells from one time to another, none if all of it is outside.
    pub(crate) fn cells_between(self, from: u64, to: u64) -> std::ops::Range<usize> {
        let number = |at: u64| (at / self.cell_ms).saturating_sub(self.first) as usize;
        if to < self.from() {
            return 0..0;
        }
        number(from).min(self.cells)..(number(to) + 1).min(self.cells)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_stand_for_round_times_and_hold_all_of_the_span() {
        let scale = Scale::new(1_000_050, 1_030_000, 40);
        assert_eq!((scale.cell_ms, scale.cell(1_030_000)), (1_000, Some(39)));
        assert!(scale.from() <= 1_000_050);
        assert_eq!(scale.cell(scale.from() - 1), None);
        assert_eq!(scale.cells_between(1_028_000, 1_029_500), 37..39);
        assert_eq!(scale.cells_between(0, scale.from() - 1), 0..0);
    }
}
