//! `gjob run --dry-run`: what would be run, for people, and as a job file.

use std::fmt::Display;
use std::io::{self, BufWriter, Write};
use std::sync::Arc;

use gjob::link::{HostPlan, Transport};
use gjob::units::format_duration;
use gjob_core::JobSpec;
use gjob_core::dependency::After;
use gjob_core::resources::Ask;

/// The jobs as JSON Lines, which `gjob run` reads back as the same jobs.
pub(super) fn json(specs: &[Arc<JobSpec>]) -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    for spec in specs {
        serde_json::to_writer(&mut out, &**spec)?;
        out.write_all(b"\n")?;
    }
    out.flush()
}

/// The hosts, and the jobs with all that is said of them.
pub(super) fn text(hosts: &[Arc<HostPlan>], specs: &[Arc<JobSpec>]) -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    for host in hosts {
        let slots = host.slots().map(|slots| format!(", {slots} slots")).unwrap_or_default();
        let cluster = host.cluster().map(|name| format!(", cluster {name}")).unwrap_or_default();
        let connect = match host.transport() {
            Transport::Command(command) => format!(", by {command}"),
            _ => String::new(),
        };
        writeln!(out, "host {}{slots}{cluster}{connect}", host.label())?;
    }
    for (index, spec) in specs.iter().enumerate() {
        let name = spec.name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
        let copy = match spec.repeat_index {
            0 => String::new(),
            copy => format!(", copy {copy}"),
        };
        writeln!(out, "job {index}{name}{copy}")?;
        job(&mut out, spec)?;
    }
    out.flush()
}

fn job(out: &mut impl Write, spec: &JobSpec) -> io::Result<()> {
    let commands = spec.cmds.iter().flat_map(|command| command.lines());
    list(out, "commands", commands)?;
    list(out, if spec.link { "links" } else { "files" }, &spec.files)?;
    list(out, "outputs", &spec.outputs)?;
    list(out, "env", spec.env.iter().map(|(name, value)| format!("{name}={value:?}")))?;
    list(out, "after", spec.after.iter().map(after))?;
    let ask = spec.ask();
    list(out, "asks for", (ask != Ask::default()).then_some(ask))?;
    list(out, "timeout", spec.timeout.map(format_duration))?;
    list(out, "retries", spec.retries.filter(|retries| *retries > 0))
}

/// Some values one below the other, the first behind their label.
fn list(
    out: &mut impl Write,
    label: &str,
    values: impl IntoIterator<Item = impl Display>,
) -> io::Result<()> {
    let mut label = format!("{label}:");
    for value in values {
        writeln!(out, "    {label:<9} {value}")?;
        label.clear();
    }
    Ok(())
}

fn after(after: &After) -> String {
    match after {
        After::Name(name) => name.clone(),
        After::Job(number) => format!("job {number}"),
        After::Jobs(first, last) => format!("jobs {first} to {last}"),
    }
}
