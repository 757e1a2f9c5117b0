//! The program `gjob`: the command line, and everything that is written to the
//! terminal. What it does is done by the library `gjob`; on a host, the same
//! program is the agent and the slots.

mod cli;
mod commands;
mod completion;
mod exit;
mod known_hosts;
mod local_time;
mod report;
mod signals;
mod stamped;
mod top;
mod tty;

use std::process::ExitCode;

use cli::{Command, misread};

fn main() -> ExitCode {
    if let Some(code) = gjob_agent::dispatch(std::env::args_os()) {
        return code;
    }
    completion::answer();
    gjob_agent::report_size_limit();
    if let Ok(executable) = std::env::current_exe() {
        gjob::program::declare_worker(executable);
    }
    let cli = match misread::parse(&std::env::args_os().collect::<Vec<_>>()) {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let result = match cli.command {
        Command::Run(args) => commands::run::run(&args),
        Command::Attach(args) => commands::attach::run(&args),
        Command::Kill(args) => commands::kill::run(&args),
        Command::Pause(args) => commands::pause::run(&args),
        Command::Resume(args) => commands::resume::run(&args),
        Command::Retry(args) => commands::retry::run(&args),
        Command::Hosts(args) => commands::doctor::run(&args),
        Command::Du(args) => commands::du::run(&args),
        Command::Runs(args) => commands::runs::run(&args),
        Command::Status(args) => commands::status::run(&args),
        Command::Top(args) => commands::top::run(&args),
        Command::Explain(args) => commands::explain::run(&args),
        Command::Logs(args) => commands::logs::run(&args),
        Command::Table(args) => commands::table::run(&args),
        Command::Fetch(args) => commands::fetch::run(&args),
        Command::Clean(args) => commands::clean::run(&args),
        Command::Local(args) => commands::local::run(&args.command),
        Command::Remote(args) => commands::remote::run(&args.command),
        Command::Completions(args) => commands::completions::run(args.shell),
        Command::Man(args) => commands::man::run(args.dir.as_deref()),
    };
    exit::finish(result)
}
