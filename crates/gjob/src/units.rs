//! Durations and sizes in the forms that people write and read.

use std::time::Duration;

use gjob_core::text::excerpt;
use jiff::fmt::friendly::SpanParser;
use jiff::{SignedDuration, SpanRelativeTo};

/// A text that is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseDurationError {
    /// In none of the forms that are understood.
    #[error("invalid duration {0:?}: expected seconds (90) or units (500ms, 1h30m, 2d)")]
    Malformed(String),
    /// Below zero.
    #[error("invalid duration {0:?}: expected 0 or more")]
    Negative(String),
    /// Zero where it makes no sense.
    #[error("invalid duration {0:?}: expected more than 0")]
    Zero(String),
}

/// A text that is not a size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseSizeError {
    /// In none of the forms that are understood.
    #[error("invalid size {0:?}: expected bytes (4096) or units (500M, 1.5G, 2T)")]
    Malformed(String),
    /// More bytes than 64 bits can count.
    #[error("invalid size {0:?}: expected less than 16384P")]
    TooLarge(String),
}

/// Reads a duration: a bare number counts seconds, `1h30m`, `12.5s`, `500ms`,
/// `2d` are understood, and so are the units' long names. A day has 24 hours.
///
/// # Errors
/// When the text is not such a duration.
pub fn parse_duration(text: &str) -> Result<Duration, ParseDurationError> {
    let found = || excerpt(text);
    let malformed = || ParseDurationError::Malformed(found());
    let trimmed = text.trim();
    let is_bare = trimmed.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let span = if is_bare {
        SpanParser::new().parse_span(format!("{trimmed}s"))
    } else {
        SpanParser::new().parse_span(trimmed)
    };
    let signed = span
        .and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()))
        .map_err(|_| malformed())?;
    if signed < SignedDuration::ZERO {
        return Err(ParseDurationError::Negative(found()));
    }
    Duration::try_from(signed).map_err(|_| malformed())
}

/// Reads a duration as [`parse_duration`] does, but refuses zero.
///
/// # Errors
/// When the text is not a duration above zero.
pub fn parse_duration_above_zero(text: &str) -> Result<Duration, ParseDurationError> {
    let duration = parse_duration(text)?;
    if duration.is_zero() {
        return Err(ParseDurationError::Zero(excerpt(text)));
    }
    Ok(duration)
}

/// Formats a duration as its two largest parts: `2d3h`, `1h30m`, `5m12s`, `12.3s`,
/// `45ms`. It is rounded to the smaller one.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let rounded = rounded(duration);
    let (seconds, millis) = (rounded.as_secs(), rounded.subsec_millis());
    match seconds {
        0 if duration.is_zero() => "0s".to_owned(),
        0 if millis == 0 => "<1ms".to_owned(),
        0 => format!("{millis}ms"),
        1..60 if millis == 0 => format!("{seconds}s"),
        1..60 => format!("{seconds}.{}s", millis / 100),
        60..3600 => pair(seconds / 60, "m", seconds % 60, "s"),
        3600..86_400 => pair(seconds / 3600, "h", seconds / 60 % 60, "m"),
        _ => pair(seconds / 86_400, "d", seconds / 3600 % 24, "h"),
    }
}

/// To the unit that is shown last of it.
fn rounded(duration: Duration) -> Duration {
    let unit = match duration.as_secs() {
        0 => Duration::from_millis(1),
        1..60 => Duration::from_millis(100),
        60..3600 => Duration::from_secs(1),
        3600..86_400 => Duration::from_secs(60),
        _ => Duration::from_secs(3600),
    };
    let units = (duration + unit / 2).as_nanos() / unit.as_nanos();
    unit.saturating_mul(u32::try_from(units).unwrap_or(u32::MAX))
}

fn pair(large: u64, large_unit: &str, small: u64, small_unit: &str) -> String {
    match small {
        0 => format!("{large}{large_unit}"),
        _ => format!("{large}{large_unit}{small}{small_unit}"),
    }
}

/// Reads a size in bytes: `4096`, `500M`, `1.5G`. `K`, `M`, `G`, `T`, `P`, also
/// with `iB`, are powers of 1024, and `KB`, `MB` … powers of 1000. A fraction
/// of a byte is cut off.
///
/// # Errors
/// When the text is not such a size, or does not fit into 64 bits.
pub fn parse_size(text: &str) -> Result<u64, ParseSizeError> {
    let found = || excerpt(text);
    let malformed = || ParseSizeError::Malformed(found());
    let trimmed = text.trim();
    let unit_at = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(unit_at);
    let unit = unit_bytes(unit.trim_start()).ok_or_else(malformed)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let is_number = !whole.is_empty() && (1..=12).contains(&fraction.len());
    if !is_number || fraction.contains('.') {
        return Err(malformed());
    }
    let too_large = || ParseSizeError::TooLarge(found());
    let whole: u64 = whole.parse().map_err(|_| too_large())?;
    let fraction_digits = fraction.len() as u32;
    let fraction: u64 = fraction.parse().map_err(|_| malformed())?;
    let bytes = u128::from(whole) * u128::from(unit)
        + u128::from(fraction) * u128::from(unit) / 10u128.pow(fraction_digits);
    u64::try_from(bytes).map_err(|_| too_large())
}

/// Formats a size exactly, in the largest unit that divides it: `8G`, `1536M`, `1000`.
#[must_use]
pub fn format_size(bytes: u64) -> String {
    let power = (1..=5).rev().find(|power| bytes > 0 && bytes.is_multiple_of(1024u64.pow(*power)));
    match power {
        Some(power) => format!("{}{}", bytes / 1024u64.pow(power), UNITS[power as usize - 1]),
        None => bytes.to_string(),
    }
}

/// The units of a size, each 1024 times the one before.
const UNITS: [char; 5] = ['K', 'M', 'G', 'T', 'P'];

fn unit_bytes(unit: &str) -> Option<u64> {
    if matches!(unit, "" | "B") {
        return Some(1);
    }
    let mut letters = unit.chars();
    let letter = letters.next()?.to_ascii_uppercase();
    let power = 1 + UNITS.iter().position(|unit| *unit == letter)? as u32;
    match letters.as_str() {
        "" | "i" | "iB" => Some(1024u64.pow(power)),
        "B" => Some(1000u64.pow(power)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duration_is_parsed() {
        let cases = [
            ("90", 90_000),
            ("0", 0),
            ("1.5", 1500),
            ("90s", 90_000),
            ("1h30m", 5_400_000),
            ("1h 30m", 5_400_000),
            (" 2d ", 172_800_000),
            ("1d12h", 129_600_000),
            ("1w", 604_800_000),
            ("500ms", 500),
            ("1.5h", 5_400_000),
            ("2 hours", 7_200_000),
        ];
        for (text, millis) in cases {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text:?}");
        }
    }

    #[test]
    fn invalid_duration_is_refused() {
        for text in [
            "",
            "s",
            "1h30",
            "1 x",
            "1mo",
            "1y",
            "nan",
            "1e3",
            "..",
            "1.2.3",
            "99999999999999999999",
        ] {
            let error = parse_duration(text).unwrap_err();
            assert_eq!(error, ParseDurationError::Malformed(text.to_owned()));
        }
        assert_eq!(
            parse_duration("soon").unwrap_err().to_string(),
            "invalid duration \"soon\": expected seconds (90) or units (500ms, 1h30m, 2d)"
        );
        assert_eq!(
            parse_duration("-5s").unwrap_err().to_string(),
            "invalid duration \"-5s\": expected 0 or more"
        );
        assert_eq!(
            parse_duration_above_zero("0s").unwrap_err().to_string(),
            "invalid duration \"0s\": expected more than 0"
        );
        assert_eq!(parse_duration_above_zero("1"), Ok(Duration::from_secs(1)));
    }

    #[test]
    fn duration_is_formatted_short() {
        let cases = [
            (0, "0s"),
            (45, "45ms"),
            (1000, "1s"),
            (12_399, "12.4s"),
            (59_960, "1m"),
            (3_599_700, "1h"),
            (60_000, "1m"),
            (312_000, "5m12s"),
            (5_400_000, "1h30m"),
            (7_200_000, "2h"),
            (183_600_000, "2d3h"),
        ];
        for (millis, text) in cases {
            assert_eq!(format_duration(Duration::from_millis(millis)), text);
        }
        assert_eq!(format_duration(Duration::from_micros(10)), "<1ms");
    }

    #[test]
    fn size_is_parsed() {
        let cases = [
            ("4096", 4096),
            ("0", 0),
            ("512B", 512),
            ("500M", 500 << 20),
            ("8G", 8 << 30),
            ("8 GiB", 8 << 30),
            ("1.5G", 3 << 29),
            ("2k", 2048),
            ("1MB", 1_000_000),
            ("1.999999999999K", 2047),
        ];
        for (text, bytes) in cases {
            assert_eq!(parse_size(text), Ok(bytes), "{text:?}");
        }
    }

    #[test]
    fn size_is_formatted_exactly() {
        let cases = [(0, "0"), (1000, "1000"), (2048, "2K"), (3 << 29, "1536M"), (8 << 30, "8G")];
        for (bytes, text) in cases {
            assert_eq!(format_size(bytes), text);
            assert_eq!(parse_size(text), Ok(bytes));
        }
        assert_eq!(parse_size(&format_size(u64::MAX)), Ok(u64::MAX));
    }

    #[test]
    fn invalid_size_is_refused() {
        for text in ["", "G", "-1", "1X", "1.G", ".5G", "1..5G", "1 2", "1Gb", "1.5.5M", "é"] {
            let error = parse_size(text).unwrap_err();
            assert_eq!(error, ParseSizeError::Malformed(text.to_owned()));
        }
        assert_eq!(
            parse_size("big").unwrap_err().to_string(),
            "invalid size \"big\": expected bytes (4096) or units (500M, 1.5G, 2T)"
        );
        for text in ["99999999999999999999", "16384P"] {
            let error = parse_size(text).unwrap_err();
            assert_eq!(error, ParseSizeError::TooLarge(text.to_owned()));
        }
    }
}
