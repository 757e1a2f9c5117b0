//! Rows of text in columns that are as wide as their content, for `gjob runs` and
//! `gjob status`.

use std::fmt;

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use gjob_core::text::printable;

/// What stands in a cell without content.
const NONE: &str = "-";

pub(crate) struct Columns(Table);

impl Columns {
    /// Columns with these headings.
    pub(crate) fn new<const N: usize>(headings: [&str; N]) -> Self {
        let mut table = Table::new();
        table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(headings);
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        Columns(table)
    }

    /// Adds a row. Its texts may come from hosts and from users' files.
    pub(crate) fn row<const N: usize>(&mut self, cells: [Option<String>; N]) {
        self.0.add_row(
            cells.map(|cell| cell.map_or_else(|| NONE.to_owned(), |cell| printable(&cell))),
        );
    }
}

impl fmt::Display for Columns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.lines().try_for_each(|line| writeln!(f, "{}", line.trim_end()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_content() {
        let mut columns = Columns::new(["JOB", "NAME", "REASON"]);
        columns.row([Some("0".into()), Some("größer".into()), Some("exit 7".into())]);
        columns.row([Some("10".into()), Some("日本".into()), None]);
        let expected = "\
JOB  NAME    REASON
0    größer  exit 7
10   日本    -
";
        assert_eq!(columns.to_string(), expected);
    }

    #[test]
    fn text_from_a_host_stays_in_its_row() {
        let mut columns = Columns::new(["A", "B"]);
        columns.row([Some("x\u{1b}[2J\ny".into()), Some("z".into())]);
        assert_eq!(columns.to_string(), "A        B\nx [2J y  z\n");
    }
}
