//! The forms in which people may write a job's values, beside those of JSON:
//! one item for a list, durations and sizes with units, numbers for text.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use gjob_core::dependency::After;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Unexpected, Visitor};

use crate::units::{ParseDurationError, parse_duration, parse_size};

/// A list, or the one item of a list.
pub(super) fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    deserializer.deserialize_any(ListVisitor(PhantomData))
}

/// Jobs to wait for, or the one job to wait for.
pub(super) fn after<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<After>, D::Error> {
    let jobs: Vec<AfterJob> = list(deserializer)?;
    Ok(jobs.into_iter().map(|job| job.0).collect())
}

/// Variables whose values are text, or numbers that stand for their text.
pub(super) fn variables<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, String>, D::Error> {
    let variables: BTreeMap<String, Scalar> = Deserialize::deserialize(deserializer)?;
    Ok(variables.into_iter().map(|(name, value)| (name, value.into_text())).collect())
}

/// A duration: seconds, or text with units.
pub(super) fn duration<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Duration>, D::Error> {
    let duration = |scalar: Scalar| {
        let seconds = match scalar {
            Scalar::Text(text) => return parse_duration(&text),
            Scalar::Natural(number) => number as f64,
            Scalar::Negative(number) => {
                return Err(ParseDurationError::Negative(number.to_string()));
            }
            Scalar::Real(number) => number,
        };
        let malformed = |_| ParseDurationError::Malformed(seconds.to_string());
        Duration::try_from_secs_f64(seconds).map_err(malformed)
    };
    let scalar = Option::<Scalar>::deserialize(deserializer)?;
    scalar.map(duration).transpose().map_err(de::Error::custom)
}

/// A size: bytes, or text with a unit.
pub(super) fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let size = |scalar: Scalar| match scalar {
        Scalar::Text(text) => parse_size(&text).map_err(de::Error::custom),
        Scalar::Natural(number) => Ok(number),
        // As 8e9 is written.
        Scalar::Real(number) if (0.0..1e18).contains(&number) => Ok(number as u64),
        Scalar::Real(_) | Scalar::Negative(_) => {
            Err(scalar.unexpected("bytes, or a size such as \"8G\""))
        }
    };
    Option::<Scalar>::deserialize(deserializer)?.map(size).transpose()
}

/// A whole number from 0.
pub(super) fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let count = |scalar: Scalar| match scalar {
        Scalar::Natural(number) => {
            u32::try_from(number).map_err(|_| scalar.unexpected("a number below 4294967296"))
        }
        Scalar::Text(_) | Scalar::Negative(_) | Scalar::Real(_) => {
            Err(scalar.unexpected("a whole number from 0"))
        }
    };
    Option::<Scalar>::deserialize(deserializer)?.map(count).transpose()
}

struct ListVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list, or one item of it")
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

/// Text or a number, as it was written.
enum Scalar {
    Text(String),
    Natural(u64),
    Negative(i64),
    Real(f64),
}

impl Scalar {
    fn into_text(self) -> String {
        match self {
            Scalar::Text(text) => text,
            Scalar::Natural(number) => number.to_string(),
            Scalar::Negative(number) => number.to_string(),
            Scalar::Real(number) => format!("{number:?}"),
        }
    }

    /// The error of a value of another kind.
    fn unexpected<E: de::Error>(&self, expected: &str) -> E {
        match self {
            Scalar::Text(text) => E::invalid_type(Unexpected::Str(text), &expected),
            Scalar::Natural(number) => E::invalid_value(Unexpected::Unsigned(*number), &expected),
            Scalar::Negative(number) => E::invalid_value(Unexpected::Signed(*number), &expected),
            Scalar::Real(number) => E::invalid_type(Unexpected::Float(*number), &expected),
        }
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl Visitor<'_> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or a number")
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

/// One entry of `after`.
struct AfterJob(After);

impl<'de> Deserialize<'de> for AfterJob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AfterVisitor).map(AfterJob)
    }
}

struct AfterVisitor;

impl<'de> Visitor<'de> for AfterVisitor {
    type Value = After;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a job's name, or its number from 0")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<After, E> {
        Ok(After::Name(name.to_owned()))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<After, E> {
        let unexpected = || E::invalid_value(Unexpected::Unsigned(number), &self);
        u32::try_from(number).map(After::Job).map_err(|_| unexpected())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<After, E> {
        let unexpected = || E::invalid_value(Unexpected::Signed(number), &self);
        u32::try_from(number).map(After::Job).map_err(|_| unexpected())
    }

    /// A range of numbers, as gjob itself writes it.
    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<After, A::Error> {
        let (first, last) = Deserialize::deserialize(SeqAccessDeserializer::new(seq))?;
        if first > last {
            let error = format!("invalid range [{first}, {last}]: expected the lower number first");
            return Err(de::Error::custom(error));
        }
        Ok(After::Jobs(first, last))
    }
}
