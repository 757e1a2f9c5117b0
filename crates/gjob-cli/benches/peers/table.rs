//! The table, in Markdown.

use super::report::{Entry, Report, WorkReport};
use super::statistics::Summary;

/// What was measured on, the table, and what the programs are.
pub(crate) fn markdown(report: &Report) -> String {
    let machine = &report.machine;
    let mut text = format!(
        "{} processors, Linux {}, {}.\n\n\
         | work | program | median | range | gjob's speed to its | CPU µs a job | with children | fsyncs a job |\n\
         | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n",
        machine.processors, machine.kernel, machine.file_system
    );
    report.works.iter().for_each(|work| text += &rows(work));
    text += "\n";
    for program in &report.programs {
        text += &format!("- {} ({}): {}\n", program.name, program.version, program.about);
    }
    text
}

pub(crate) fn rows(work: &WorkReport) -> String {
    let mut rows = String::new();
    let mut title = work.title.as_str();
    for entry in &work.results {
        rows += &row(std::mem::take(&mut title), work, entry);
    }
    rows
}

fn row(title: &str, work: &WorkReport, entry: &Entry) -> String {
    let Some(summary) = entry.summary else { return String::new() };
    let fewer = entry.jobs < work.jobs;
    let given = if fewer { format!(" ({} of {})", entry.jobs, work.jobs) } else { String::new() };
    let range = if entry.values.len() > 1 {
        format!("{}–{}", figure(summary.min), figure(summary.max))
    } else {
        String::new()
    };
    let is_gjob = entry.program == "gjob";
    let speed = entry.gjob_speed.filter(|_| !is_gjob).map_or_else(String::new, figure);
    let cpu = |values: &[f64]| {
        let summary = Summary::of(values).filter(|_| work.shows_cpu);
        summary.map_or_else(String::new, |summary| format!("{:.0}", summary.median))
    };
    format!(
        "| {title} | {}{given} | {} {} | {range} | {speed} | {} | {} | {} |\n",
        entry.program,
        figure(summary.median),
        work.unit,
        cpu(&entry.own_cpu_us),
        cpu(&entry.all_cpu_us),
        entry.fsyncs_per_job.map_or_else(String::new, figure),
    )
}

/// Three digits that count.
fn figure(value: f64) -> String {
    match value.abs() {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        1.0.. => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
