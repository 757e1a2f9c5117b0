//! Host names with ranges: `node[01-32,40]`, expanded in order, the last
//! brackets varying fastest, zero padding kept.

use super::error::HostProblem;
use crate::text::excerpt;

/// The longest host name: with a user and a port about it, a label can hold it.
const MAX_NAME_BYTES: usize = 200;

/// The texts that a text with ranges stands for; none if a range is wrong, or if there
/// are more than `most`.
pub(super) fn expand_ranges(text: &str, most: usize) -> Option<Vec<String>> {
    let mut problems = Vec::new();
    let names = Names::split(text, &mut problems);
    (problems.is_empty() && names.count() <= most).then(|| names.expand())
}

/// A name that stands for one host or more.
#[derive(Debug)]
pub(super) struct Names {
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Text(String),
    Ranges(Vec<Range>),
}

/// Numbers from `start` to `end`, both included, at least `width` digits each.
#[derive(Debug)]
struct Range {
    start: u32,
    end: u32,
    width: usize,
}

impl Names {
    /// Reads a name; everything that is wrong with it is added to `problems`.
    pub(super) fn parse(text: &str, problems: &mut Vec<HostProblem>) -> Self {
        let before = problems.len();
        let names = Self::split(text, problems);
        // A bracket that is wrong is said once, not as a bad character too.
        if problems.len() == before && !names.are_plain() {
            problems.push(HostProblem::Name(excerpt(text)));
        }
        names
    }

    fn split(text: &str, problems: &mut Vec<HostProblem>) -> Self {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once('[') {
            parts.push(Part::Text(before.to_owned()));
            let Some((inside, after)) = behind.split_once(']') else {
                problems.push(HostProblem::Range(excerpt(&format!("[{behind}"))));
                return Names { parts };
            };
            parts.push(Part::Ranges(parse_ranges(inside, problems)));
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        Names { parts }
    }

    /// True when none of the names could be misread by ssh or a shell.
    fn are_plain(&self) -> bool {
        let longest: usize = self.parts.iter().map(Part::longest).sum();
        let begins_with_dash =
            matches!(self.parts.first(), Some(Part::Text(text)) if text.starts_with('-'));
        let is_plain = |part: &Part| match part {
            Part::Ranges(_) => true,
            Part::Text(text) => {
                text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
            }
        };
        (1..=MAX_NAME_BYTES).contains(&longest)
            && !begins_with_dash
            && self.parts.iter().all(is_plain)
    }

    /// How many names there are, or the greatest number if that is less.
    pub(super) fn count(&self) -> usize {
        self.parts.iter().fold(1, |count: usize, part| {
            count.saturating_mul(match part {
                Part::Text(_) => 1,
                Part::Ranges(ranges) => {
                    ranges.iter().fold(0, |sum, range| sum.saturating_add(range.count()))
                }
            })
        })
    }

    /// The names. Ask for their [`count`](Self::count) first.
    pub(super) fn expand(&self) -> Vec<String> {
        self.parts.iter().fold(vec![String::new()], |names, part| match part {
            Part::Text(text) => names.into_iter().map(|name| name + text).collect(),
            Part::Ranges(ranges) => names
                .iter()
                .flat_map(|name| {
                    let numbers = ranges.iter().flat_map(Range::numbers);
                    numbers.map(move |number| format!("{name}{number}"))
                })
                .collect(),
        })
    }
}

impl Part {
    /// The most bytes it adds to a name.
    fn longest(&self) -> usize {
        match self {
            Part::Text(text) => text.len(),
            // A number has at most nine digits, leading zeros among them.
            Part::Ranges(_) => 9,
        }
    }
}

impl Range {
    fn count(&self) -> usize {
        (self.end - self.start) as usize + 1
    }

    fn numbers(&self) -> impl Iterator<Item = String> {
        let width = self.width;
        (self.start..=self.end).map(move |number| format!("{number:0width$}"))
    }
}

fn parse_ranges(inside: &str, problems: &mut Vec<HostProblem>) -> Vec<Range> {
    let mut ranges = Vec::new();
    for piece in inside.split(',') {
        match parse_range(piece.trim()) {
            Some(range) if range.start <= range.end => ranges.push(range),
            Some(range) => {
                let width = range.width;
                problems.push(HostProblem::ReversedRange {
                    start: format!("{:0width$}", range.start),
                    end: format!("{:0width$}", range.end),
                });
            }
            None => {
                problems.push(HostProblem::Range(excerpt(&format!("[{inside}]"))));
                return ranges;
            }
        }
    }
    ranges
}

/// `7` or `07-12`. The start's leading zeros give the width; an end with
/// leading zeros must agree.
fn parse_range(piece: &str) -> Option<Range> {
    let (start, end) = piece.split_once('-').unwrap_or((piece, piece));
    let width = if start.starts_with('0') { start.len() } else { 1 };
    let padded_otherwise = end.len() > 1 && end.starts_with('0') && end.len() != width;
    if padded_otherwise {
        return None;
    }
    Some(Range { start: parse_number(start)?, end: parse_number(end)?, width })
}

/// A decimal number of at most nine digits, leading zeros among them.
fn parse_number(digits: &str) -> Option<u32> {
    let plain = digits.len() <= 9 && digits.bytes().all(|b| b.is_ascii_digit());
    if plain { digits.parse().ok() } else { None }
}
