//! Makes the slim agents part of the build: those that `make agents` left in
//! `$GJOB_AGENTS_DIR`, else in the workspace's `target/agents`. None is no error.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// What an agent's file is called, before its platform.
const PREFIX: &str = "gjob-agent-";

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-env-changed=GJOB_AGENTS_DIR");
    println!("cargo::rerun-if-changed=build.rs");
    let dir = agents_dir();
    let mut entries = String::new();
    if dir.is_dir() {
        println!("cargo::rerun-if-changed={}", dir.display());
        for agent in agents(&dir)? {
            let platform = agent.file_name().unwrap_or_default().to_string_lossy();
            let platform = platform.trim_start_matches(PREFIX);
            entries += &format!("    ({platform:?}, include_bytes!({agent:?})),\n");
        }
    }
    let table = format!("static AGENTS: &[(&str, &[u8])] = &[\n{entries}];\n");
    let out = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("no OUT_DIR"))?;
    fs::write(Path::new(&out).join("agents.rs"), table)
}

fn agents_dir() -> PathBuf {
    match env::var_os("GJOB_AGENTS_DIR") {
        Some(dir) if !dir.is_empty() => dir.into(),
        _ => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/agents"),
    }
}

/// The agents' files, in the order of their names.
fn agents(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut agents: Vec<PathBuf> = fs::read_dir(dir)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<_>>()?;
    agents.retain(|path| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX))
    });
    agents.sort();
    Ok(agents)
}
