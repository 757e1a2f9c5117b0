//! The names of a job's fields, as serde knows them, and what is said of a name
//! that is none.

use std::sync::OnceLock;

use serde::de::value::Error as Stopped;
use serde::de::{Deserialize, Deserializer, Error as _, Visitor};
use serde::forward_to_deserialize_any;

use gjob_core::text::excerpt;

use super::draft::Draft;
use super::error::Problem;
use super::nearest::nearest;

/// What gjob itself writes for another gjob to read.
const NOT_FOR_PEOPLE: &str = "repeat_index";

/// The other name of `cmds`.
const COMMANDS: &str = "commands";

/// True for the name of a field.
pub(super) fn is_known(name: &str) -> bool {
    name == COMMANDS || name == NOT_FOR_PEOPLE || known().contains(&name)
}

/// The one name of a field that has two.
pub(super) fn canonical(name: &str) -> &str {
    if name == COMMANDS { "cmds" } else { name }
}

/// What is wrong with a name that is not a field's.
pub(super) fn unknown(name: &str) -> Problem {
    unknown_among(name, known())
}

/// What is wrong with a name that is none of those `known`.
pub(super) fn unknown_among(name: &str, known: &[&str]) -> Problem {
    Problem::UnknownField {
        found: excerpt(name),
        nearest: nearest(name, known.iter().copied()).map(str::to_owned),
        known: known.join(", "),
    }
}

/// The fields that people write, in their order.
pub(super) fn known() -> &'static [&'static str] {
    static KNOWN: OnceLock<Vec<&'static str>> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let mut names: &'static [&'static str] = &[];
        // Stops as soon as the names are known.
        let stopped = Draft::deserialize(FieldNames(&mut names));
        debug_assert!(stopped.is_err());
        let for_people = |name: &&str| ![COMMANDS, NOT_FOR_PEOPLE].contains(name);
        names.iter().copied().filter(for_people).collect()
    })
}

/// Notes the field names of the struct that is deserialized from it.
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
    fn the_fields_are_those_of_a_job_specification_and_repeat() {
        let mut names: &'static [&'static str] = &[];
        JobSpec::deserialize(FieldNames(&mut names)).unwrap_err();
        let expected = names.iter().copied().filter(|name| *name != NOT_FOR_PEOPLE);
        let expected: Vec<&str> = expected.chain(["repeat"]).collect();
        assert_eq!(known(), expected);
        assert!(is_known("commands") && is_known("repeat_index") && !is_known("cmd"));
    }

    #[test]
    fn the_nearest_name_is_one_that_may_have_been_meant() {
        let nearest = |name: &str| match unknown(name) {
            Problem::UnknownField { nearest, .. } => nearest,
            other => panic!("{other}"),
        };
        assert_eq!(nearest("cmd").as_deref(), Some("cmds"));
        assert_eq!(nearest("Name").as_deref(), Some("name"));
        assert_eq!(nearest("time_out").as_deref(), Some("timeout"));
        assert_eq!(nearest("priority"), None);
        assert_eq!(nearest(""), None);
    }
}
