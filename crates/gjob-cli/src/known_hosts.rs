//! Names of hosts that the user's files hold: ssh's configuration and the keys of hosts that
//! were logged in to. They are suggestions only.

use std::path::{Path, PathBuf};

/// The user's own configuration of ssh.
pub(crate) fn ssh_config() -> PathBuf {
    ssh_file("config")
}

/// The hosts that a configuration of ssh names, without patterns.
pub(crate) fn of_ssh_config(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let names = text.lines().filter_map(|line| {
        let (word, names) = line.trim().split_once([' ', '\t', '='])?;
        word.eq_ignore_ascii_case("host").then_some(names)
    });
    let names = names.flat_map(str::split_whitespace);
    names.filter(|name| !name.contains(['*', '?', '!'])).map(str::to_owned).collect()
}

/// The hosts whose keys are known, as far as their names are readable.
pub(crate) fn with_keys() -> Vec<String> {
    names_with_keys(&std::fs::read_to_string(ssh_file("known_hosts")).unwrap_or_default())
}

/// `name,other ssh-ed25519 …`, `[name]:port …`; hashed names begin with a bar.
fn names_with_keys(text: &str) -> Vec<String> {
    let first = text.lines().filter_map(|line| line.split_whitespace().next());
    let names =
        first.filter(|names| !names.starts_with(['#', '@', '|'])).flat_map(|it| it.split(','));
    let plain = |name: &str| match name.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default().to_owned(),
        None => name.to_owned(),
    };
    names.filter(|name| !name.contains(['*', '?', '!'])).map(plain).collect()
}

fn ssh_file(name: &str) -> PathBuf {
    std::env::home_dir().unwrap_or_default().join(".ssh").join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_keys_are_those_that_are_readable() {
        let text = "# mine\nh1,10.0.0.1 ssh-ed25519 A\n[h2]:2222 ssh-rsa B\n|1|abc|def ssh-rsa C\n\
                    @revoked h3 ssh-rsa D\n*.lab ssh-rsa E\n";
        assert_eq!(names_with_keys(text), ["h1", "10.0.0.1", "h2"]);
    }
}
