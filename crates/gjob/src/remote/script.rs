//! What a far shell is fed. Data stands in it in single quotes, and nowhere else.

use super::RemoteError;

/// A line of ours, before which there may be a host's noise.
const MARK: &str = "gjob-remote-ready";

/// A script that runs `commands` and stops at the first that fails. They are
/// read whole before they run, and have no stdin: neither can eat the other.
pub(super) fn commands(commands: &str) -> Result<String, RemoteError> {
    let quoted = quote(commands)?;
    Ok(format!("printf '\\n%s\\n' {MARK}\nset -e\neval {quoted} </dev/null\n"))
}

/// A script that says that it is ready, and writes `size` bytes that follow to
/// the file `path`.
pub(super) fn write(path: &str, size: usize) -> Result<String, RemoteError> {
    let path = quote(path)?;
    Ok(format!(
        "{{ path={path}\n\
         printf '\\n%s\\n' {MARK}\n\
         cat >\"$path\" || exit\n\
         if [ -f \"$path\" ] && [ \"$(wc -c <\"$path\")\" -ne {size} ]; then\n\
         echo \"$path: not all of it arrived\" >&2\n\
         exit 1\n\
         fi\n\
         exit 0; }}\n"
    ))
}

/// True for the line behind which the answer is.
pub(super) fn is_marker(line: &[u8]) -> bool {
    line.trim_ascii_end() == MARK.as_bytes()
}

/// What follows the marker; before it are a login shell's start-up files.
pub(super) fn behind_marker(output: &[u8]) -> Result<Vec<u8>, RemoteError> {
    let mut start = 0;
    for line in output.split_inclusive(|byte| *byte == b'\n') {
        start += line.len();
        if is_marker(line) {
            return Ok(output[start..].to_vec());
        }
    }
    Err(RemoteError::NoShell)
}

/// A directory as scp is told it.
pub(super) fn directory(path: &str) -> String {
    match path {
        "" => "./".to_owned(),
        path if path.ends_with('/') => path.to_owned(),
        path => format!("{path}/"),
    }
}

/// `text` as one word of a POSIX shell.
pub(super) fn quote(text: &str) -> Result<String, RemoteError> {
    if text.contains('\0') {
        return Err(RemoteError::Nul);
    }
    Ok(format!("'{}'", text.replace('\'', r"'\''")))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::remote::run;

    /// The shells of this machine.
    fn shells() -> Vec<Command> {
        [&["sh"][..], &["bash", "--posix"], &["busybox", "sh"]]
            .iter()
            .filter(|shell| Command::new(shell[0]).arg("--help").output().is_ok())
            .map(|shell| {
                let mut command = Command::new(shell[0]);
                command.args(&shell[1..]);
                command
            })
            .collect()
    }

    #[test]
    fn commands_run_in_order_in_one_shell_without_stdin() {
        let script = commands("cd /\nx='a b'\ncat\nif true\nthen pwd\nfi\necho \"$x\"").unwrap();
        for mut shell in shells() {
            let output = run::run(&mut shell, script.as_bytes(), false).unwrap();
            assert_eq!(behind_marker(&output).unwrap(), b"/\na b\n", "{shell:?}");
        }
    }

    #[test]
    fn the_first_command_that_fails_is_the_last() {
        let script = commands("echo one\n(exit 7)\necho two").unwrap();
        for mut shell in shells() {
            let error = run::run(&mut shell, script.as_bytes(), false).unwrap_err();
            assert!(error.to_string().contains("exit status: 7"), "{error}");
        }
    }

    #[test]
    fn contents_are_written_byte_for_byte_to_a_path_that_is_data() {
        let dir = tempfile::tempdir().unwrap();
        let contents: Vec<u8> = (0..200_000u32).map(|i| (i * 7) as u8).collect();
        for name in ["plain", "a b", "it's", "$(touch x)", "-n", "größe\"\n*", "~"] {
            for mut shell in shells() {
                let script = write(name, contents.len()).unwrap();
                run::converse(shell.current_dir(&dir), &script, &contents, false).unwrap();
                assert_eq!(std::fs::read(dir.path().join(name)).unwrap(), contents);
            }
        }
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 7);
    }

    #[test]
    fn contents_cut_short_or_a_path_that_cannot_be_written_are_failures() {
        let dir = tempfile::tempdir().unwrap();
        for mut shell in shells() {
            let script = write("f", 10).unwrap();
            let short = run::converse(shell.current_dir(&dir), &script, b"123", false);
            assert!(short.unwrap_err().to_string().contains("not all of it"));
            let script = write("/no/such/dir/f", 1).unwrap();
            assert!(run::converse(&mut shell, &script, b"1", false).is_err());
        }
    }

    #[test]
    fn noise_before_the_marker_is_no_output() {
        let output = format!("motd\nmore\n{MARK}\nout\n").into_bytes();
        assert_eq!(behind_marker(&output).unwrap(), b"out\n");
        assert!(behind_marker(b"This account is closed\n").is_err());
    }
}
