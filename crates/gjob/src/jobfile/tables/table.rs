//! One table of jobs: its fields, and the parameters that make many of it.

use std::collections::BTreeMap;

use gjob_core::JobSpec;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::super::draft::Draft;
use super::super::error::Problem;
use super::super::jobs::Said;
use super::super::jsonl::{message, wrong_field};
use super::fill::fill;
use super::matrix::{Combination, Matrix};
use super::{Span, Spans, TableProblem};

/// A table of jobs.
pub(super) struct Table {
    pub(super) header: Span,
    pub(super) matrix: Matrix,
    pub(super) fields: Fields,
}

/// Fields by their names.
pub(super) type Fields = BTreeMap<String, Field>;

/// A field before anything is filled in.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) value: Value,
    pub(super) span: Span,
}

impl Table {
    /// The job of one combination, or all that is wrong with it and where.
    pub(super) fn fill(
        &self,
        combination: &Combination<'_>,
    ) -> Result<(JobSpec, Said), Vec<(Span, Problem)>> {
        let known = self.matrix.names();
        let mut object = Map::new();
        for (name, field) in &self.fields {
            let value = fill(&field.value, combination, &known)
                .map_err(|problem| vec![(field.span.clone(), problem.into())])?;
            object.insert(name.clone(), value);
        }
        let object = Value::Object(object);
        Draft::deserialize(&object).map(Draft::into_spec).map_err(|error| {
            let whole = || vec![(self.header.clone(), TableProblem::Whole(message(&error)).into())];
            let wrong = self.wrong(object);
            if wrong.is_empty() { whole() } else { wrong }
        })
    }

    fn wrong(&self, object: Value) -> Vec<(Span, Problem)> {
        let Value::Object(fields) = object else { return Vec::new() };
        let wrong =
            |(name, value): (String, _)| Some((self.span(&name), wrong_field(&name, value)?));
        fields.into_iter().filter_map(wrong).collect()
    }

    /// Where a field stands, or the table if it doesn't have it.
    pub(super) fn span(&self, field: &str) -> Span {
        self.fields.get(field).map_or(&self.header, |field| &field.span).clone()
    }

    pub(super) fn into_spans(self) -> Spans {
        let fields = self.fields.into_iter().map(|(name, field)| (name, field.span));
        Spans { header: self.header, fields: fields.collect() }
    }
}
