//! Rows of text in columns that are as wide as their content, for `gjob runs`, `status`,
//! `hosts` and `du`. On a terminal they are no wider than that.

use gjob_core::text::printable;
use unicode_width::UnicodeWidthStr;

use super::wrap::{cut, wrap_cell};

/// What stands in a cell without content.
const NONE: &str = "-";

/// Between two columns, and where there is little room.
const GAP: usize = 2;
const NARROW_GAP: usize = 1;

/// As many lines a cell may take.
const MOST_LINES: usize = 4;

/// How narrow columns become: those that are cut first, then those that are broken, then
/// both, then all.
const STEPS: [(&[Kind], usize); 4] = [
    (&[Kind::Cut], 20),
    (&[Kind::Wrap], 16),
    (&[Kind::Cut, Kind::Wrap], 8),
    (&[Kind::Cut, Kind::Wrap, Kind::Whole], 4),
];

/// What becomes of a cell that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// There are numbers, names and states in it: it is cut where there is no other way.
    Whole,
    /// It is cut.
    Cut,
    /// It is broken at blanks.
    Wrap,
}

pub(crate) struct Columns<const N: usize> {
    headings: [&'static str; N],
    kinds: [Kind; N],
    rows: Vec<[String; N]>,
}

impl<const N: usize> Columns<N> {
    /// Columns with these headings.
    pub(crate) fn new(headings: [&'static str; N]) -> Self {
        Columns { headings, kinds: [Kind::Whole; N], rows: Vec::new() }
    }

    /// What is too long below this heading is cut.
    pub(crate) fn cut(self, heading: &str) -> Self {
        self.with(heading, Kind::Cut)
    }

    /// What is too long below this heading is broken at blanks.
    pub(crate) fn wrap(self, heading: &str) -> Self {
        self.with(heading, Kind::Wrap)
    }

    fn with(mut self, heading: &str, kind: Kind) -> Self {
        let at = self.headings.iter().position(|other| *other == heading);
        at.into_iter().for_each(|at| self.kinds[at] = kind);
        self
    }

    /// Adds a row. Its texts may come from hosts and from users' files.
    pub(crate) fn row(&mut self, cells: [Option<String>; N]) {
        self.rows
            .push(cells.map(|cell| cell.map_or_else(|| NONE.to_owned(), |cell| printable(&cell))));
    }

    /// The rows, one line each; on a terminal of this width, in columns, rows may wrap.
    pub(crate) fn text(&self, terminal: Option<usize>) -> String {
        let mut widths = self.headings.map(UnicodeWidthStr::width);
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.width());
            }
        }
        let Some(room) = terminal else { return self.lay_out(widths, GAP, usize::MAX) };
        let fits = |gap: usize| widths.iter().sum::<usize>() + gap * N.saturating_sub(1) <= room;
        let gap = if fits(GAP) { GAP } else { self.fitting_gap(&widths, room) };
        self.lay_out(self.narrowed(widths, gap, room), gap, room)
    }

    /// A narrow gap if even the least widths need it.
    fn fitting_gap(&self, widths: &[usize; N], room: usize) -> usize {
        let least = |(width, kind): (&usize, &Kind)| match kind {
            Kind::Whole => *width,
            Kind::Cut | Kind::Wrap => (*width).min(STEPS[1].1),
        };
        let least: usize = widths.iter().zip(&self.kinds).map(least).sum();
        if least + GAP * N.saturating_sub(1) <= room { GAP } else { NARROW_GAP }
    }

    /// The widest columns are narrowed first, as far as that is needed.
    fn narrowed(&self, mut widths: [usize; N], gap: usize, room: usize) -> [usize; N] {
        let gaps = gap * N.saturating_sub(1);
        for (kinds, least) in STEPS {
            while widths.iter().sum::<usize>() + gaps > room {
                let is_wide = |at: &usize| kinds.contains(&self.kinds[*at]) && widths[*at] > least;
                let Some(at) = (0..N).filter(is_wide).max_by_key(|at| widths[*at]) else { break };
                widths[at] -= 1;
            }
        }
        widths
    }

    fn lay_out(&self, widths: [usize; N], gap: usize, room: usize) -> String {
        let mut text = String::new();
        let headings = self.headings.map(str::to_owned);
        for row in std::iter::once(&headings).chain(&self.rows) {
            let cells: Vec<Vec<String>> =
                (0..N).map(|at| lines(&row[at], self.kinds[at], widths[at])).collect();
            for number in 0..cells.iter().map(Vec::len).max().unwrap_or(0) {
                let mut line = String::new();
                for (cell, width) in cells.iter().zip(widths) {
                    let cell = cell.get(number).map_or("", String::as_str);
                    line.push_str(cell);
                    line.push_str(&" ".repeat(width.saturating_sub(cell.width()) + gap));
                }
                text.push_str(&cut(line.trim_end(), room));
                text.push('\n');
            }
        }
        text
    }
}

/// The lines of a cell in a column of this width.
fn lines(cell: &str, kind: Kind, width: usize) -> Vec<String> {
    if cell.width() <= width || kind != Kind::Wrap {
        return vec![cut(cell, width)];
    }
    let mut lines = wrap_cell(cell, width);
    if lines.len() > MOST_LINES {
        let rest = lines.split_off(MOST_LINES - 1).join(" ");
        lines.push(rest);
    }
    lines.iter().map(|line| cut(line, width)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_content() {
        let mut columns = Columns::new(["JOB", "NAME", "REASON"]).wrap("REASON");
        columns.row([Some("0".into()), Some("größer".into()), Some("exit 7".into())]);
        columns.row([Some("10".into()), Some("日本".into()), None]);
        let expected = "\
JOB  NAME    REASON
0    größer  exit 7
10   日本    -
";
        assert_eq!(columns.text(None), expected);
        assert_eq!(columns.text(Some(19)), expected);
    }

    #[test]
    fn text_from_a_host_stays_in_its_row() {
        let mut columns = Columns::new(["A", "B"]);
        columns.row([Some("x\u{1b}[2J\ny".into()), Some("z".into())]);
        assert_eq!(columns.text(None), "A        B\nx [2J y  z\n");
    }

    #[test]
    fn cells_that_do_not_fit_are_cut_or_broken_at_blanks() {
        let mut columns = Columns::new(["JOB", "REASON", "COMMAND"]).wrap("REASON").cut("COMMAND");
        let reason = "waits for job 3, which runs on a host that does not answer";
        columns.row([
            Some("0".into()),
            Some(reason.into()),
            Some("./fit --rate 0.1 --out 日本語".into()),
        ]);
        let expected = "\
JOB  REASON            COMMAND
0    waits for job 3,  ./fit --rate 0.1 -…
     which runs on a
     host that does
     not answer
";
        assert_eq!(columns.text(Some(42)), expected);
        assert!(columns.text(None).contains(reason), "off a terminal nothing is cut");
    }

    #[test]
    fn nothing_is_wider_than_the_terminal() {
        let mut columns = Columns::new(["HOST", "NAME", "NOTE"]).wrap("NOTE").cut("NAME");
        let long = "日本語 and a-word-that-is-longer-than-any-column ".repeat(9);
        columns.row([Some("h".repeat(30)), Some(long.clone()), Some(long)]);
        for room in 0..100 {
            let text = columns.text(Some(room));
            assert!(text.lines().all(|line| line.width() <= room.max(1)), "{room}:\n{text}");
        }
    }
}
