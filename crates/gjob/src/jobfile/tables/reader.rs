//! Reads tables of jobs: their fields and matrices, and all problems that show
//! before parameters are filled in.

use gjob_core::job::MAX_JOBS;
use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use gjob_core::text::excerpt;

use super::fill::{is_name, names_in};
use super::matrix::{Entry, Matrix};
use super::table::{Field, Fields, Table};
use super::value::{Parameter, environment, json, range, wrong_type};
use crate::jobfile::errors::Collector;
use crate::jobfile::fields;
use crate::jobfile::place::{Span, Text};
use crate::jobfile::problem::{Problem, TableProblem};
use crate::nearest::nearest;

/// Keys of a table that are not fields of a job.
const OWN: [&str; 3] = ["matrix", "include", "exclude"];

/// Fields in which `{word}` may belong to the shell or to the job.
const FREE: [&str; 3] = ["cmds", "env", "params"];

/// Reads tables, and gathers their problems.
pub(super) struct Reader<'a> {
    pub(super) text: &'a Text,
    pub(super) errors: &'a mut Collector,
}

impl Reader<'_> {
    /// The fields of `[defaults]`.
    pub(super) fn defaults(&mut self, table: &DeTable<'_>) -> Fields {
        self.fields(table, &[])
    }

    /// A `[[job]]`.
    pub(super) fn job(&mut self, job: &Spanned<DeValue<'_>>, defaults: &Fields) -> Option<Table> {
        let DeValue::Table(entries) = job.get_ref() else {
            self.push(&job.span(), wrong_type("job", job.get_ref(), "a table, [[job]]"));
            return None;
        };
        let mut fields = self.fields(entries, &OWN);
        for (name, default) in defaults {
            match fields.get_mut(name) {
                None => {
                    fields.insert(name.clone(), default.clone());
                }
                Some(field) => {
                    // Variables are merged; all other fields are replaced.
                    if let (Value::Object(own), Value::Object(more)) =
                        (&mut field.value, &default.value)
                    {
                        for (name, value) in more {
                            own.entry(name).or_insert_with(|| value.clone());
                        }
                    }
                }
            }
        }
        fields
            .entry("cmds".to_owned())
            .or_insert_with(|| Field { value: Value::Array(Vec::new()), span: job.span() });
        let fits = self.fits(entries, &fields);
        let matrix = self.matrix(entries, if fits { usize::MAX } else { 1 });
        let table = Table { header: job.span(), matrix, fields };
        self.check_names(&table);
        fits.then_some(table)
    }

    /// The fields of a job. Other keys are refused, except `own`.
    fn fields(&mut self, table: &DeTable<'_>, own: &[&str]) -> Fields {
        let mut found = Fields::new();
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            if own.contains(&name) {
                continue;
            }
            if !fields::is_known(name) {
                let known = [fields::field_names(), own].concat();
                self.push(&key.span(), fields::unknown(name, &known));
                continue;
            }
            let name = fields::canonical(name);
            let value_of = if matches!(name, "env" | "params") { environment } else { json };
            let field = Field { value: value_of(value.get_ref()), span: value.span() };
            if found.insert(name.to_owned(), field).is_some() {
                self.push(&key.span(), Problem::DuplicateField("commands".to_owned()));
            }
        }
        found
    }

    /// True unless the matrix alone has too many combinations. They are counted
    /// before any value of a range exists.
    fn fits(&mut self, table: &DeTable<'_>, fields: &Fields) -> bool {
        let Some(matrix) = table.get("matrix") else { return true };
        let DeValue::Table(parameters) = matrix.get_ref() else { return true };
        let repeat = fields.get("repeat").and_then(|field| field.value.as_u64()).unwrap_or(1);
        let lengths = parameters.iter().map(|(_, value)| length(value.get_ref()));
        let count = lengths.fold(repeat.max(1), u64::saturating_mul);
        if count > u64::from(MAX_JOBS) {
            self.push(&matrix.span(), Problem::TooManyJobs);
        }
        count <= u64::from(MAX_JOBS)
    }

    /// The matrix of a table, with at most `most` values of each parameter.
    fn matrix(&mut self, table: &DeTable<'_>, most: usize) -> Matrix {
        let mut matrix = Matrix::default();
        match table.get("matrix").map(|value| (value.span(), value.get_ref())) {
            None => {}
            Some((_, DeValue::Table(parameters))) => {
                let mut parameters: Vec<_> = parameters.iter().collect();
                parameters.sort_by_key(|(key, _)| key.span().start);
                for (key, value) in parameters {
                    let name = key.get_ref().as_ref();
                    if self.parameter_name(name, &key.span()) {
                        let mut values = self.values(name, value, most);
                        if values.is_empty() {
                            // Refused already. Any value helps to find other problems.
                            values.push(Parameter::counted(0));
                        }
                        matrix.parameters.push((name.to_owned(), values));
                    }
                }
            }
            Some((span, other)) => {
                self.push(&span, wrong_type("matrix", other, "a table of parameters"));
            }
        }
        matrix.include = self.entries(table, "include", None);
        matrix.exclude = self.entries(table, "exclude", Some(&matrix));
        matrix
    }

    fn parameter_name(&mut self, name: &str, span: &Span) -> bool {
        let problem = match name {
            "include" | "exclude" => TableProblem::Misplaced(name.to_owned()),
            name if is_name(name) => return true,
            name => TableProblem::ParameterName(name.to_owned()),
        };
        self.push(span, problem.into());
        false
    }

    /// The first `most` values of a parameter, which has a list of them or a range.
    fn values(&mut self, name: &str, value: &Spanned<DeValue<'_>>, most: usize) -> Vec<Parameter> {
        let expected = "a list of values or a range such as \"1..10\"";
        match value.get_ref() {
            DeValue::Array(items) if !items.is_empty() => {
                items.iter().take(most).filter_map(|item| self.scalar(name, item)).collect()
            }
            DeValue::String(text) => match range(text) {
                Ok(range) => range.values().take(most).collect(),
                Err(expected) => {
                    let found = excerpt(text);
                    let problem = TableProblem::Range { name: name.to_owned(), found, expected };
                    self.push(&value.span(), problem.into());
                    Vec::new()
                }
            },
            DeValue::Array(_) => {
                let found = "an empty list";
                let problem = TableProblem::Type { name: name.to_owned(), found, expected };
                self.push(&value.span(), problem.into());
                Vec::new()
            }
            other => {
                self.push(&value.span(), wrong_type(name, other, expected));
                Vec::new()
            }
        }
    }

    fn scalar(&mut self, name: &str, value: &Spanned<DeValue<'_>>) -> Option<Parameter> {
        let parameter = Parameter::of(value.get_ref());
        if parameter.is_none() {
            let problem = wrong_type(name, value.get_ref(), "a string, a number or a boolean");
            self.push(&value.span(), problem);
        }
        parameter
    }

    /// The entries of `include` or `exclude`. Those of `exclude` may only have
    /// parameters of the `matrix`.
    fn entries(&mut self, table: &DeTable<'_>, word: &str, matrix: Option<&Matrix>) -> Vec<Entry> {
        let Some(value) = table.get(word) else { return Vec::new() };
        let expected = "a list of tables such as [{ lr = 0.1 }]";
        let DeValue::Array(items) = value.get_ref() else {
            self.push(&value.span(), wrong_type(word, value.get_ref(), expected));
            return Vec::new();
        };
        let mut entries = Vec::new();
        for item in items {
            let DeValue::Table(pairs) = item.get_ref() else {
                self.push(&item.span(), wrong_type(word, item.get_ref(), expected));
                continue;
            };
            let mut pairs: Vec<_> = pairs.iter().collect();
            pairs.sort_by_key(|(key, _)| key.span().start);
            let mut entry = Entry::new();
            for (key, value) in pairs {
                let name = key.get_ref().as_ref();
                let known: Option<Vec<&str>> = matrix.map(|matrix| {
                    matrix.parameters.iter().map(|(name, _)| name.as_str()).collect()
                });
                match known {
                    Some(known) if !known.contains(&name) => {
                        self.push(&key.span(), unknown(name, &known).into());
                    }
                    _ if !self.parameter_name(name, &key.span()) => {}
                    _ => entry.extend(self.scalar(name, value).map(|v| (name.to_owned(), v))),
                }
            }
            // An empty one would match every combination.
            if !entry.is_empty() {
                entries.push(entry);
            }
        }
        entries
    }

    /// Refuses unknown names in `{name}` where only a parameter can be meant.
    fn check_names(&mut self, table: &Table) {
        let known = table.matrix.names();
        if known.is_empty() {
            return;
        }
        for (_, field) in table.fields.iter().filter(|(name, _)| !FREE.contains(&name.as_str())) {
            let mut names = Vec::new();
            names_in(&field.value, &mut names);
            for name in names.into_iter().filter(|name| !known.contains(name)) {
                self.push(&self.find(&field.span, name), unknown(name, &known).into());
            }
        }
    }

    /// The span of `{name}` in a value, or that of the value if it has escapes.
    fn find(&self, span: &Span, name: &str) -> Span {
        let braces = format!("{{{name}}}");
        let found = self.text.text.get(span.clone()).and_then(|value| value.find(&braces));
        found.map_or(span.clone(), |at| span.start + at..span.start + at + braces.len())
    }

    fn push(&mut self, span: &Span, problem: Problem) {
        self.errors.push(self.text.spot(span), problem);
    }
}

/// The number of a parameter's values; 1 if it has a problem.
fn length(value: &DeValue<'_>) -> u64 {
    let length = match value {
        DeValue::Array(items) => items.len() as u64,
        DeValue::String(text) => range(text).map_or(1, |range| u64::from(range.count)),
        _ => 1,
    };
    length.max(1)
}

fn unknown(name: &str, known: &[&str]) -> TableProblem {
    TableProblem::UnknownParameter {
        found: name.to_owned(),
        nearest: nearest(name, known.iter().copied()).map(str::to_owned),
        known: known.join(", "),
    }
}
