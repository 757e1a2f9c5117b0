//! The names of a job's fields, as serde knows them, and the problems that a field
//! can have with its name or its value. All formats share them.

use std::sync::OnceLock;

use gjob_core::text::excerpt;
use serde::de::value::Error as Stopped;
use serde::de::{Deserialize, Deserializer, Error as _, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::{Map, Value};

use super::draft::JobDraft;
use super::problem::Problem;
use crate::nearest::nearest;

/// A field that only gjob writes.
const NOT_FOR_PEOPLE: &str = "repeat_index";

/// Fields that have two names, as serde knows them and another: the original's name and
/// one that reads better, and one item in place of a list.
const TWICE: [(&str, &str); 3] = [("cmds", "commands"), ("hosts", "host"), ("labels", "label")];

/// Names that are right, and not shown, since the field's other name is.
const UNSHOWN: [&str; 4] = ["cmds", "host", "label", NOT_FOR_PEOPLE];

/// True for the name of a field.
pub(super) fn is_known(name: &str) -> bool {
    UNSHOWN.contains(&name) || field_names().contains(&name)
}

/// The one name of a field that has two.
pub(super) fn canonical(name: &str) -> &str {
    TWICE.iter().find(|(_, other)| *other == name).map_or(name, |(own, _)| *own)
}

/// The problem of a field, if it has one.
pub(super) fn problem(name: &str, value: Value) -> Option<Problem> {
    if !is_known(name) {
        return Some(unknown(name, field_names()));
    }
    // In a job with this field alone, every problem is the field's.
    let mut alone = Map::new();
    alone.insert("cmds".to_owned(), Value::Array(Vec::new()));
    alone.insert(canonical(name).to_owned(), value);
    let error = serde_json::from_value::<JobDraft>(Value::Object(alone)).err()?;
    Some(Problem::Field { name: name.to_owned(), message: message(&error) })
}

/// The problems of an object's fields, each with the field's name.
pub(super) fn problems(object: Value) -> impl Iterator<Item = (String, Problem)> {
    let fields = if let Value::Object(fields) = object { fields } else { Map::new() };
    fields.into_iter().filter_map(|(name, value)| {
        let problem = problem(&name, value)?;
        Some((name, problem))
    })
}

/// The problem of a name that is not one of those `known`.
pub(super) fn unknown(name: &str, known: &[&str]) -> Problem {
    Problem::UnknownField {
        found: excerpt(name),
        nearest: nearest(name, known.iter().copied()).map(str::to_owned),
        known: known.join(", "),
    }
}

/// The message of serde_json without the position that it appends.
pub(super) fn message(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((message, _)) if error.line() > 0 => message.to_owned(),
        _ => text,
    }
}

/// The names of a job's fields in job files, in their order.
#[must_use]
pub fn field_names() -> &'static [&'static str] {
    static NAMES: OnceLock<Vec<&'static str>> = OnceLock::new();
    NAMES.get_or_init(|| {
        let mut names: &'static [&'static str] = &[];
        // Deserializing stops as soon as the names are known.
        let stopped = JobDraft::deserialize(FieldNames(&mut names));
        debug_assert!(stopped.is_err());
        let for_people = |name: &&str| !UNSHOWN.contains(name);
        names.iter().copied().filter(for_people).collect()
    })
}

/// Records the field names of the struct that is deserialized from it.
struct FieldNames<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for FieldNames<'_> {
    type Error = Stopped;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Stopped> {
        Err(Stopped::custom("not a struct"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Stopped> {
        *self.0 = fields;
        Err(Stopped::custom("the names are known"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        option unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier
        ignored_any
    }
}

#[cfg(test)]
mod tests {
    use gjob_core::JobSpec;

    use super::*;

    #[test]
    fn draft_has_every_field_of_a_specification() {
        let mut names: &'static [&'static str] = &[];
        JobSpec::deserialize(FieldNames(&mut names)).unwrap_err();
        let mut expected: Vec<&str> = names.to_vec();
        expected.extend(["commands", "repeat"]);
        expected.retain(|name| !["cmds", NOT_FOR_PEOPLE].contains(name));
        expected.sort_unstable();
        let mut found = field_names().to_vec();
        found.sort_unstable();
        assert_eq!(found, expected);
    }

    #[test]
    fn field_has_a_known_name_and_a_fitting_value() {
        let problem = |name, value: Value| problem(name, value).map(|problem| problem.to_string());
        assert_eq!(problem("commands", "a".into()), None);
        assert_eq!(problem("repeat_index", 1.into()), None);
        let message = problem("cmd", "a".into()).unwrap();
        assert!(
            message.starts_with("unknown field \"cmd\": expected one of commands, "),
            "{message}"
        );
        assert!(!message.contains("repeat_index"), "{message}");
        assert_eq!(
            problem("gpus", (-1).into()).unwrap(),
            "field \"gpus\": invalid value: integer `-1`, expected a whole number from 0"
        );
    }
}
