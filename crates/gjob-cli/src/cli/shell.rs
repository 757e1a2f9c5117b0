//! The arguments of what sets gjob up in a shell: completions and the manual.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
#[command(after_help = COMPLETIONS_HELP)]
pub(crate) struct CompletionsArgs {
    /// Shell
    pub(crate) shell: Shell,
}

const COMPLETIONS_HELP: &str = "\
bash: source <(gjob completions bash)            in ~/.bashrc
zsh:  source <(gjob completions zsh)             in ~/.zshrc, after compinit
fish: gjob completions fish | source             in ~/.config/fish/config.fish

Ids of runs, names and indexes of jobs, and hosts are completed, too.";

/// A shell that completes.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Shell {
    /// GNU bash
    Bash,
    /// zsh
    Zsh,
    /// fish
    Fish,
}

#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Write a page per subcommand into DIR, such as ~/.local/share/man/man1 [default:
    /// print the first page]
    #[arg(value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}
