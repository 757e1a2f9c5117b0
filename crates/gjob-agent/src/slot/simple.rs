//! Scripts that are one simple command, which a shell would only pass on: they are started
//! without one. Whatever is not surely such a command is left to bash.

use std::ffi::{OsStr, OsString};
use std::fs::OpenOptions;
use std::io::Read as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, OFlags, access};

/// What bash runs itself, or does not take for a command: its builtins and keywords.
const OF_BASH: &str = " . : [ [[ ]] ! { } alias bg bind break builtin caller case cd command compgen complete \
    compopt continue coproc declare dirs disown do done echo elif else enable esac eval exec exit export \
    fc fg fi for function getopts hash help history if in jobs kill let local logout mapfile popd \
    printf pushd pwd read readarray readonly return select set shift shopt source suspend test then \
    time times trap type typeset ulimit umask unalias unset until wait while ";

/// Builtins which, without arguments, do what the programs of the same names do.
const SAME_AS_PROGRAM: [&[u8]; 2] = [b"true", b"false"];

/// Variables with which bash does more than it was told in the script, or which it sets
/// itself; those too that begin with its name.
const FOR_BASH: &str = " SHELLOPTS POSIXLY_CORRECT IFS OPTIND OPTERR OPTARG PS4 PPID UID EUID GROUPS LINENO RANDOM \
    SRANDOM SECONDS EPOCHSECONDS EPOCHREALTIME HISTCMD COMP_WORDBREAKS DIRSTACK FUNCNAME PIPESTATUS ";

/// The deepest nesting of shells that is counted; bash warns of deeper ones.
const MAX_SHELL_LEVEL: u32 = 900;

/// A command that needs no shell.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SimpleCommand {
    /// What is to be executed: with a slash, below the job's directory unless it is absolute.
    pub(super) program: PathBuf,
    /// Its words, the first one its name.
    pub(super) words: Vec<OsString>,
}

impl SimpleCommand {
    /// The command that a script is in a job's directory, with the PATH that it has there;
    /// none for what bash has to run.
    pub(super) fn of(script: &[u8], dir: &Path, path: &OsStr) -> Option<Self> {
        let words: Vec<OsString> = words(script)?.into_iter().map(OsString::from_vec).collect();
        let name = words.first()?;
        let program = match name.as_bytes().contains(&b'/') {
            true => PathBuf::from(name),
            false => find(name, path)?,
        };
        // Of a file that is neither, bash makes a script of its own.
        is_executable(&dir.join(&program)).then_some(SimpleCommand { program, words })
    }
}

/// True when a variable of the job's environment changes what bash does.
pub(super) fn is_for_bash(name: &OsStr) -> bool {
    let name = name.as_bytes();
    let mut known = FOR_BASH.split_ascii_whitespace().map(str::as_bytes);
    name.starts_with(b"BASH") || known.any(|known| known == name)
}

/// The nesting of shells that a command of a shell sees, from the one that the shell has seen;
/// none when bash has to say.
pub(super) fn shell_level(outer: Option<&OsStr>) -> Option<String> {
    let outer = match outer {
        None => 0,
        Some(level) => level.to_str()?.parse().ok()?,
    };
    (outer < MAX_SHELL_LEVEL).then(|| (outer + 1).to_string())
}

/// The words of a script that is one simple command without anything for a shell to do but
/// to take the quotes away.
fn words(script: &[u8]) -> Option<Vec<Vec<u8>>> {
    // A blank that a backslash keeps is missed by that.
    let end = script.iter().rposition(|byte| !b" \t\n".contains(byte))?;
    let mut rest = script[..=end].iter().copied();
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut is_first_plain = true;
    while let Some(byte) = rest.next() {
        match byte {
            b' ' | b'\t' => words.extend(word.take()),
            b'\'' | b'"' => {
                let word = word.get_or_insert_default();
                loop {
                    match rest.next()? {
                        end if end == byte => break,
                        b'\n' | 0 => return None,
                        b'$' | b'`' | b'\\' | b'!' if byte == b'"' => return None,
                        other => word.push(other),
                    }
                }
            }
            b'\\' => match rest.next()? {
                b'\n' | 0 => return None,
                other => word.get_or_insert_default().push(other),
            },
            b'=' if words.is_empty() => {
                // An assignment.
                is_first_plain = false;
            }
            _ if is_plain(byte) => word.get_or_insert_default().push(byte),
            _ => return None,
        }
    }
    words.extend(word);
    let name = words.first().filter(|name| !name.is_empty() && is_first_plain)?;
    let alone = words.len() == 1 && SAME_AS_PROGRAM.contains(&&name[..]);
    (alone || !is_of_bash(name)).then_some(words)
}

/// True for a byte that stands for itself wherever it is in a word.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_/.,:+@%-=".contains(&byte)
}

fn is_of_bash(name: &[u8]) -> bool {
    let mut of_bash = OF_BASH.split_ascii_whitespace().map(str::as_bytes);
    of_bash.any(|known| known == name) || SAME_AS_PROGRAM.contains(&name)
}

/// The first executable file of that name in the directories of a PATH; none when one of them
/// before it is relative.
fn find(name: &OsStr, path: &OsStr) -> Option<PathBuf> {
    for dir in std::env::split_paths(path) {
        if !dir.is_absolute() {
            return None;
        }
        let program = dir.join(name);
        if access(&program, Access::EXEC_OK).is_ok() && program.is_file() {
            return Some(program);
        }
    }
    None
}

/// True for a program, or a script that names its interpreter. What is no file of a disk is
/// not opened: that could wait, or have an effect.
fn is_executable(program: &Path) -> bool {
    if program.starts_with("/proc") || program.starts_with("/dev") || !program.is_file() {
        return false;
    }
    let mut begin = [0; 4];
    // It may be another file by now, such as a pipe.
    let flags = OFlags::NONBLOCK.union(OFlags::NOCTTY).bits() as i32;
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(program);
    let read = opened.and_then(|mut file| file.read(&mut begin));
    read.is_ok_and(|length| {
        begin[..length].starts_with(b"\x7fELF") || begin[..length].starts_with(b"#!")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(script: &str) -> Option<Vec<String>> {
        let words = words(script.as_bytes())?;
        Some(words.into_iter().map(|word| String::from_utf8(word).unwrap()).collect())
    }

    #[test]
    fn simple_command_is_split_as_bash_does() {
        let scripts = [
            "sleep 1\n",
            "  /bin/ls\t-l  --color=never \n",
            "./fit --lr=0.1 'a b' \"c d\" e\\ f",
            "prog '' x''y \"it's\" 'a$b`c\\d' -- %1 @x,y:z",
            "'/bin/echo' a'b'\"c\"d",
            "true",
            "seq 1 3 \n\n",
        ];
        for script in scripts {
            let out = std::process::Command::new("bash")
                .args(["-c", &format!("printf '%s\\0' {}", script.trim_ascii())])
                .output()
                .unwrap();
            let words = out.stdout.strip_suffix(b"\0").unwrap().split(|byte| *byte == 0);
            let expected: Vec<String> =
                words.map(|word| String::from_utf8(word.to_vec()).unwrap()).collect();
            assert_eq!(plain(script), Some(expected), "{script:?}");
        }
    }

    #[test]
    fn everything_else_is_for_bash() {
        let scripts = [
            "",
            "\n",
            "a; b",
            "a\nb",
            "a & ",
            "a | b",
            "a > f",
            "a $x",
            "a `b`",
            "a *",
            "a b?",
            "a [b]",
            "a ~",
            "a x=~",
            "a {b,c}",
            "x=1",
            "x=1 a",
            "a #b",
            "# a",
            "!a",
            "! a",
            "(a)",
            "cd /",
            "echo",
            ". ./f",
            "time a",
            "true x",
            "'if' a",
            "\"cd\" /",
            "a \"$x\"",
            "a \"`b`\"",
            "a 'b",
            "a \"b",
            "a \\",
            "a\\\nb",
            "a 'b\nc'",
            "''",
            "'' a",
            "a^b",
            "é",
            "exec a",
            "a <<x",
        ];
        for script in scripts {
            assert_eq!(plain(script), None, "{script:?}");
        }
    }

    #[test]
    fn builtins_and_keywords_of_this_bash_are_known() {
        let out =
            std::process::Command::new("bash").args(["-c", "compgen -b; compgen -k"]).output();
        let out = String::from_utf8(out.unwrap().stdout).unwrap();
        let unknown: Vec<&str> = out.lines().filter(|name| !is_of_bash(name.as_bytes())).collect();
        assert_eq!(unknown, [""; 0]);
    }

    #[test]
    fn program_is_the_one_that_bash_would_find() {
        let dir = tempfile::tempdir().unwrap();
        let of = |script: &str, path: &str| {
            let found = SimpleCommand::of(script.as_bytes(), dir.path(), OsStr::new(path))?;
            Some(found.program.to_str().unwrap().to_owned())
        };
        let put = |name: &str, content: &str, mode: u32| {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::write(dir.path().join(name), content).unwrap();
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(dir.path().join(name), mode).unwrap();
        };
        let here = dir.path().to_str().unwrap();
        assert_eq!(of("sleep 1", "/nowhere:/bin").as_deref(), Some("/bin/sleep"));
        assert_eq!(of("sleep 1", "bin:/bin"), None);
        assert_eq!(of("sleep 1", ":/bin"), None);
        assert_eq!(of("no-such-program 1", "/bin"), None);
        put("sleep", "#!/bin/sh\n", 0o700);
        assert_eq!(of("sleep 1", &format!("{here}:/bin")), Some(format!("{here}/sleep")));
        assert_eq!(of("./sleep 1", "/bin").as_deref(), Some("./sleep"));
        put("sleep", "#!/bin/sh\n", 0o600);
        assert_eq!(of("sleep 1", &format!("{here}:/bin")).as_deref(), Some("/bin/sleep"));
        // Without an interpreter, it is bash's.
        // What cannot be looked at without waiting for somebody is not.
        let fifo = rustix::fs::Mode::from_raw_mode(0o700);
        rustix::fs::mkfifoat(rustix::fs::CWD, dir.path().join("fifo"), fifo).unwrap();
        for odd in ["./fifo", "/proc/self/fd/0", "/proc/self/exe", "/dev/stdin"] {
            assert_eq!(of(odd, "/bin"), None, "{odd}");
        }
        put("sleep", "exit 7\n", 0o700);
        assert_eq!(of("sleep 1", &format!("{here}:/bin")), None);
        assert_eq!(of("./missing", "/bin"), None);
    }

    #[test]
    fn variables_that_are_bashs_own_are_known() {
        for name in ["BASH_ENV", "BASH_FUNC_f%%", "BASHPID", "IFS", "RANDOM"] {
            assert!(is_for_bash(OsStr::new(name)), "{name}");
        }
        assert!(!is_for_bash(OsStr::new("PATH")) && !is_for_bash(OsStr::new("IFS_")));
    }

    #[test]
    fn shell_level_is_one_more() {
        assert_eq!(shell_level(None).as_deref(), Some("1"));
        assert_eq!(shell_level(Some(OsStr::new("3"))).as_deref(), Some("4"));
        assert_eq!(shell_level(Some(OsStr::new("x"))), None);
        assert_eq!(shell_level(Some(OsStr::new("999"))), None);
    }
}
