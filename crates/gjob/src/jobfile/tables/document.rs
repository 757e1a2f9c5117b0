//! A TOML text as tables of jobs.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::reader::Reader;
use super::table::Table;
use super::value::wrong_type;
use crate::jobfile::errors::Collector;
use crate::jobfile::fields;
use crate::jobfile::place::Text;
use crate::jobfile::problem::Problem;

/// The keys at the top of a file.
const KNOWN: [&str; 2] = ["defaults", "job"];

/// The tables of a text in their order. Problems go to `errors`.
pub(super) fn read(text: &Text, errors: &mut Collector) -> Vec<Table> {
    let document = match DeTable::parse(&text.text) {
        Ok(document) => document,
        // The rest may mean something else than it seems to.
        Err(error) => {
            let span = error.span().unwrap_or_default();
            errors.push(text.spot(&span), Problem::NotToml(error.message().to_owned()));
            return Vec::new();
        }
    };
    let mut defaults = None;
    let mut jobs: &[Spanned<DeValue<'_>>] = &[];
    for (key, value) in document.get_ref() {
        match (key.get_ref().as_ref(), value.get_ref()) {
            ("defaults", DeValue::Table(table)) => defaults = Some(table),
            ("job", DeValue::Array(array)) => jobs = array,
            ("defaults", _) => {
                let problem = wrong_type("defaults", value.get_ref(), "a table, [defaults]");
                errors.push(text.spot(&value.span()), problem);
            }
            ("job", _) => {
                let problem = wrong_type("job", value.get_ref(), "an array of tables, [[job]]");
                errors.push(text.spot(&value.span()), problem);
            }
            (name, _) => {
                errors.push(text.spot(&key.span()), fields::unknown(name, &KNOWN));
            }
        }
    }
    let mut reader = Reader { text, errors };
    let defaults = defaults.map(|table| reader.defaults(table)).unwrap_or_default();
    jobs.iter().filter_map(|job| reader.job(job, &defaults)).collect()
}
