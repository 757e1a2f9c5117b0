//! The command that values are filled into. Its own text is shell text. Values are
//! data, and are quoted so that the shell does not interpret them.

use std::borrow::Cow;

use gjob_core::text::excerpt;

use super::header::Sources;
use super::placeholder::{Part, Placeholder};
use crate::jobfile::problem::Problem;
use crate::jobfile::tables::is_name;

/// A command with placeholders.
#[derive(Clone, Debug)]
pub(super) struct Template {
    pieces: Vec<Piece>,
    /// False if a placeholder is part of the command's name, as in `{} x`. Then
    /// values are shell text themselves, as in GNU parallel.
    quotes: bool,
}

#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    Placeholder(Placeholder),
}

impl Template {
    /// True if a value is to be filled into these words.
    pub(super) fn needs_value(words: &[String]) -> bool {
        let is_value =
            |piece: &Piece| matches!(piece, Piece::Placeholder(Placeholder::Value { .. }));
        split(&words.join(" "), Sources::unnamed(1), &mut Vec::new()).iter().any(is_value)
    }

    /// Reads the words of a command. Without a placeholder, values are appended, if
    /// there are sources of any; without words, values are the commands.
    pub(super) fn parse(words: &[String], sources: Sources<'_>) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut pieces = split(&words.join(" "), sources, &mut problems);
        let is_filled = |piece: &Piece| matches!(piece, Piece::Placeholder(_));
        if sources.count > 0 && !pieces.iter().any(is_filled) {
            if !words.is_empty() {
                pieces.push(Piece::Text(" ".to_owned()));
            }
            pieces
                .push(Piece::Placeholder(Placeholder::Value { position: None, part: Part::Whole }));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let quotes = pieces.iter().take_while(|piece| !is_filled(piece)).any(
            |piece| matches!(piece, Piece::Text(text) if text.contains([' ', '\t', '\n', '='])),
        );
        Ok(Template { pieces, quotes })
    }

    /// Reads a text in which only what is a placeholder is replaced.
    pub(super) fn of_text(text: &str, sources: Sources<'_>) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let pieces = split(text, sources, &mut problems);
        if problems.is_empty() { Ok(Template { pieces, quotes: false }) } else { Err(problems) }
    }

    /// True if a text has placeholders, or what is one if sources have names.
    pub(super) fn is_filled(text: &str) -> bool {
        let pieces = split(text, Sources::unnamed(usize::MAX), &mut Vec::new());
        let may_be_name = |(inside, _): (&str, &str)| is_name(inside.trim_end_matches(['.', '/']));
        pieces.iter().any(|piece| matches!(piece, Piece::Placeholder(_)))
            || text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).any(may_be_name)
    }

    /// The text for one value of each source, each part of which `encode` writes.
    pub(super) fn fill_text(
        &self,
        number: usize,
        values: &[&str],
        encode: impl Fn(&str) -> String,
    ) -> String {
        let mut filled = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Placeholder(Placeholder::Number) => filled.push_str(&number.to_string()),
                Piece::Placeholder(Placeholder::Value { position, part }) => {
                    let values = at(values, *position).iter();
                    let values: Vec<String> = values.map(|value| encode(part.of(value))).collect();
                    filled.push_str(&values.join(" "));
                }
            }
        }
        filled
    }

    /// The command for one value of each source, as the `number`-th job from 1.
    pub(super) fn fill(&self, number: usize, values: &[&str]) -> Result<String, Problem> {
        let mut command = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => command.push_str(text),
                Piece::Placeholder(Placeholder::Number) => command.push_str(&number.to_string()),
                Piece::Placeholder(Placeholder::Value { position, part }) => {
                    for (i, value) in at(values, *position).iter().enumerate() {
                        command.push_str(if i == 0 { "" } else { " " });
                        let value = part.of(value);
                        match self.quotes {
                            true => command.push_str(&quote(value)?),
                            false => command.push_str(value),
                        }
                    }
                }
            }
        }
        Ok(command)
    }
}

/// The value at a position that was checked before, or all values.
fn at<'a>(values: &'a [&'a str], position: Option<i32>) -> &'a [&'a str] {
    let Some(position) = position else {
        return values;
    };
    let index = match usize::try_from(position) {
        Ok(position) => position.saturating_sub(1),
        Err(_) => values.len().saturating_sub(position.unsigned_abs() as usize),
    };
    values.get(index..=index).unwrap_or_default()
}

/// A value as one word of the shell.
fn quote(value: &str) -> Result<Cow<'_, str>, Problem> {
    // A job file's reader would take a CR at the end of a line for a part of that end.
    if value.contains('\r') && !value.contains('\0') {
        let value = value.replace('\\', "\\\\").replace('\'', "\\'").replace('\r', "\\r");
        return Ok(format!("$'{value}'").into());
    }
    shlex::try_quote(value).map_err(|_| Problem::NulInValue)
}

/// Splits a command at its placeholders.
fn split(command: &str, sources: Sources<'_>, problems: &mut Vec<Problem>) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut rest = command;
    while let Some(at) = rest.find('{') {
        text.push_str(&rest[..at]);
        let found = rest[at + 1..].split_once('}');
        let placeholder = found.and_then(|(inside, after)| {
            refuse(&rest[at..], inside, problems);
            // The shell's own variable may have the name.
            let is_variable = at > 0 && rest[..at].ends_with('$');
            let sources = if is_variable { Sources::unnamed(sources.count) } else { sources };
            Some((Placeholder::parse(inside, sources)?, inside, after))
        });
        let Some((placeholder, inside, after)) = placeholder else {
            text.push('{');
            rest = &rest[at + 1..];
            continue;
        };
        check_position(placeholder, inside, sources.count, problems);
        if !text.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut text)));
        }
        pieces.push(Piece::Placeholder(placeholder));
        rest = after;
    }
    text.push_str(rest);
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
    pieces
}

/// Refuses placeholders of GNU parallel that gjob does not have.
fn refuse(braces: &str, inside: &str, problems: &mut Vec<Problem>) {
    let expression = inside.trim_start_matches(|c: char| c == '-' || c.is_ascii_digit());
    if expression == "%" {
        problems.push(Problem::Slot);
    } else if expression.starts_with('=')
        && let Some(end) = braces.find("=}")
        && end > 1
    {
        problems.push(Problem::Perl { found: excerpt(&braces[..end + 2]) });
    }
}

fn check_position(
    placeholder: Placeholder,
    inside: &str,
    sources: usize,
    problems: &mut Vec<Problem>,
) {
    if let Placeholder::Value { position: Some(position), .. } = placeholder
        && !(1..=sources).contains(&(position.unsigned_abs() as usize))
    {
        problems.push(Problem::Position { found: format!("{{{inside}}}"), sources });
    }
}
