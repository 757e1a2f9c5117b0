//! Where each job of a source was written: what its errors point at.

use std::collections::BTreeMap;

use super::place::{Place, Span, Spot, Text};
use super::problem::NoJobs;

/// What jobs were read from. Each job comes from one part of it, which is a
/// number: of a line, of a job, or of a table.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Origin {
    /// Lines of a file, from 1; 0 is a line that is not known.
    Lines(String),
    /// A command with arguments: jobs, from 1.
    Arguments,
    /// Tables of a file, from 0; each may be many jobs.
    Tables(Text, Vec<TableSpans>),
}

/// Where a table and its fields are.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TableSpans {
    pub(super) header: Span,
    pub(super) fields: BTreeMap<String, Span>,
}

impl Origin {
    /// The place of a part, or of one of its fields if that is known.
    pub(super) fn spot(&self, part: u32, field: Option<&str>) -> Spot {
        match self {
            Origin::Lines(file) if part > 0 => Place::line(file, part as usize).into(),
            Origin::Lines(_) => self.whole().into(),
            Origin::Arguments => Place::Job(part as usize).into(),
            Origin::Tables(text, tables) => match tables.get(part as usize) {
                Some(table) => text.spot(table.span(field)),
                None => self.whole().into(),
            },
        }
    }

    /// The place of all of it.
    pub(super) fn whole(&self) -> Place {
        match self {
            Origin::Lines(file) | Origin::Tables(Text { file, .. }, _) => Place::File(file.clone()),
            Origin::Arguments => Place::Command,
        }
    }

    /// Why nothing in it is a job.
    pub(super) fn why_none(&self) -> NoJobs {
        match self {
            Origin::Arguments => NoJobs::NoValues,
            Origin::Tables(_, tables) if !tables.is_empty() => NoJobs::AllExcluded,
            Origin::Lines(_) | Origin::Tables(..) => NoJobs::Empty,
        }
    }
}

impl TableSpans {
    /// Where a field is, or the table if it does not have the field.
    pub(super) fn span(&self, field: Option<&str>) -> &Span {
        field.and_then(|field| self.fields.get(field)).unwrap_or(&self.header)
    }
}
