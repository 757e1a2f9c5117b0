//! One table of jobs: its fields, and the parameters that make many of it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::fill::fill;
use super::matrix::{Combination, Matrix};
use crate::jobfile::draft::JobDraft;
use crate::jobfile::fields;
use crate::jobfile::origin::TableSpans;
use crate::jobfile::place::Span;
use crate::jobfile::problem::{Problem, TableProblem};

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

/// A problem of a field, or of the table as a whole.
type FieldProblem = (Option<String>, Problem);

impl Table {
    /// The job of one combination, or all of its problems.
    pub(super) fn fill(
        &self,
        combination: &Combination<'_>,
    ) -> Result<JobDraft, Vec<FieldProblem>> {
        let known = self.matrix.names();
        let mut object = Map::new();
        for (name, field) in &self.fields {
            let value = fill(&field.value, combination, &known)
                .map_err(|problem| vec![(Some(name.clone()), problem.into())])?;
            object.insert(name.clone(), value);
        }
        let object = Value::Object(object);
        let draft = JobDraft::deserialize(&object).map(|mut draft| {
            for (name, value) in combination {
                draft.params.entry((*name).to_owned()).or_insert_with(|| (*value).to_owned());
            }
            draft
        });
        draft.map_err(|error| {
            let wrong = fields::problems(object);
            let wrong: Vec<FieldProblem> =
                wrong.map(|(name, problem)| (Some(name), problem)).collect();
            if !wrong.is_empty() {
                return wrong;
            }
            vec![(None, TableProblem::Whole(fields::message(&error)).into())]
        })
    }

    /// The spans of the table and its fields.
    pub(super) fn spans(&self) -> TableSpans {
        let fields = self.fields.iter().map(|(name, field)| (name.clone(), field.span.clone()));
        TableSpans { header: self.header.clone(), fields: fields.collect() }
    }
}
