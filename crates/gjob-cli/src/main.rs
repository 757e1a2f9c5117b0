//! The program `gjob`: the command line, and everything that is written to the
//! terminal. What it does is done by the library `gjob`; on a host, the same
//! program is the agent and the slots.

mod cli;
mod commands;
mod exit;
mod local_time;
mod report;
mod signals;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};

fn main() -> ExitCode {
    if let Some(code) = gjob_agent::dispatch(std::env::args_os()) {
        return code;
    }
    gjob_agent::report_size_limit();
    if let Ok(executable) = std::env::current_exe() {
        gjob::program::declare_worker(executable);
    }
    let result = match Cli::parse().command {
        Command::Run(args) => commands::run::run(*args),
        Command::Attach(args) => commands::attach::run(&args),
        Command::Kill(args) => commands::kill::run(&args),
        Command::Pause(args) => commands::pause::run(&args),
        Command::Resume(args) => commands::resume::run(&args),
        Command::Retry(args) => commands::retry::run(&args),
        Command::Runs(args) => commands::runs::run(&args),
        Command::Status(args) => commands::status::run(&args),
        Command::Explain(args) => commands::explain::run(&args),
        Command::Logs(args) => commands::logs::run(&args),
        Command::Fetch(args) => commands::fetch::run(&args),
        Command::Clean(args) => commands::clean::run(&args),
        Command::Local(args) => commands::local::run(&args.command),
    };
    exit::finish(result)
}
