//! TOML's values converted to JSON's, which jobs are deserialized from, and to the
//! text of a parameter.

use gjob_core::job::MAX_JOBS;
use serde_json::{Map, Value};
use toml::de::{DeInteger, DeValue};

use crate::jobfile::problem::{Problem, TableProblem};
use crate::toml_text::type_name;

/// The value of a field.
pub(super) fn json(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::from(text.as_ref()),
        DeValue::Boolean(is) => Value::from(*is),
        DeValue::Integer(number) => match integer(number) {
            Some(number) => Value::from(number),
            None => Value::from(number.as_str()),
        },
        // JSON has no `inf` and `nan`, and no field may have them.
        DeValue::Float(number) => match number.as_str().parse::<f64>() {
            Ok(float) if float.is_finite() => Value::from(float),
            _ => Value::from(number.as_str()),
        },
        DeValue::Datetime(time) => Value::from(time.to_string()),
        DeValue::Array(items) => items.iter().map(|item| json(item.get_ref())).collect(),
        DeValue::Table(table) => {
            let entries = table.iter();
            Value::Object(
                entries
                    .map(|(key, value)| (key.get_ref().to_string(), json(value.get_ref())))
                    .collect(),
            )
        }
    }
}

/// The variables of an environment. Numbers keep the digits that they are written
/// with.
pub(super) fn environment(value: &DeValue<'_>) -> Value {
    let DeValue::Table(table) = value else { return json(value) };
    let mut variables = Map::new();
    for (key, value) in table {
        let value = match value.get_ref() {
            DeValue::Integer(_) | DeValue::Float(_) => {
                Parameter::of(value.get_ref()).map_or(Value::Null, |number| number.text.into())
            }
            other => json(other),
        };
        variables.insert(key.get_ref().to_string(), value);
    }
    Value::Object(variables)
}

fn integer(number: &DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

/// A value of a parameter. The text of a number is kept as it was written.
#[derive(Clone, Debug)]
pub(super) struct Parameter {
    pub(super) text: String,
    number: Option<f64>,
}

impl Parameter {
    /// The value of a scalar; none for lists and tables.
    pub(super) fn of(value: &DeValue<'_>) -> Option<Self> {
        let plain = |text: String| Some(Parameter { text, number: None });
        match value {
            DeValue::String(text) => plain(text.to_string()),
            DeValue::Boolean(is) => plain(is.to_string()),
            DeValue::Datetime(time) => plain(time.to_string()),
            DeValue::Integer(number) => Some(match integer(number) {
                Some(number) => Parameter::counted(number),
                None => Parameter { text: number.as_str().to_owned(), number: None },
            }),
            DeValue::Float(number) => {
                let text = number.as_str().to_owned();
                Some(Parameter { number: text.parse().ok(), text })
            }
            DeValue::Array(_) | DeValue::Table(_) => None,
        }
    }

    /// A number of a range.
    pub(super) fn counted(number: i64) -> Self {
        Parameter { text: number.to_string(), number: Some(number as f64) }
    }

    /// True for equal texts, or equal numbers however they are written.
    pub(super) fn is(&self, other: &Parameter) -> bool {
        self.text == other.text || self.number.is_some() && self.number == other.number
    }
}

/// The problem of a value that has another type than expected.
pub(super) fn wrong_type(name: &str, value: &DeValue<'_>, expected: &'static str) -> Problem {
    let found = type_name(value);
    TableProblem::Type { name: name.to_owned(), found, expected }.into()
}

/// The numbers of a range, which are computed when they are used.
pub(super) struct Range {
    first: i64,
    step: i64,
    pub(super) count: u32,
}

impl Range {
    pub(super) fn values(&self) -> impl Iterator<Item = Parameter> + use<> {
        let (first, step) = (i128::from(self.first), i128::from(self.step));
        (0..self.count).map(move |at| Parameter::counted((first + i128::from(at) * step) as i64))
    }
}

/// The numbers of `first..last` or `first..last..step`, inclusive. The error is what
/// was expected.
pub(super) fn range(text: &str) -> Result<Range, &'static str> {
    let malformed = "FIRST..LAST (1..10) or FIRST..LAST..STEP (0..100..20)";
    let numbers: Option<Vec<i64>> = text.split("..").map(|part| part.trim().parse().ok()).collect();
    let (first, last, step) = match numbers.as_deref() {
        Some([first, last]) => (*first, *last, 1),
        Some([first, last, step]) => (*first, *last, *step),
        _ => return Err(malformed),
    };
    if step == 0 {
        return Err("a step other than 0");
    }
    let (distance, step_wide) = (i128::from(last) - i128::from(first), i128::from(step));
    if distance.signum() * step_wide.signum() < 0 {
        return Err("a step that leads to its end (1..10, 10..1..-1)");
    }
    let count = distance / step_wide + 1;
    match u32::try_from(count) {
        Ok(count) if count <= MAX_JOBS => Ok(Range { first, step, count }),
        _ => Err("at most 10000000 values"),
    }
}
