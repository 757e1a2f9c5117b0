//! A table as an SQLite database with one table, `jobs`.

use std::path::Path;

use rusqlite::types::{ToSql, ToSqlOutput, Value};
use rusqlite::{Connection, params_from_iter};

use super::Table;
use super::cell::Cell;

/// Most columns of a table in SQLite.
const MAX_COLUMNS: usize = 2000;

/// Writes it into an empty file.
pub(super) fn write(table: &Table, path: &Path) -> anyhow::Result<()> {
    if table.columns.len() > MAX_COLUMNS {
        anyhow::bail!("{} columns: SQLite has at most {MAX_COLUMNS}", table.columns.len());
    }
    let mut db = Connection::open(path)?;
    let tx = db.transaction()?;
    let quoted = |name: &String| format!("\"{}\"", name.replace('"', "\"\""));
    let columns: Vec<String> = table.columns.iter().map(quoted).collect();
    tx.execute(&format!("CREATE TABLE jobs ({})", columns.join(", ")), [])?;
    let places = vec!["?"; columns.len()].join(", ");
    let mut insert = tx.prepare(&format!("INSERT INTO jobs VALUES ({places})"))?;
    for row in &table.rows {
        insert.execute(params_from_iter(row))?;
    }
    drop(insert);
    tx.commit()?;
    db.close().map_err(|(_, error)| error.into())
}

impl ToSql for Cell {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        if let Some(number) = self.as_number() {
            return Ok(ToSqlOutput::Owned(match (number.as_i64(), number.as_f64()) {
                (Some(integer), _) => Value::Integer(integer),
                (None, Some(real)) => Value::Real(real),
                (None, None) => Value::Text(number.to_string()),
            }));
        }
        Ok(ToSqlOutput::Owned(match self {
            Cell::Empty => Value::Null,
            Cell::Bool(is) => Value::Integer(i64::from(*is)),
            Cell::Number(number) => Value::Text(number.to_string()),
            Cell::Text(text) | Cell::Written(text) => return Ok(text.as_str().into()),
        }))
    }
}
