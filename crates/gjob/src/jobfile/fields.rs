//! The names of a job specification's fields, as serde knows them, and the
//! one that a misspelt name may have meant.

use std::sync::OnceLock;

use gjob_core::JobSpec;
use serde::de::value::Error as Stopped;
use serde::de::{Deserialize, Deserializer, Error as _, Visitor};
use serde::forward_to_deserialize_any;

use super::error::Problem;

/// True for the name of a field.
pub(super) fn is_known(name: &str) -> bool {
    known().contains(&name)
}

/// What is wrong with a name that is not a field's.
pub(super) fn unknown(name: &str) -> Problem {
    let distances = known().iter().map(|field| (distance(name, field), field));
    let nearest = distances.min().filter(|(distance, field)| *distance <= 2.min(field.len() / 2));
    Problem::UnknownField {
        found: name.chars().take(80).collect(),
        nearest: nearest.map(|(_, field)| (*field).to_owned()),
        known: known().join(", "),
    }
}

fn known() -> &'static [&'static str] {
    static KNOWN: OnceLock<&'static [&'static str]> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let mut names: &'static [&'static str] = &[];
        // Stops as soon as the names are known.
        let stopped = JobSpec::deserialize(FieldNames(&mut names));
        debug_assert!(stopped.is_err());
        names
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

/// How many letters must be added, removed or changed to make one of the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.chars().take(80).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, other) in b.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *other);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_those_of_a_job_specification() {
        for name in ["cmds", "files", "name", "env", "timeout", "retries"] {
            assert!(is_known(name), "{name}");
        }
        assert!(!is_known("cmd"));
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
