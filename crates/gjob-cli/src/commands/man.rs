//! `gjob man`: the manual, a page per subcommand.

use std::io::{self, Write};
use std::path::Path;

use anyhow::Context;
use clap::{Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use crate::cli::Cli;
use crate::exit::{ALL_DONE, Failure};

/// Writes all pages into a directory, or the first one to standard output.
pub(crate) fn run(dir: Option<&Path>) -> Result<u8, Failure> {
    let mut gjob = Cli::command().disable_help_subcommand(true);
    gjob.build();
    match dir {
        Some(dir) => {
            let written = std::fs::create_dir_all(dir).and_then(|()| write_all(&gjob, dir));
            written.with_context(|| dir.display().to_string()).map_err(Failure::machinery)?;
        }
        None => {
            let written = page(&gjob).and_then(|page| io::stdout().write_all(&page));
            written.map_err(Failure::machinery)?;
        }
    }
    Ok(ALL_DONE)
}

/// Writes the pages of a command and of those below it.
fn write_all(command: &Command, dir: &Path) -> io::Result<()> {
    let name = command.get_display_name().unwrap_or(command.get_name());
    std::fs::write(dir.join(format!("{name}.1")), page(command)?)?;
    let mut below = command.get_subcommands().filter(|command| !command.is_hide_set());
    below.try_for_each(|command| write_all(command, dir))
}

fn page(command: &Command) -> io::Result<Vec<u8>> {
    let source = concat!("gjob ", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command.clone()).source(source);
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    if command.get_arguments().next().is_some() {
        man.render_options_section(&mut page)?;
    }
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    let notes = command.get_after_long_help().or(command.get_after_help());
    if let Some(notes) = notes {
        // Line by line as in the help: there are tables among them.
        let mut roff = Roff::new();
        roff.control("SH", ["NOTES"]).control("nf", []);
        for line in notes.to_string().lines() {
            roff.text([roman(line)]);
        }
        roff.control("fi", []).to_writer(&mut page)?;
    }
    Ok(page)
}
