//! One job's outputs while they come: each part is checked against what came
//! before, and written below a temporary name. Nothing that a host says is
//! believed but what has been counted and hashed here.

use std::collections::BTreeMap;

use cap_std::fs::{Dir, Permissions, PermissionsExt};
use gjob_core::os_text::to_path;
use gjob_core::output::{MAX_ENTRIES, check_path, is_within};
use gjob_core::wire::{BlobHash, OutputPart, Resume};

use super::OutputFile;
use super::dir::UnfinishedDir;
use super::file::Listing;
use super::file::{Announced, OpenFile};
use super::mode::within_umask;
use super::refusal::{Refusal, Violation, shown};

/// What the paths of one job's outputs may come to, bytes.
const MAX_PATHS: u64 = 32 << 20;

/// Of files of this size and more it is said how far they have come, bytes.
const LARGE: u64 = 8 << 20;

#[derive(Debug)]
pub(super) struct IncomingOutputs {
    dir: Dir,
    part: UnfinishedDir,
    max_bytes: u64,
    /// The files that are accepted and have yet to come; none if all are.
    recorded: Option<BTreeMap<String, BlobHash>>,
    /// The last entry that is here in whole.
    last: Option<Entry>,
    /// True when entries are relied on to be as an earlier session has sent them.
    relies: bool,
    /// The directory of the latest entry, from the job's on: since entries come
    /// in the order of their paths' components, none below another is there.
    below: String,
    file: Option<OpenFile>,
    listing: Listing,
    entries: u64,
    /// Directories that were made without having been sent.
    implied: u64,
    paths: u64,
    bytes: u64,
}

#[derive(Debug)]
struct Entry {
    path: String,
    is_file: bool,
}

/// A job's outputs, all here, not yet under their name.
#[derive(Debug)]
pub(super) struct Complete {
    pub(super) part: UnfinishedDir,
    pub(super) listing: Listing,
    pub(super) bytes: u64,
    /// Neither a file nor a directory has come.
    pub(super) is_empty: bool,
}

/// How far a large file has come.
#[derive(Debug)]
pub(super) struct FileProgress {
    pub(super) path: String,
    pub(super) bytes: u64,
    pub(super) size: u64,
}

impl IncomingOutputs {
    pub(super) fn new(part: UnfinishedDir, dir: Dir, max_bytes: u64) -> Self {
        IncomingOutputs {
            dir,
            part,
            max_bytes,
            recorded: None,
            last: None,
            relies: false,
            below: String::new(),
            file: None,
            listing: Listing::default(),
            entries: 0,
            implied: 0,
            paths: 0,
            bytes: 0,
        }
    }

    /// Accepts nothing but these, if there are any, with this content.
    pub(super) fn only(mut self, recorded: &[OutputFile]) -> Self {
        let content = recorded.iter().map(|file| (file.path.clone(), file.hash));
        self.recorded = (!recorded.is_empty()).then(|| content.collect());
        self
    }

    /// Takes what follows on what came before. After a refusal other than
    /// [`Refusal::Changed`] nothing more is to come; after that one, what follows
    /// on [`IncomingOutputs::interrupt`].
    pub(super) fn take(&mut self, parts: Vec<OutputPart>) -> Result<(), Refusal> {
        parts.into_iter().try_for_each(|part| match part {
            OutputPart::Dir { path, mode } => self.take_dir(path, mode),
            OutputPart::File { path, mode, mtime_ns, size, offset } => {
                self.take_file(Announced { path, mode, mtime_ns, size }, offset)
            }
            OutputPart::Bytes(bytes) => match &mut self.file {
                Some(file) if !file.interrupted => file.write(&bytes),
                _ => Err(Violation::Stray.into()),
            },
            OutputPart::End { hash } => self.take_end(hash),
        })
    }

    /// The link broke: what is here already.
    pub(super) fn interrupt(&mut self) -> Resume {
        let partial = self.file.as_mut().map(|file| {
            file.interrupted = true;
            (file.announced.path.clone(), file.got)
        });
        let after = self.last.as_ref().map(|entry| entry.path.clone());
        self.relies |= after.is_some();
        Resume { after, partial: partial.filter(|(_, got)| *got > 0) }
    }

    /// All was sent, of that many files.
    pub(super) fn finish(mut self, files: u64) -> Result<Complete, Refusal> {
        self.drop_interrupted()?.map_or(Ok(()), |_| Err(Violation::Cut))?;
        let sent = self.listing.files();
        if files != sent {
            if self.relies {
                return Err(Refusal::Altered);
            }
            return Err(Violation::Count { said: files, sent }.into());
        }
        if let Some(path) = self.recorded.as_ref().and_then(|left| left.keys().next()) {
            return Err(Refusal::Unrecorded { path: shown(path) });
        }
        let IncomingOutputs { part, listing, bytes, entries, .. } = self;
        Ok(Complete { part, listing, bytes, is_empty: entries == 0 })
    }

    pub(super) fn progress(&self) -> Option<FileProgress> {
        let file = self.file.as_ref()?;
        let Announced { path, size, .. } = &file.announced;
        (*size >= LARGE).then(|| FileProgress { path: shown(path), bytes: file.got, size: *size })
    }

    fn take_dir(&mut self, path: String, mode: u32) -> Result<(), Refusal> {
        self.begin_entry(&path)?;
        self.make_dir(&path)?;
        // Its owner has to be able to fill it, and to remove it again.
        let mode = within_umask(mode) | 0o700;
        let _ = self.dir.set_permissions(to_path(&path), Permissions::from_mode(mode));
        self.below.clone_from(&path);
        self.last = Some(Entry { path, is_file: false });
        Ok(())
    }

    fn take_file(&mut self, announced: Announced, offset: u64) -> Result<(), Refusal> {
        if let Some(file) = &mut self.file
            && file.goes_on(&announced, offset)
        {
            if announced != file.announced {
                // It has grown, or was written anew: what is here may be none of it.
                let path = announced.path;
                self.drop_interrupted()?;
                return Err(Refusal::Changed { path: shown(&path) });
            }
            file.go_on();
            return Ok(());
        }
        self.begin_entry(&announced.path)?;
        if offset > 0 {
            let path = shown(&announced.path);
            return Err(Violation::Offset { path, offset }.into());
        }
        if announced.size > self.max_bytes - self.bytes {
            return Err(Refusal::TooLarge { limit: self.max_bytes });
        }
        let path = announced.path.clone();
        let file = OpenFile::create(&self.dir, announced);
        self.file = Some(file.map_err(|error| Refusal::of_io(&path, error))?);
        Ok(())
    }

    fn take_end(&mut self, hash: BlobHash) -> Result<(), Refusal> {
        let file = self.file.take().filter(|file| !file.interrupted).ok_or(Violation::Stray)?;
        let path = file.announced.path.clone();
        let ended = match file.end(hash) {
            Err(refusal @ Refusal::Changed { .. }) => {
                self.take_back(&path)?;
                return Err(refusal);
            }
            ended => ended?,
        };
        if let Some(left) = &mut self.recorded
            && left.remove(&path) != Some(ended.hash)
        {
            return Err(Refusal::Unrecorded { path: shown(&path) });
        }
        self.listing.add(&ended).map_err(|source| {
            let what = "the list of a job's outputs".to_owned();
            Refusal::Here { what, source }
        })?;
        self.bytes += ended.size;
        self.last = Some(Entry { path, is_file: true });
        Ok(())
    }

    /// Something new is to come under `path`: checks that it may, and makes the
    /// directories it is in.
    fn begin_entry(&mut self, path: &str) -> Result<(), Refusal> {
        let bad = |source| Violation::Path { path: shown(path), source };
        check_path(path).map_err(bad)?;
        if self.drop_interrupted()?.is_some() {
            return Err(Violation::Unfinished { path: shown(path) }.into());
        }
        if let Some(last) = &self.last {
            last.check_next(path)?;
        }
        if self.entries == MAX_ENTRIES {
            return Err(Violation::TooMany.into());
        }
        self.entries += 1;
        self.paths += path.len() as u64;
        if self.paths > MAX_PATHS {
            return Err(Refusal::TooMuchPath { limit: MAX_PATHS });
        }
        self.make_parents(path)
    }

    /// Makes the directories that lead to `path` and are not there: those of a
    /// file that was matched by itself were not sent.
    fn make_parents(&mut self, path: &str) -> Result<(), Refusal> {
        for (end, _) in path.match_indices('/') {
            let parent = &path[..end];
            if !is_within(&self.below, parent) {
                if self.implied == MAX_ENTRIES {
                    return Err(Violation::TooMany.into());
                }
                self.implied += 1;
                self.make_dir(parent)?;
            }
        }
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        parent.clone_into(&mut self.below);
        Ok(())
    }

    fn make_dir(&self, path: &str) -> Result<(), Refusal> {
        self.dir.create_dir(to_path(path)).map_err(|error| Refusal::of_io(path, error))
    }

    /// Removes the file that was interrupted and is not gone on with; gives
    /// back one that was not.
    fn drop_interrupted(&mut self) -> Result<Option<OpenFile>, Refusal> {
        match self.file.take() {
            Some(file) if file.interrupted => {
                self.take_back(&file.announced.path)?;
                Ok(None)
            }
            other => Ok(other),
        }
    }

    /// Removes a file as if it had never come.
    fn take_back(&mut self, path: &str) -> Result<(), Refusal> {
        self.entries -= 1;
        self.paths -= path.len() as u64;
        self.dir.remove_file(to_path(path)).map_err(|error| Refusal::of_io(path, error))
    }
}

impl Entry {
    /// Checks that `path` may come behind this.
    fn check_next(&self, path: &str) -> Result<(), Violation> {
        if !self.path.split('/').lt(path.split('/')) {
            let (path, last) = (shown(path), shown(&self.path));
            return Err(Violation::Order { path, last });
        }
        if self.is_file && is_within(path, &self.path) {
            return Err(Violation::BelowFile { path: shown(path) });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
