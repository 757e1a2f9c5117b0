//! Makes agents part of the build: those in `$GJOB_AGENTS_DIR` if it is set, else those
//! that `compile.rs` builds. None is no error.

mod compile;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// What an agent's file is called, before its platform.
const PREFIX: &str = "gjob-agent-";

/// The files of agents by platform, `OS-ARCH`.
type Agents = BTreeMap<String, PathBuf>;

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-env-changed=GJOB_AGENTS_DIR");
    println!("cargo::rerun-if-env-changed=RUSTC_WORKSPACE_WRAPPER");
    let out = PathBuf::from(variable("OUT_DIR")?);
    let agents = match env::var_os("GJOB_AGENTS_DIR") {
        Some(dir) if !dir.is_empty() => given(Path::new(&dir))?,
        // Clippy does not look into agents.
        _ if is_clippy() => Agents::new(),
        _ => compile::agents(&out)?,
    };
    let mut entries = String::new();
    for (platform, path) in &agents {
        entries += &entry(platform, &fs::read(path)?, &out)?;
    }
    fs::write(out.join("agents.rs"), format!("static AGENTS: &[Agent] = &[\n{entries}];\n"))
}

/// The agents in a directory.
fn given(dir: &Path) -> io::Result<Agents> {
    println!("cargo::rerun-if-changed={}", dir.display());
    let mut agents = Agents::new();
    for file in fs::read_dir(dir)? {
        let file = file?;
        if let Some(platform) = file.file_name().to_string_lossy().strip_prefix(PREFIX) {
            agents.insert(platform.to_owned(), file.path());
        }
    }
    Ok(agents)
}

fn is_clippy() -> bool {
    let wrapper = env::var_os("RUSTC_WORKSPACE_WRAPPER").unwrap_or_default();
    Path::new(&wrapper).file_stem().is_some_and(|name| name == "clippy-driver")
}

/// Compresses an agent; what the table says of it.
fn entry(platform: &str, program: &[u8], out: &Path) -> io::Result<String> {
    let compressed = out.join(format!("{PREFIX}{platform}.gz"));
    let file = fs::File::create(&compressed)?;
    let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::best());
    encoder.write_all(program)?;
    encoder.finish()?;
    let hash = blake3::hash(program);
    Ok(format!(
        "    Agent {{ platform: {platform:?}, gzip: include_bytes!({compressed:?}), \
         hash: {:?}, length: {} }},\n",
        hash.as_bytes(),
        program.len()
    ))
}

/// What cargo tells build scripts.
fn variable(name: &str) -> io::Result<String> {
    env::var(name).map_err(|error| io::Error::other(format!("{name}: {error}")))
}
