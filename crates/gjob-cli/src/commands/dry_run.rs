//! `gjob run --dry-run`: what would be run, for people, and as a job file.

use std::io::{self, BufWriter, Write};
use std::sync::Arc;

use gjob::jobfile::field_names;
use gjob::link::{HostPlan, Transport};
use gjob::units::{format_duration, format_size};
use gjob_core::JobSpec;
use gjob_core::dependency::After;
use gjob_core::plural::counted;
use gjob_core::run::HostTask;
use gjob_core::text::printable;
use serde_json::Value;

/// The jobs as JSON Lines, which `gjob run` reads back as the same jobs.
pub(super) fn json(specs: &[Arc<JobSpec>]) -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    for spec in specs {
        serde_json::to_writer(&mut out, &**spec)?;
        out.write_all(b"\n")?;
    }
    out.flush()
}

/// The hosts, and the jobs with all of their fields.
pub(super) fn text(hosts: &[Arc<HostPlan>], specs: &[Arc<JobSpec>]) -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    for host in hosts {
        let slots = host.slots().map(|slots| format!(", {}", counted(slots.into(), "slot")));
        let slots = slots.unwrap_or_default();
        let cluster = host.cluster().map(|name| format!(", cluster {name}")).unwrap_or_default();
        let connect = match host.transport() {
            Transport::Command(command) => format!(", by {command}"),
            _ => String::new(),
        };
        let line = format!("host {}{slots}{cluster}{connect}", host.label());
        writeln!(out, "{}", printable(&line))?;
        for (name, value) in host.env() {
            writeln!(out, "    env:      {}", printable(&format!("{name}={value:?}")))?;
        }
        for task in HostTask::ALL {
            if let Some(commands) = host.task(task) {
                writeln!(out, "    {:<9} {}", format!("{}:", task.as_str()), printable(commands))?;
            }
        }
    }
    for (index, spec) in specs.iter().enumerate() {
        let name = spec.name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
        let copy = match spec.repeat_index {
            0 => String::new(),
            copy => format!(", copy {copy}"),
        };
        writeln!(out, "job {index}{}{copy}", printable(&name))?;
        job(&mut out, spec)?;
    }
    out.flush()
}

/// The fields of a job, under the names that they have in job files.
fn job(out: &mut impl Write, spec: &JobSpec) -> io::Result<()> {
    let fields = serde_json::to_value(spec)?;
    for name in field_names() {
        let lines = match *name {
            "commands" => lines(&fields["cmds"]),
            // It is beside the job's number already.
            "name" => Vec::new(),
            // A name is one line, whatever is in it.
            "files" => spec.files.clone(),
            "outputs" => spec.outputs.clone(),
            // Values of `:::` are in the command already.
            "params" if spec.params.keys().all(|name| name.parse::<u32>().is_ok()) => Vec::new(),
            "timeout" => spec.timeout.map(format_duration).into_iter().collect(),
            "mem" => spec.mem.map(format_size).into_iter().collect(),
            "after" => spec.after.iter().map(after).collect(),
            name => lines(&fields[name]),
        };
        list(out, name, lines)?;
    }
    Ok(())
}

/// A value line by line; none if it is missing.
fn lines(value: &Value) -> Vec<String> {
    match value {
        Value::Null => Vec::new(),
        Value::String(text) => text.lines().map(str::to_owned).collect(),
        Value::Array(items) => items.iter().flat_map(lines).collect(),
        Value::Object(members) => {
            members.iter().map(|(name, value)| format!("{name}={value}")).collect()
        }
        Value::Bool(_) | Value::Number(_) => vec![value.to_string()],
    }
}

/// Lines below each other, after the label of the first.
fn list(out: &mut impl Write, label: &str, lines: Vec<String>) -> io::Result<()> {
    let mut label = format!("{label}:");
    for line in lines {
        writeln!(out, "    {label:<9} {}", printable(&line))?;
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
