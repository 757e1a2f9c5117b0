//! Inputs: from blobs to files and directories in a job directory.

mod file;
mod tree;

use std::io::{self, Read as _};
use std::os::fd::AsFd;

use gjob_core::RunId;
use gjob_core::wire::{Input, InputKind};

pub(super) use self::file::InputError;
use self::file::{Content, Placer};
use crate::jobdir::Layout;

/// Places inputs of a run's job in the directory `dir`; gives the name of one that cannot be
/// placed, and why.
pub(super) fn place_all<'a>(
    layout: &Layout,
    run: &RunId,
    dir: &impl AsFd,
    inputs: &'a [Input],
) -> Result<(), (&'a str, InputError)> {
    let Some(first) = inputs.first() else { return Ok(()) };
    let placer =
        Placer::open(layout, run).map_err(|error| (first.name.as_str(), no_blobs(&error)))?;
    inputs
        .iter()
        .try_for_each(|input| place(&placer, dir, input).map_err(|error| (&*input.name, error)))
}

fn no_blobs(error: &io::Error) -> InputError {
    io::Error::new(error.kind(), format!("open the blobs' directory: {error}")).into()
}

fn place(placer: &Placer, dir: &impl AsFd, input: &Input) -> Result<(), InputError> {
    let Input { hash, mode, mtime_ns, hard_link, .. } = *input;
    match input.kind {
        InputKind::File => {
            placer.place(dir, &input.name, &Content { hash, mode, mtime_ns, hard_link })
        }
        InputKind::Tree => {
            let mut list = Vec::new();
            placer.find(&hash)?.read_to_end(&mut list)?;
            tree::place(placer, dir, input, &list)
        }
    }
}
