//! An operating system and an architecture, by Rust's names for them.

use gjob_core::text::excerpt;
use std::fmt;
use std::str::FromStr;

/// What a program is built for; written `OS-ARCH`, such as `linux-x86_64`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Platform {
    os: String,
    arch: String,
}

/// A text that names no platform.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid platform {found:?}: expected OS-ARCH, such as linux-x86_64 or linux-aarch64")]
pub struct ParsePlatformError {
    found: String,
}

impl Platform {
    /// That of this process.
    #[must_use]
    pub fn own() -> Self {
        Platform { os: std::env::consts::OS.to_owned(), arch: std::env::consts::ARCH.to_owned() }
    }

    /// From what `uname -s -m` prints there, such as `Linux aarch64`.
    ///
    /// # Errors
    /// When it is not two words of a name's characters.
    pub fn from_uname(printed: &str) -> Result<Self, ParsePlatformError> {
        let words = printed.to_ascii_lowercase();
        let (system, machine) = words.split_once(' ').unwrap_or((&words, ""));
        let os = match system {
            "darwin" => "macos",
            other => other,
        };
        let arch = match machine {
            "amd64" => "x86_64",
            "arm64" | "armv8l" => "aarch64",
            "i386" | "i486" | "i586" | "i686" => "x86",
            "armv6l" | "armv7l" => "arm",
            other => other,
        };
        format!("{os}-{arch}").parse()
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.os, self.arch)
    }
}

impl FromStr for Platform {
    type Err = ParsePlatformError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_name = |part: &str| {
            (1..=32).contains(&part.len())
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        };
        match text.split_once('-') {
            Some((os, arch)) if is_name(os) && is_name(arch) => {
                Ok(Platform { os: os.to_owned(), arch: arch.to_owned() })
            }
            _ => Err(ParsePlatformError { found: excerpt(text) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_uname_prints_is_named_as_rust_names_it() {
        for (printed, name) in [
            ("Linux x86_64", "linux-x86_64"),
            ("Linux aarch64", "linux-aarch64"),
            ("Darwin arm64", "macos-aarch64"),
            ("FreeBSD amd64", "freebsd-x86_64"),
        ] {
            assert_eq!(Platform::from_uname(printed).unwrap().to_string(), name);
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for bad in ["", "linux", "linux-", "-x86_64", "a/b-c", "linux-x86-64", "a b-c"] {
            assert!(bad.parse::<Platform>().is_err(), "{bad:?}");
        }
        assert!(Platform::from_uname("Linux x86_64 ; rm").is_err());
    }
}
