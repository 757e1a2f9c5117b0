//! What a job with a given index has to do: all of it follows from that index.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::BTreeMap;

/// Whole chunks of the wire and some more, so that it comes in several messages.
const LARGE: usize = 600_000;

/// A job's, by its index.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Duty {
    pub(crate) index: u32,
    /// It fails or ends well, and that is all: no outputs, one cpu, waits for nobody.
    pub(crate) plain: bool,
    /// It writes what `-o` asks of every job, too.
    pub(crate) sealed: bool,
}

/// What `-o` asks of every job, where it does.
pub(crate) const SEAL: &str = "seal.txt";

impl Duty {
    /// A tenth of the jobs fails, each in its own way.
    pub(crate) fn exit_code(self) -> u8 {
        let Duty { index, .. } = self;
        if index % 10 == 3 { u8::try_from(1 + index * 37 % 250).unwrap() } else { 0 }
    }

    pub(crate) fn cpus(self) -> u32 {
        if !self.plain && self.index % 6 == 1 { 2 } else { 1 }
    }

    /// The jobs that have to be done before.
    pub(crate) fn after(self) -> Vec<u32> {
        let Duty { index, .. } = self;
        match index % 7 {
            2 if !self.plain => vec![index - 2],
            4 if !self.plain => vec![index - 2, index - 3],
            _ => Vec::new(),
        }
    }

    /// Every job that is waited for has one.
    pub(crate) fn name(self) -> Option<String> {
        (!self.plain && self.index % 7 < 3).then(|| format!("j{}", self.index))
    }

    /// The paths and lengths of what it writes, of a length of zero one line.
    fn files(self) -> Vec<(&'static str, usize)> {
        let mut files = match self.index % 4 {
            0 if !self.plain => vec![("out.txt", 0)],
            1 if !self.plain => vec![("a.txt", 0), ("d/large", LARGE)],
            _ => Vec::new(),
        };
        files.extend(self.sealed.then_some((SEAL, 0)));
        files
    }

    /// It declares an output that it doesn't write.
    pub(crate) fn lacks_an_output(self) -> bool {
        !self.plain && self.index % 24 == 5
    }

    /// The patterns that it declares itself.
    pub(crate) fn patterns(self) -> Vec<&'static str> {
        let own = self.files().into_iter().filter(|(path, _)| *path != SEAL);
        let written = own.map(|(path, _)| path.split('/').next().unwrap());
        written.chain(self.lacks_an_output().then_some("missing")).collect()
    }

    /// What it writes, as the files of another job name it.
    pub(crate) fn as_files(&self) -> Vec<String> {
        let written = self.patterns().into_iter().filter(|pattern| *pattern != "missing");
        let name = self.name().unwrap_or_default();
        written.map(|pattern| format!("@{name}/{pattern}")).collect()
    }

    pub(crate) fn writes_outputs(self) -> bool {
        !self.files().is_empty()
    }

    /// The shell's commands that write its outputs, in one line.
    pub(crate) fn writing(self) -> String {
        let write = |(path, length): (&str, usize)| {
            let dir = path.rsplit_once('/').map(|(dir, _)| format!("mkdir {dir}; "));
            let dir = dir.unwrap_or_default();
            let line = format!("\"{path} $GJOB_INDEX $GJOB_ATTEMPT\"");
            match length {
                0 => format!("{dir}echo {line} > {path}; "),
                length => format!("{dir}yes {line} | head -c {length} > {path}; "),
            }
        };
        self.files().into_iter().map(write).collect()
    }

    /// What is to be there of an attempt, by path.
    pub(crate) fn outputs(self, attempt: u64) -> BTreeMap<String, Vec<u8>> {
        let content = |path: &str, length: usize| {
            let line = format!("{path} {} {attempt}\n", self.index).into_bytes();
            match length {
                0 => line,
                length => line.into_iter().cycle().take(length).collect(),
            }
        };
        let files = self.files().into_iter();
        files.map(|(path, length)| (path.to_owned(), content(path, length))).collect()
    }

    /// What its directory among the outputs is called.
    pub(crate) fn dir_name(self) -> String {
        match self.name() {
            Some(name) => format!("{name}-{}", self.index),
            None => self.index.to_string(),
        }
    }
}
