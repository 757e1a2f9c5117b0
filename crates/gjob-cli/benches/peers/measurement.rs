//! One measurement: commands that are started together, waited for and looked at.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use super::field::{Field, Place};
use super::peer::Peer;
use super::work::Load;

/// How a program does a work.
pub(crate) struct Plan {
    /// The jobs it is given: fewer than the work's where it would take minutes.
    pub(crate) given: usize,
    /// What is run before, one after the other, and is not measured.
    pub(crate) before: Vec<Command>,
    /// What is measured, all at once.
    pub(crate) commands: Vec<Command>,
    /// What is run after, and is not measured.
    pub(crate) after: Vec<Command>,
}

impl Plan {
    pub(crate) fn new(given: usize, commands: Vec<Command>) -> Self {
        Self { given, before: Vec::new(), commands, after: Vec::new() }
    }
}

/// What a work took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// The jobs that the work consists of.
    pub(crate) jobs: usize,
    /// The jobs that were run.
    pub(crate) given: usize,
    pub(crate) seconds: f64,
    /// CPU seconds of the commands' own processes.
    pub(crate) own_cpu: f64,
    /// The same with the children that they waited for, such as their sshs.
    pub(crate) all_cpu: f64,
}

/// Measures a program with a work, in fresh directories.
pub(crate) fn measure(field: &Field, peer: &dyn Peer, load: &Load) -> Result<Cost> {
    let place = field.fresh_place()?;
    let plan = peer.plan(&place, load)?;
    let given = plan.given;
    let servers_before = cpu_time_of(&peer.servers())?;
    let cost = run(plan, &place, load.jobs());
    place.remove_large_files(load)?;
    let cost = cost?;
    peer.check(given)?;
    let servers = cpu_time_of(&peer.servers())? - servers_before;
    Ok(Cost { own_cpu: cost.own_cpu + servers, all_cpu: cost.all_cpu + servers, ..cost })
}

/// Durable writes per job, in a run of its own that strace slows down.
pub(crate) fn count_fsyncs(field: &Field, peer: &dyn Peer, load: &Load) -> Result<f64> {
    let place = field.fresh_place()?;
    let mut plan = peer.plan(&place, load)?;
    let trace = |(number, command): (usize, &Command)| {
        let mut traced = Command::new("strace");
        traced.args(["-f", "-qq", "-e", "trace=fsync,fdatasync", "-o"]);
        traced.arg(place.dir().join(format!("trace-{number}")));
        traced.arg(command.get_program()).args(command.get_args());
        traced.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.get_current_dir().map(|dir| traced.current_dir(dir));
        traced
    };
    plan.commands = plan.commands.iter().enumerate().map(trace).collect();
    let traces = plan.commands.len();
    let given = plan.given;
    run(plan, &place, load.jobs())?;
    let mut calls = 0;
    for number in 0..traces {
        let text = fs::read_to_string(place.dir().join(format!("trace-{number}")))?;
        // A call that another thread's interrupts is on two lines, one with the parenthesis.
        calls += text.lines().filter(|line| line.contains("sync(")).count();
    }
    Ok(calls as f64 / given as f64)
}

fn run(plan: Plan, place: &Place<'_>, jobs: usize) -> Result<Cost> {
    for (number, command) in plan.before.into_iter().enumerate() {
        let output = place.dir().join(format!("before-{number}"));
        finish(start(command, &output)?, &output)?;
    }
    let outputs: Vec<_> = (0..plan.commands.len())
        .map(|number| place.dir().join(format!("output-{number}")))
        .collect();
    let began = Instant::now();
    let mut children = Vec::new();
    for (command, output) in plan.commands.into_iter().zip(&outputs) {
        children.push(start(command, output)?);
    }
    let mut cpus = Vec::new();
    for child in &children {
        cpus.push(wait_for_cpu_time(child)?);
    }
    let seconds = began.elapsed().as_secs_f64();
    for (child, output) in children.into_iter().zip(&outputs) {
        finish(child, output)?;
    }
    for (number, command) in plan.after.into_iter().enumerate() {
        let output = place.dir().join(format!("after-{number}"));
        finish(start(command, &output)?, &output)?;
    }
    let own_cpu = cpus.iter().map(|(own, _)| own).sum();
    let all_cpu = cpus.iter().map(|(own, children)| own + children).sum();
    Ok(Cost { jobs, given: plan.given, seconds, own_cpu, all_cpu })
}

fn start(mut command: Command, output: &Path) -> Result<Child> {
    let file = File::create(output)?;
    command.stdout(file.try_clone()?).stderr(file);
    command.spawn().with_context(|| format!("starting {command:?}"))
}

fn finish(mut child: Child, output: &Path) -> Result<()> {
    let status = child.wait()?;
    if !status.success() {
        let text = fs::read(output)?;
        bail!("{status}\n{}", String::from_utf8_lossy(&text));
    }
    Ok(())
}

/// Waits for the end of a process and says its CPU seconds: its own, and those of the
/// children that it has waited for. Its entry stays until it is reaped.
fn wait_for_cpu_time(child: &Child) -> Result<(f64, f64)> {
    let pid = Pid::from_child(child);
    waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)?;
    read_cpu_time(child.id())
}

/// The CPU seconds that these living processes have used so far.
fn cpu_time_of(pids: &[u32]) -> Result<f64> {
    pids.iter().map(|&pid| Ok(read_cpu_time(pid)?.0)).sum()
}

fn read_cpu_time(pid: u32) -> Result<(f64, f64)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    cpu_time(&stat).with_context(|| format!("unexpected /proc/PID/stat: {stat}"))
}

/// See proc(5): utime, stime, cutime and cstime are 14 to 17.
pub(crate) fn cpu_time(stat: &str) -> Option<(f64, f64)> {
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks: Vec<u64> =
        fields.split_whitespace().skip(11).take(4).filter_map(|field| field.parse().ok()).collect();
    let [user, system, child_user, child_system] = ticks[..] else { return None };
    let seconds = |ticks: u64| ticks as f64 / rustix::param::clock_ticks_per_second() as f64;
    Some((seconds(user + system), seconds(child_user + child_system)))
}
