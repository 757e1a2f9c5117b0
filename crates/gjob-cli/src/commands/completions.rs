//! `gjob completions`: what a shell reads to complete gjob's command lines.

use std::io;

use clap_complete::env::Shells;

use crate::cli::Shell;
use crate::completion::{VARIABLE, completer};
use crate::exit::{ALL_DONE, Failure};

pub(crate) fn run(shell: Shell) -> Result<u8, Failure> {
    let name = match shell {
        Shell::Bash => "bash",
        Shell::Zsh => "zsh",
        Shell::Fish => "fish",
    };
    let shells = Shells::builtins();
    let registration = shells.completer(name).map(|shell| {
        let mut text = Vec::new();
        let written = shell.write_registration(VARIABLE, "gjob", "gjob", &completer(), &mut text);
        written.map(|()| text)
    });
    let text = registration
        .ok_or(io::ErrorKind::Unsupported)
        .map_err(|kind| Failure::machinery(io::Error::from(kind)))?;
    let text = text.map_err(Failure::machinery)?;
    io::Write::write_all(&mut io::stdout(), &text).map_err(Failure::machinery)?;
    Ok(ALL_DONE)
}
