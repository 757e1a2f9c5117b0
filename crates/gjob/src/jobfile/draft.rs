//! A job as job files say it: the fields of a `JobSpec`, in every form that
//! people may write them in, how often it is wanted, and what it leaves open.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use gjob_core::JobSpec;
use gjob_core::dependency::After;
use gjob_core::resources::Cpus;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::Said;
use crate::units::{parse_duration, parse_size};

/// The fields of a job in a job file. Its field names are the grammar's words.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct Draft {
    #[serde(alias = "commands", deserialize_with = "one_or_many")]
    cmds: Vec<String>,
    #[serde(default, deserialize_with = "one_or_many")]
    files: Vec<String>,
    #[serde(default)]
    link: bool,
    #[serde(default, deserialize_with = "one_or_many")]
    outputs: Vec<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    env: BTreeMap<String, Plain>,
    #[serde(default)]
    timeout: Option<Seconds>,
    #[serde(default)]
    retries: Option<u32>,
    #[serde(default)]
    cpus: Option<Cpus>,
    #[serde(default)]
    gpus: Option<u32>,
    #[serde(default)]
    mem: Option<Bytes>,
    #[serde(default, deserialize_with = "one_or_many")]
    after: Vec<Waits>,
    #[serde(default)]
    repeat: Option<u32>,
    /// Written by `gjob run --dry-run --json`, for copies that were made.
    #[serde(default)]
    repeat_index: u32,
}

impl Draft {
    /// The specification, and what it says of the things that options can say
    /// for all jobs.
    pub(super) fn into_spec(self) -> (JobSpec, Said) {
        let said =
            Said { repeat: self.repeat, cpus: self.cpus.is_some(), gpus: self.gpus.is_some() };
        let mut spec = JobSpec::default();
        spec.cmds = self.cmds;
        spec.files = self.files;
        spec.link = self.link;
        spec.outputs = self.outputs;
        spec.name = self.name;
        spec.env = self.env.into_iter().map(|(name, value)| (name, value.0)).collect();
        spec.timeout = self.timeout.map(|timeout| timeout.0);
        spec.retries = self.retries;
        spec.cpus = self.cpus.unwrap_or_default();
        spec.gpus = self.gpus.unwrap_or_default();
        spec.mem = self.mem.map(|mem| mem.0);
        spec.after = self.after.into_iter().map(|after| after.0).collect();
        spec.repeat_index = self.repeat_index;
        (spec, said)
    }
}

/// A list, or the one item of a list.
fn one_or_many<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    deserializer.deserialize_any(OneOrMany(PhantomData))
}

struct OneOrMany<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrMany<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list, or the one item of a list")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Vec<T>, E> {
        T::deserialize(de::value::StrDeserializer::new(text)).map(|item| vec![item])
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Vec<T>, E> {
        T::deserialize(de::value::U64Deserializer::new(number)).map(|item| vec![item])
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Vec<T>, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(seq))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Vec<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(|item| vec![item])
    }
}

/// Text, or a number that is meant as its text.
#[derive(Debug)]
struct Plain(String);

/// A duration: seconds, or text with units.
#[derive(Debug)]
struct Seconds(Duration);

/// A size: bytes, or text with a unit.
#[derive(Debug)]
struct Bytes(u64);

/// What is waited for.
#[derive(Debug)]
struct Waits(After);

/// A scalar as it was written.
enum Scalar {
    Text(String),
    Natural(u64),
    Negative(i64),
    Real(f64),
}

impl Scalar {
    fn unexpected(&self) -> de::Unexpected<'_> {
        match self {
            Scalar::Text(text) => de::Unexpected::Str(text),
            Scalar::Natural(number) => de::Unexpected::Unsigned(*number),
            Scalar::Negative(number) => de::Unexpected::Signed(*number),
            Scalar::Real(number) => de::Unexpected::Float(*number),
        }
    }
}

/// Reads a scalar, or says what is expected instead.
struct ScalarVisitor(&'static str);

impl Visitor<'_> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(text.to_owned()))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Scalar, E> {
        Ok(Scalar::Natural(number))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Scalar, E> {
        Ok(u64::try_from(number).map_or(Scalar::Negative(number), Scalar::Natural))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Scalar, E> {
        Ok(Scalar::Real(number))
    }
}

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Plain(match deserializer.deserialize_any(ScalarVisitor("a string or a number"))? {
            Scalar::Text(text) => text,
            Scalar::Natural(number) => number.to_string(),
            Scalar::Negative(number) => number.to_string(),
            Scalar::Real(number) => format!("{number:?}"),
        }))
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "seconds, or a duration such as \"1h30m\"";
        let seconds = match deserializer.deserialize_any(ScalarVisitor(expected))? {
            Scalar::Text(text) => {
                return parse_duration(&text).map(Seconds).map_err(de::Error::custom);
            }
            Scalar::Natural(number) => number as f64,
            Scalar::Negative(number) => number as f64,
            Scalar::Real(number) => number,
        };
        Duration::try_from_secs_f64(seconds).map(Seconds).map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "bytes, or a size such as \"8G\"";
        let scalar = deserializer.deserialize_any(ScalarVisitor(expected))?;
        match scalar {
            Scalar::Text(text) => parse_size(&text).map(Bytes).map_err(de::Error::custom),
            Scalar::Natural(number) => Ok(Bytes(number)),
            // As 8e9 is written.
            Scalar::Real(number) if (0.0..1e18).contains(&number) => Ok(Bytes(number as u64)),
            Scalar::Real(_) | Scalar::Negative(_) => {
                Err(de::Error::invalid_value(scalar.unexpected(), &expected))
            }
        }
    }
}

impl<'de> Deserialize<'de> for Waits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WaitsVisitor).map(Waits)
    }
}

struct WaitsVisitor;

impl<'de> Visitor<'de> for WaitsVisitor {
    type Value = After;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a job's name, or its number from 0")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<After, E> {
        Ok(After::Name(name.to_owned()))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<After, E> {
        let unexpected = || E::invalid_value(de::Unexpected::Unsigned(number), &self);
        u32::try_from(number).map(After::Job).map_err(|_| unexpected())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<After, E> {
        let unexpected = || E::invalid_value(de::Unexpected::Signed(number), &self);
        u32::try_from(number).map(After::Job).map_err(|_| unexpected())
    }

    /// From one to another, as gjob itself writes it.
    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<After, A::Error> {
        let (first, last) = Deserialize::deserialize(SeqAccessDeserializer::new(seq))?;
        if first > last {
            let error =
                format!("jobs {first} to {last} are none: the lower number first is expected");
            return Err(de::Error::custom(error));
        }
        Ok(After::Jobs(first, last))
    }
}
