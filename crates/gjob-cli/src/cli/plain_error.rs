//! What clap says of a command line, in the form of all other errors: what is wrong in one
//! line, and hints below it.

use std::ffi::OsString;

use clap::CommandFactory;

use super::Cli;

/// An error as clap writes it, for this command line.
pub(super) fn text(rendered: &str, args: &[OsString]) -> String {
    let (mut what, mut hints) = (String::new(), Vec::new());
    let about = rendered.lines().take_while(|line| !line.starts_with("Usage:"));
    for line in about.map(str::trim).filter(|line| !line.is_empty()) {
        let values = line.strip_prefix("[possible values: ").and_then(|it| it.strip_suffix(']'));
        if let Some(error) = line.strip_prefix("error: ") {
            error.clone_into(&mut what);
        } else if let Some(tip) = line.strip_prefix("tip: ") {
            hints.push(format!("help: {tip}"));
        } else if let Some(values) = values {
            what.push_str(&format!(": expected one of {values}"));
        } else if !line.starts_with("For more information") {
            let between = if what.ends_with(':') { " " } else { ", " };
            what.push_str(&format!("{between}{line}"));
        }
    }
    hints.push(format!("help: `{} --help` lists what it takes", command_of(args)));
    format!("{what}\n{}", hints.join("\n"))
}

/// `gjob hosts slots`: the words that name the command.
fn command_of(args: &[OsString]) -> String {
    let mut command = Cli::command();
    let mut words = vec![command.get_name().to_owned()];
    for word in args.iter().skip(1) {
        let Some(next) = command.find_subcommand(word) else { break };
        words.push(next.get_name().to_owned());
        command = next.clone();
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_are_below_what_is_wrong() {
        let args: Vec<OsString> = ["gjob", "hosts", "slots", "x"].map(OsString::from).into();
        let rendered = "error: invalid value 'x' for '--color <WHEN>'\n  [possible values: auto, \
                        never]\n\n  tip: a similar value exists: 'auto'\n\nFor more information, \
                        try '--help'.\n";
        assert_eq!(
            text(rendered, &args),
            "invalid value 'x' for '--color <WHEN>': expected one of auto, never\n\
             help: a similar value exists: 'auto'\n\
             help: `gjob hosts slots --help` lists what it takes"
        );
        let rendered = "error: the following required arguments were not provided:\n  <N>\n  \
                        <HOST>...\n\nUsage: gjob hosts slots <N> <HOST>...\n";
        assert!(text(rendered, &args).starts_with(
            "the following required arguments were not provided: <N>, <HOST>...\nhelp: "
        ));
    }
}
