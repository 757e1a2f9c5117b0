//! A value of a table.

use std::fmt;

use serde::Serialize;
use serde_json::{Number, Value};

/// A value of a table.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Cell {
    #[default]
    Empty,
    Bool(bool),
    Number(Number),
    Text(String),
    /// A text that may be meant as a number: it keeps its digits, and is one where the
    /// format tells numbers from texts.
    Written(String),
}

impl Cell {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Cell::Text(text.into())
    }

    /// A number; one that is not finite is none.
    pub(super) fn number(number: impl Serialize) -> Self {
        match serde_json::to_value(number) {
            Ok(Value::Number(number)) => Cell::Number(number),
            _ => Cell::Empty,
        }
    }

    /// A value as people write it.
    pub(super) fn written(text: impl AsRef<str>) -> Self {
        match text.as_ref() {
            "" => Cell::Empty,
            text => Cell::Written(text.to_owned()),
        }
    }

    /// The number that it is, or that it is meant as.
    pub(super) fn as_number(&self) -> Option<Number> {
        match self {
            Cell::Number(number) => Some(number.clone()),
            Cell::Written(text) => {
                // Whole numbers beyond 64 bits would lose digits.
                let number: Number = serde_json::from_str(text).ok()?;
                let is_whole = !text.contains(['.', 'e', 'E']);
                (number.is_f64() != is_whole).then_some(number)
            }
            Cell::Empty | Cell::Bool(_) | Cell::Text(_) => None,
        }
    }

    /// A value of JSON; lists stay as they are written.
    pub(super) fn json(value: Value) -> Self {
        match value {
            Value::Null => Cell::Empty,
            Value::Bool(is) => Cell::Bool(is),
            Value::Number(number) => Cell::Number(number),
            Value::String(text) => Cell::Text(text),
            list @ (Value::Array(_) | Value::Object(_)) => Cell::Text(list.to_string()),
        }
    }
}

impl Serialize for Cell {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Cell::Empty => serializer.serialize_none(),
            Cell::Bool(is) => serializer.serialize_bool(*is),
            Cell::Number(number) => number.serialize(serializer),
            Cell::Text(text) => serializer.serialize_str(text),
            Cell::Written(text) => match self.as_number() {
                Some(number) => number.serialize(serializer),
                None => serializer.serialize_str(text),
            },
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cell::Empty => Ok(()),
            Cell::Bool(is) => fmt::Display::fmt(is, f),
            Cell::Number(number) => fmt::Display::fmt(number, f),
            Cell::Text(text) | Cell::Written(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_are_numbers_are_told_from_those_that_look_like_them() {
        for text in ["1", "-3", "0.1", "0.10", "1e-3", "18446744073709551615"] {
            let cell = Cell::written(text);
            assert!(cell.as_number().is_some(), "{text}");
            assert_eq!(cell.to_string(), text);
        }
        for text in ["007", "1,5", "+1", "nan", "0x10", "18446744073709551616"] {
            assert_eq!(Cell::written(text).as_number(), None, "{text}");
        }
        assert_eq!(Cell::written(""), Cell::Empty);
    }
}
