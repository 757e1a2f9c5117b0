//! Everything that can be wrong with a job by itself, found before anything is started.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{JobSpec, SpecError, base_name};
use crate::from_job::FromJob;
use crate::hosts::Choice;
use crate::jobdir::is_reserved;
use crate::os_text::byte_len;
use crate::output::{MAX_COMPONENT, OutputPattern};
use crate::resources::Cpus;
use crate::text::{excerpt, is_printable};

/// The most bytes of a job's commands, environment and name together.
pub const MAX_SPEC_BYTES: usize = 1024 * 1024;

/// The most bytes of all variables of a job's environment, each with its `=`, its end
/// and a pointer to it. Linux lets all variables and arguments have 2 MiB at least.
pub const MAX_ENV_BYTES: usize = 1024 * 1024;

/// The most bytes of one variable with its name and `=`: with its end it is as long as
/// Linux lets one be (`MAX_ARG_STRLEN`).
pub const MAX_VARIABLE_BYTES: usize = 128 * 1024 - 1;

/// The most bytes of the base names of a job's files, with [`FILE_OVERHEAD`] for each:
/// they are sent in one message with the job.
pub const MAX_FILES_BYTES: usize = 2 * 1024 * 1024;

/// What a file takes in a launch besides its name, bytes; rather too much.
pub const FILE_OVERHEAD: usize = 64;

/// The most bytes of a job's output patterns: they are asked for in one message.
pub const MAX_OUTPUTS_BYTES: usize = 1024 * 1024;

/// The longest timeout, days.
pub const MAX_TIMEOUT_DAYS: u64 = 3_650_000;

/// By which factor a job's memory may be raised.
pub const RETRY_MEM: std::ops::RangeInclusive<f64> = 1.1..=100.0;

/// The longest job name, bytes.
pub const MAX_NAME_BYTES: usize = 255;

impl JobSpec {
    /// Everything that is wrong with the job; nothing if it may be launched.
    #[must_use]
    pub fn check(&self) -> Vec<SpecError> {
        let mut errors = Vec::new();
        self.check_cmds(&mut errors);
        self.check_name(&mut errors);
        self.check_env(&mut errors);
        self.check_params(&mut errors);
        self.check_files(&mut errors);
        for found in &self.outputs {
            if let Err(source) = OutputPattern::new(found) {
                errors.push(SpecError::Output { found: found.clone(), source });
            }
        }
        let patterns = self.outputs.iter().map(String::len).sum();
        if patterns > MAX_OUTPUTS_BYTES {
            errors.push(SpecError::TooManyOutputs { found: patterns });
        }
        errors.extend(Choice::new(&self.hosts, &self.labels).err().map(SpecError::Choice));
        if self.cpus == Cpus::Count(0) {
            errors.push(SpecError::Cpus);
        }
        if self.retry_mem.is_some_and(|factor| !RETRY_MEM.contains(&factor)) {
            errors.push(SpecError::RetryMem);
        }
        if self.timeout == Some(Duration::ZERO) {
            errors.push(SpecError::Timeout);
        }
        let days = self.timeout.map_or(0, |timeout| timeout.as_secs() / 86_400);
        if days > MAX_TIMEOUT_DAYS {
            errors.push(SpecError::LongTimeout);
        }
        let bytes = self.cmds.iter().map(|cmd| cmd.len() + 1).sum::<usize>()
            + self.env.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>()
            + self.params.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>()
            + self.name.as_ref().map_or(0, String::len);
        if bytes > MAX_SPEC_BYTES {
            errors.push(SpecError::TooLarge { found: bytes });
        }
        errors
    }

    /// Everything that is wrong with its variables.
    #[must_use]
    pub fn check_variables(&self) -> Vec<SpecError> {
        let mut errors = Vec::new();
        self.check_env(&mut errors);
        errors
    }

    fn check_cmds(&self, errors: &mut Vec<SpecError>) {
        if self.cmds.iter().all(|cmd| cmd.trim().is_empty()) {
            errors.push(SpecError::NoCommand);
        }
        for (i, _) in self.cmds.iter().enumerate().filter(|(_, cmd)| cmd.contains('\0')) {
            errors.push(SpecError::Nul { field: "cmds", place: format!("command {}", i + 1) });
        }
    }

    fn check_name(&self, errors: &mut Vec<SpecError>) {
        let Some(name) = &self.name else { return };
        let fits = (1..=MAX_NAME_BYTES).contains(&name.len());
        if !fits || !name.chars().all(is_printable) {
            errors.push(SpecError::Name { found: excerpt(name) });
        }
    }

    fn check_params(&self, errors: &mut Vec<SpecError>) {
        for name in self.params.keys() {
            let fits = (1..=MAX_NAME_BYTES).contains(&name.len());
            if !fits || !name.chars().all(is_printable) {
                errors.push(SpecError::Param { found: excerpt(name) });
            }
        }
    }

    fn check_env(&self, errors: &mut Vec<SpecError>) {
        for (name, value) in &self.env {
            let first = name.bytes().next();
            let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            if !plain || first.is_none_or(|b| b.is_ascii_digit()) {
                errors.push(SpecError::EnvName { found: name.clone() });
            } else if name.starts_with("GJOB_") {
                errors.push(SpecError::EnvReserved { found: name.clone() });
            }
            if value.contains('\0') {
                errors.push(SpecError::Nul { field: "env", place: format!("variable {name}") });
            }
            let bytes = name.len() + 1 + byte_len(value);
            if bytes > MAX_VARIABLE_BYTES {
                errors.push(SpecError::EnvValue { found: excerpt(name), bytes });
            }
        }
        let found = env_bytes(self.env.iter());
        if found > MAX_ENV_BYTES {
            errors.push(SpecError::EnvTooLarge { found });
        }
    }

    fn check_files(&self, errors: &mut Vec<SpecError>) {
        let mut seen: BTreeSet<(&str, &str)> = BTreeSet::new();
        let mut names = 0;
        for path in &self.files {
            if path.contains('\0') {
                errors.push(SpecError::Nul { field: "files", place: format!("file {path:?}") });
                continue;
            }
            if let Some(from) = FromJob::parse(path) {
                errors.extend(from.err().map(SpecError::FromJob));
                continue;
            }
            let Some(name) = base_name(path) else {
                errors.push(SpecError::FileName { found: path.clone() });
                continue;
            };
            if byte_len(name) > MAX_COMPONENT {
                let (found, bytes) = (excerpt(path), byte_len(name));
                errors.push(SpecError::FileNameLong { found, bytes });
            }
            names += name.len() + FILE_OVERHEAD;
            if is_reserved(name) {
                errors.push(SpecError::FileReserved { found: path.clone() });
            }
            if let Some((_, first)) = seen.range((name, "")..).next().filter(|(n, _)| *n == name) {
                errors.push(SpecError::SameFileName {
                    first: (*first).to_owned(),
                    second: path.clone(),
                });
            }
            seen.insert((name, path));
        }
        if names > MAX_FILES_BYTES {
            errors.push(SpecError::TooManyFiles { files: self.files.len(), found: names });
        }
    }
}

/// What variables take on a host, bytes: each with its `=`, its end and a pointer to it.
#[must_use]
pub fn env_bytes<'a>(env: impl Iterator<Item = (&'a String, &'a String)>) -> usize {
    env.map(|(name, value)| name.len() + byte_len(value) + 10).sum()
}
