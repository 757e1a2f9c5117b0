//! What `gjob.toml` and cluster files in TOML have in common: tables that name hosts,
//! and say how these are reached and used.

use std::borrow::Cow;
use std::ops::Range;
use std::path::Path;

use gjob_core::hosts::{ConnectCommand, HostProblem, MAX_SLOTS, check_results_dir};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::nearest::nearest;
use crate::toml_text::{is_name, type_name};

pub(crate) type Key<'a> = Spanned<Cow<'a, str>>;
pub(crate) type Value<'a> = Spanned<DeValue<'a>>;

/// Reads values, and keeps what is wrong with them.
pub(crate) trait HostTables {
    /// Where a relative program begins: the file's directory.
    fn dir(&self) -> &Path;

    /// Keeps what is wrong at these bytes of the text.
    fn host_problem(&mut self, span: &Range<usize>, problem: HostProblem);

    /// The whole text.
    fn document<'a>(&mut self, text: &'a str) -> Option<Spanned<DeTable<'a>>> {
        let parsed = DeTable::parse(text);
        let said = parsed.map_err(|error| {
            let problem = HostProblem::Toml(error.message().to_owned());
            self.host_problem(&error.span().unwrap_or_default(), problem);
        });
        said.ok()
    }

    /// The name of a cluster, a group or a label.
    fn check_name(&mut self, name: &str, span: &Range<usize>) {
        if !is_name(name) {
            self.host_problem(span, HostProblem::ClusterName(name.to_owned()));
        }
    }

    /// The words of a command, or a text that is split into them.
    fn connect(&mut self, key: &Key<'_>, value: &Value<'_>) -> Option<ConnectCommand> {
        let texts = self.texts(key, value, "a command or an array of its words");
        let command = match value.get_ref() {
            DeValue::String(text) => text.parse(),
            DeValue::Array(array) if array.len() == texts.len() => {
                ConnectCommand::new(texts.into_iter().map(|(_, word)| word).collect())
            }
            // What is wrong with it has been said.
            _ => return None,
        };
        let said = command.map_err(|error| self.host_problem(&value.span(), error.into()));
        Some(said.ok()?.from_dir(self.dir()))
    }

    fn results_dir(&mut self, key: &Key<'_>, value: &Value<'_>) -> Option<String> {
        let dir = self.text(key, value, "a path")?;
        let said = check_results_dir(&dir);
        said.map_err(|error| self.host_problem(&value.span(), error.into())).ok()?;
        Some(dir)
    }

    fn slots(&mut self, key: &Key<'_>, value: &Value<'_>) -> Option<u32> {
        self.number(key, value, MAX_SLOTS, HostProblem::Slots)
    }

    /// A whole number from 1 on.
    fn number(
        &mut self,
        key: &Key<'_>,
        value: &Value<'_>,
        most: u32,
        problem: fn(String) -> HostProblem,
    ) -> Option<u32> {
        let DeValue::Integer(number) = value.get_ref() else {
            self.wrong_type(key, value, "a number");
            return None;
        };
        let found = u32::from_str_radix(number.as_str(), number.radix()).ok();
        let found = found.filter(|found| (1..=most).contains(found));
        if found.is_none() {
            self.host_problem(&value.span(), problem(number.to_string()));
        }
        found
    }

    /// A text, or those of an array, each with its place.
    fn texts(
        &mut self,
        key: &Key<'_>,
        value: &Value<'_>,
        expected: &'static str,
    ) -> Vec<(Range<usize>, String)> {
        let values = match value.get_ref() {
            DeValue::Array(values) => values.iter().collect(),
            _ => vec![value],
        };
        let mut texts = Vec::new();
        for value in values {
            texts.extend(self.text(key, value, expected).map(|text| (value.span(), text)));
        }
        texts
    }

    fn text(&mut self, key: &Key<'_>, value: &Value<'_>, expected: &'static str) -> Option<String> {
        match value.get_ref() {
            DeValue::String(text) => Some(text.to_string()),
            _ => {
                self.wrong_type(key, value, expected);
                None
            }
        }
    }

    fn wrong_type(&mut self, key: &Key<'_>, value: &Value<'_>, expected: &'static str) {
        let found = type_name(value.get_ref());
        let key = key.get_ref().to_string();
        self.host_problem(&value.span(), HostProblem::Type { key, expected, found });
    }

    fn unknown(&mut self, key: &Key<'_>, known: &[&str], expected: &'static str) {
        let found = key.get_ref().to_string();
        let nearest = nearest(&found, known.iter().copied()).map(str::to_owned);
        self.host_problem(&key.span(), HostProblem::UnknownKey { found, nearest, expected });
    }
}
