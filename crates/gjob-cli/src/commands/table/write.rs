//! A table as text.

use std::io::{self, Write};

use serde::Serialize;
use serde::ser::SerializeMap;

use super::Table;
use super::cell::Cell;
use crate::cli::TableFormat;

impl Table {
    /// Writes all of it.
    pub(super) fn write(&self, format: TableFormat, to: &mut dyn Write) -> io::Result<()> {
        let mut to = io::BufWriter::new(to);
        match format {
            TableFormat::Csv | TableFormat::Sqlite => self.write_csv(&mut to)?,
            TableFormat::Json => {
                serde_json::to_writer_pretty(&mut to, &self.objects().collect::<Vec<_>>())?;
                writeln!(to)?;
            }
            TableFormat::Jsonl => {
                for object in self.objects() {
                    serde_json::to_writer(&mut to, &object)?;
                    writeln!(to)?;
                }
            }
            TableFormat::Markdown => self.write_markdown(&mut to)?,
        }
        to.flush()
    }

    fn write_csv(&self, to: &mut dyn Write) -> io::Result<()> {
        let mut writer = csv::Writer::from_writer(to);
        writer.write_record(&self.columns)?;
        for row in &self.rows {
            writer.write_record(row.iter().map(Cell::to_string))?;
        }
        writer.flush()
    }

    fn write_markdown(&self, to: &mut dyn Write) -> io::Result<()> {
        let line = |cells: Vec<String>| {
            let cells = cells.iter().map(|cell| cell.replace('|', "\\|").replace('\n', "<br>"));
            format!("| {} |", cells.collect::<Vec<_>>().join(" | "))
        };
        writeln!(to, "{}", line(self.columns.clone()))?;
        writeln!(to, "{}", line(vec!["---".to_owned(); self.columns.len()]))?;
        for row in &self.rows {
            writeln!(to, "{}", line(row.iter().map(Cell::to_string).collect()))?;
        }
        Ok(())
    }

    fn objects(&self) -> impl Iterator<Item = Object<'_>> {
        self.rows.iter().map(|row| Object(&self.columns, row))
    }
}

/// A row as a JSON object, in the order of the columns.
struct Object<'a>(&'a [String], &'a [Cell]);

impl Serialize for Object<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (column, cell) in self.0.iter().zip(self.1) {
            map.serialize_entry(column, cell)?;
        }
        map.end()
    }
}
