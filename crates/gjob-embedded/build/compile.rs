//! Builds agents with the toolchain that is there: for the platform of this build and,
//! unless it is a debug build, for those whose musl target is installed.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs, io};

use crate::{Agents, variable};

/// The other platforms, if they can be built for.
const ARCHITECTURES: [&str; 2] = ["aarch64", "x86_64"];

/// Packed relative relocations take less room (static programs apply them themselves), and
/// identical functions are merged. Not all linkers can do it, nor all C libraries.
const SMALLER: [&str; 2] = ["--pack-dyn-relocs=relr", "--icf=all"];

/// An agent to be built.
struct Wanted {
    platform: String,
    target: String,
    /// Whether it can be run on this machine.
    is_own: bool,
}

/// Builds what can be built. What cannot is named in a warning.
pub(crate) fn agents(out: &Path) -> io::Result<Agents> {
    let sources = PathBuf::from(variable("CARGO_MANIFEST_DIR")?).join("..");
    watch(&sources);
    let mut agents = Agents::new();
    for wanted in wanted()? {
        match build(&wanted, &sources, out) {
            Ok(agent) => _ = agents.insert(wanted.platform, agent),
            Err(why) => println!(
                "cargo::warning=gjob will be without an agent for {}: {why}",
                wanted.platform
            ),
        }
    }
    Ok(agents)
}

/// Has cargo run this script again when the sources of agents have changed, or other targets
/// are installed.
fn watch(sources: &Path) {
    let of_packages = ["gjob-agent", "gjob-core"].map(|package| sources.join(package));
    let files = of_packages.iter().flat_map(|dir| [dir.join("src"), dir.join("Cargo.toml")]);
    let of_workspace = ["../Cargo.toml", "../Cargo.lock"].map(|file| sources.join(file));
    let targets = rustc(&["--print", "sysroot"])
        .map(|sysroot| Path::new(&sysroot).join("lib/rustlib/components"));
    // Cargo takes a file that is missing for one that has changed.
    for path in files.chain(of_workspace).chain(targets).filter(|path| path.exists()) {
        println!("cargo::rerun-if-changed={}", path.display());
    }
}

/// For each platform the musl target if it is installed, since programs for it are smaller;
/// for the own one at least the target of this build.
fn wanted() -> io::Result<Vec<Wanted>> {
    let (target, host) = (variable("TARGET")?, variable("HOST")?);
    let own = variable("CARGO_CFG_TARGET_ARCH")?;
    let is_linux = variable("CARGO_CFG_TARGET_OS")? == "linux";
    let others = ARCHITECTURES.into_iter().filter(|arch| *arch != own || !is_linux);
    let others = others.filter(|_| !is_debug()).map(|arch| (arch, None));
    let all = others.chain(is_linux.then_some((own.as_str(), Some(&target))));
    let wanted = all.filter_map(|(arch, otherwise)| {
        let musl = format!("{arch}-unknown-linux-musl");
        let target = if is_installed(&musl) { musl } else { otherwise?.clone() };
        let is_own = otherwise.is_some_and(|own| *own == host);
        Some(Wanted { platform: format!("linux-{arch}"), target, is_own })
    });
    Ok(wanted.collect())
}

fn is_debug() -> bool {
    env::var("PROFILE").is_ok_and(|profile| profile == "debug")
}

fn is_installed(target: &str) -> bool {
    rustc(&["--print", "target-libdir", "--target", target])
        .is_some_and(|dir| Path::new(&dir).is_dir())
}

/// What rustc answers, if it does.
fn rustc(args: &[&str]) -> Option<String> {
    let output = Command::new(env::var_os("RUSTC")?).args(args).output().ok()?;
    let answer = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| answer.trim().to_owned())
}

/// Builds one that runs, as small as can be; or says why there is none.
fn build(wanted: &Wanted, sources: &Path, out: &Path) -> Result<PathBuf, String> {
    let smaller = build_with(wanted, &SMALLER, sources, out).and_then(|agent| tried(wanted, agent));
    smaller
        .or_else(|_| build_with(wanted, &[], sources, out).and_then(|agent| tried(wanted, agent)))
}

fn build_with(
    wanted: &Wanted,
    link_args: &[&str],
    sources: &Path,
    out: &Path,
) -> Result<PathBuf, String> {
    // Below a directory of its own, of which no other cargo holds the lock.
    let target_dir = out.join("target");
    let log = out.join(format!("{}.log", wanted.target));
    let profile = if is_debug() { "agent-dev" } else { "agent" };
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args(["rustc", "--locked", "--package", "gjob-agent", "--bin", "gjob-agent"])
        .args(["--profile", profile, "--target", &wanted.target])
        .arg("--manifest-path")
        .arg(sources.join("gjob-agent/Cargo.toml"))
        .arg("--target-dir")
        .arg(&target_dir)
        .arg("--");
    // Nothing in an agent is C, so rustc's own linker will do where it is told all.
    let is_musl = wanted.target.ends_with("-musl");
    if is_musl {
        let target = wanted.target.to_uppercase().replace('-', "_");
        cargo.env(format!("CARGO_TARGET_{target}_LINKER"), "rust-lld");
    }
    let through_cc = if is_musl { "" } else { "-Wl," };
    cargo.args(link_args.iter().map(|arg| format!("-Clink-arg={through_cc}{arg}")));
    // Flags for this machine, such as its processor, are not for the hosts.
    cargo.env("CARGO_ENCODED_RUSTFLAGS", "-Ctarget-feature=+crt-static");
    cargo.env("CARGO_BUILD_BUILD_DIR", &target_dir);
    cargo.env_remove("RUSTC_WORKSPACE_WRAPPER");
    let stderr = File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
    let status = cargo.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).status();
    if status.map_err(|error| format!("cargo: {error}"))?.success() {
        return Ok(target_dir.join(&wanted.target).join(profile).join("gjob-agent"));
    }
    let said = fs::read_to_string(&log).unwrap_or_default();
    let error = said.lines().find(|line| line.starts_with("error")).unwrap_or_default();
    Err(format!("{error} (see {}; a static libc, as in libc6-dev, may be missing)", log.display()))
}

/// The agent, if it runs; one for another machine is taken unseen.
fn tried(wanted: &Wanted, agent: PathBuf) -> Result<PathBuf, String> {
    if !wanted.is_own {
        return Ok(agent);
    }
    let answer = Command::new(&agent).args(["agent", "--protocol"]).output();
    match answer {
        Ok(answer) if answer.status.success() => Ok(agent),
        Ok(answer) => Err(format!("{} does not run: {}", agent.display(), answer.status)),
        Err(error) => Err(format!("{} does not run: {error}", agent.display())),
    }
}
