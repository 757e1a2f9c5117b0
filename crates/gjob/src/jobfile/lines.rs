//! Texts line by line, and the lines that are shell commands.

use gjob_core::JobSpec;

use super::error::{Collector, Place, Problem};

/// What some editors put before UTF-8 text.
pub(super) const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// The lines of a text with their numbers from 1, without line ends, CR LF
/// among them. Those that are not UTF-8 go to `errors`.
pub(super) fn lines<'a>(
    name: &str,
    text: &'a [u8],
    errors: &mut Collector,
) -> Vec<(usize, &'a str)> {
    let mut lines = Vec::new();
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    for (i, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match std::str::from_utf8(line) {
            Ok(line) => lines.push((i + 1, line)),
            Err(error) => {
                let place = Place::column(name, i + 1, error.valid_up_to() + 1);
                errors.push(place, Problem::NotUtf8);
            }
        }
    }
    lines
}

/// The job of a line that is a shell command; none when it is blank or a comment.
pub(super) fn parse_line(line: &str) -> Option<JobSpec> {
    let begin = line.trim_start();
    if begin.is_empty() || begin.starts_with('#') {
        return None;
    }
    let mut spec = JobSpec::default();
    spec.cmds.push(line.to_owned());
    Some(spec)
}
