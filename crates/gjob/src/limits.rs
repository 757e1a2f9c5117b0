//! What people write of a host's limits.

use gjob_core::hosts::{HostLimits, LoadLimitError, MAX_NICE};

use crate::units::{ParseDurationError, ParseSizeError, parse_duration, parse_size};

/// The names of the limits, as options and files have them.
pub const LIMITS: [&str; 5] = ["min-free", "load", "nice", "delay", "oversubscribe"];

/// A limit that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LimitError {
    /// Of `min-free`.
    #[error(transparent)]
    Size(#[from] ParseSizeError),
    /// Of `load`.
    #[error(transparent)]
    Load(#[from] LoadLimitError),
    /// Of `nice`.
    #[error("invalid niceness {0:?}: expected a number from 0 to {MAX_NICE}")]
    Nice(String),
    /// Of `delay`.
    #[error(transparent)]
    Delay(#[from] ParseDurationError),
    /// Of `oversubscribe`.
    #[error("invalid value {0:?}: expected true or false")]
    Switch(String),
}

/// Sets the limit of that name.
///
/// # Errors
/// When the text is no such limit.
pub fn set_limit(limits: &mut HostLimits, name: &str, text: &str) -> Result<(), LimitError> {
    match name {
        "min-free" => limits.min_free = Some(parse_size(text)?),
        "load" => limits.load = Some(text.parse()?),
        "nice" => {
            let nice = text.parse().ok().filter(|nice| *nice <= MAX_NICE);
            limits.nice = Some(nice.ok_or_else(|| LimitError::Nice(text.to_owned()))?);
        }
        "delay" => limits.delay = Some(parse_duration(text)?),
        _ => {
            let switch = text.parse().map_err(|_| LimitError::Switch(text.to_owned()))?;
            limits.oversubscribe = Some(switch);
        }
    }
    Ok(())
}
