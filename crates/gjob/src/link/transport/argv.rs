//! A command of the user's that gives a pipe to the host.

use gjob_core::HostEntry;
use tokio::process::Command;

use crate::link::error::ConnectError;

/// Stands for the host's name in a template.
const HOST: &str = "{host}";

/// `template` for `entry`, with a shell at its end.
pub(super) fn command(template: &[String], entry: &HostEntry) -> Result<Command, ConnectError> {
    entry.label()?;
    let Some((program, arguments)) = template.split_first() else {
        return Err(ConnectError::EmptyCommand);
    };
    let mut command = Command::new(program.replace(HOST, &entry.name));
    command.args(arguments.iter().map(|part| part.replace(HOST, &entry.name)));
    command.arg("/bin/sh");
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_name_is_filled_in_and_a_shell_asked_for() {
        let template = ["srun", "--nodelist={host}", "--"].map(str::to_owned);
        let entry = HostEntry { name: "gpu-3".to_owned(), ..HostEntry::local() };
        let command = command(&template, &entry).unwrap();
        let command = command.as_std();
        assert_eq!(command.get_program(), "srun");
        let arguments: Vec<_> = command.get_args().collect();
        assert_eq!(arguments, ["--nodelist=gpu-3", "--", "/bin/sh"]);
    }

    #[test]
    fn a_name_that_is_an_option_or_a_template_without_a_program_is_refused() {
        let entry = HostEntry { name: "--privileged".to_owned(), ..HostEntry::local() };
        let template = ["docker", "exec", "-i", "{host}"].map(str::to_owned);
        assert!(command(&template, &entry).is_err());
        assert!(command(&[], &HostEntry::local()).is_err());
    }
}
