//! Options with placeholders: the name, files, output patterns and variables of jobs that a
//! command and its values make. Values are filled in as they are, since no shell reads them.

use std::collections::BTreeMap;

use super::header::Sources;
use super::template::Template;
use crate::jobfile::draft::JobDraft;
use crate::jobfile::problem::Problem;

/// The options whose texts values are filled into.
#[derive(Debug)]
pub(super) struct OptionTemplates {
    name: Option<Template>,
    files: Vec<Template>,
    outputs: Vec<Template>,
    env: Vec<(String, Template)>,
    /// What the values are called, as parameters of the job.
    params: Vec<String>,
}

impl OptionTemplates {
    /// Reads the texts of `defaults`, for values from these sources.
    pub(super) fn parse(defaults: &JobDraft, sources: Sources<'_>) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut read = |text: &String| {
            let read = Template::of_text(text, sources);
            read.map_err(|more| problems.extend(more)).ok()
        };
        let templates = OptionTemplates {
            name: defaults.name.as_ref().and_then(&mut read),
            files: defaults.files.iter().filter_map(&mut read).collect(),
            outputs: defaults.outputs.iter().filter_map(&mut read).collect(),
            env: defaults
                .env
                .iter()
                .filter_map(|(name, value)| Some((name.clone(), read(value)?)))
                .collect(),
            params: match sources.names {
                [] => (1..=sources.count).map(|at| at.to_string()).collect(),
                names => names.to_vec(),
            },
        };
        if problems.is_empty() { Ok(templates) } else { Err(problems) }
    }

    /// The job with this command, the `number`-th from 1, which has these values.
    pub(super) fn fill(&self, command: String, number: usize, values: &[&str]) -> JobDraft {
        let fill = |template: &Template| template.fill_text(number, values, str::to_owned);
        let pattern = |template: &Template| template.fill_text(number, values, escape);
        let params = self.params.iter().cloned().zip(values);
        JobDraft {
            name: self.name.as_ref().map(fill),
            files: self.files.iter().map(fill).collect(),
            outputs: self.outputs.iter().map(pattern).collect(),
            env: self.env.iter().map(|(name, value)| (name.clone(), fill(value))).collect(),
            params: params.map(|(name, value)| (name, (*value).to_owned())).collect(),
            ..JobDraft::of_command(command)
        }
    }
}

/// A value as a pattern that stands for it alone.
fn escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '*' | '?' | '[' => escaped.extend(['[', c, ']']),
            other => escaped.push(other),
        }
    }
    escaped
}

impl JobDraft {
    /// The same defaults without the texts that values are filled into.
    pub(super) fn without_texts(&self) -> JobDraft {
        JobDraft {
            name: None,
            files: Vec::new(),
            outputs: Vec::new(),
            env: BTreeMap::new(),
            ..self.clone()
        }
    }

    /// Takes the texts with placeholders out.
    pub(in crate::jobfile) fn drop_templates(&mut self) {
        let is_plain = |text: &String| !Template::is_filled(text);
        self.name = self.name.take().filter(is_plain);
        self.files.retain(is_plain);
        self.outputs.retain(is_plain);
        self.env.retain(|_, value| is_plain(value));
    }
}
