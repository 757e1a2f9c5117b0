//! Parameters filled into text. Only `{name}` is replaced, and only without a `$`
//! before it: a shell's `${X}` and `{a,b}` and awk's braces stay.

use serde_json::Value;

use super::matrix::Combination;
use crate::jobfile::problem::TableProblem;

/// True for a valid name of a parameter.
pub(in crate::jobfile) fn is_name(text: &str) -> bool {
    let first = text.bytes().next();
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && first.is_some_and(|b| !b.is_ascii_digit())
}

/// A piece of a text: a name between braces, or text.
enum Piece<'a> {
    Text(&'a str),
    Name(&'a str),
}

fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text;
    let mut from = 0;
    std::iter::from_fn(move || {
        while let Some(at) = rest[from..].find('{').map(|at| from + at) {
            let inside = rest[at + 1..].split_once('}').map_or("", |(inside, _)| inside);
            if !is_name(inside) || rest[..at].ends_with('$') {
                from = at + 1;
                continue;
            }
            if at > 0 {
                let (before, after) = rest.split_at(at);
                (rest, from) = (after, 0);
                return Some(Piece::Text(before));
            }
            (rest, from) = (&rest[inside.len() + 2..], 0);
            return Some(Piece::Name(inside));
        }
        let last = std::mem::take(&mut rest);
        from = 0;
        (!last.is_empty()).then_some(Piece::Text(last))
    })
}

/// All names between braces in a value's texts.
pub(super) fn names_in<'a>(value: &'a Value, names: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => names.extend(pieces(text).filter_map(|piece| match piece {
            Piece::Name(name) => Some(name),
            Piece::Text(_) => None,
        })),
        Value::Array(items) => items.iter().for_each(|item| names_in(item, names)),
        Value::Object(members) => members.values().for_each(|member| names_in(member, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A value with the parameters of a combination filled in. `known` are those of all
/// combinations: one that this combination lacks is an error.
pub(super) fn fill(
    value: &Value,
    combination: &Combination<'_>,
    known: &[&str],
) -> Result<Value, TableProblem> {
    Ok(match value {
        Value::String(text) if text.contains('{') => {
            Value::String(fill_text(text, combination, known)?)
        }
        Value::Array(items) => {
            let items = items.iter().map(|item| fill(item, combination, known));
            Value::Array(items.collect::<Result<_, _>>()?)
        }
        Value::Object(members) => {
            let filled = members
                .iter()
                .map(|(name, member)| Ok((name.clone(), fill(member, combination, known)?)));
            Value::Object(filled.collect::<Result<_, _>>()?)
        }
        other => other.clone(),
    })
}

fn fill_text(
    text: &str,
    combination: &Combination<'_>,
    known: &[&str],
) -> Result<String, TableProblem> {
    let mut filled = String::with_capacity(text.len());
    for piece in pieces(text) {
        match piece {
            Piece::Text(text) => filled.push_str(text),
            Piece::Name(name) => match combination.iter().find(|(other, _)| *other == name) {
                Some((_, value)) => filled.push_str(value),
                None if known.contains(&name) => return Err(no_value(name, combination)),
                None => {
                    filled.push('{');
                    filled.push_str(name);
                    filled.push('}');
                }
            },
        }
    }
    Ok(filled)
}

fn no_value(name: &str, combination: &Combination<'_>) -> TableProblem {
    let values: Vec<String> =
        combination.iter().map(|(name, value)| format!("{name} = {value}")).collect();
    TableProblem::NoValue { name: name.to_owned(), combination: values.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> String {
        fill_text(text, &vec![("lr", "0.1"), ("x", "{lr}")], &["lr", "x"]).unwrap()
    }

    #[test]
    fn only_parameters_between_braces_are_replaced() {
        assert_eq!(filled("a {lr} b{lr}"), "a 0.1 b0.1");
        assert_eq!(filled("{x}"), "{lr}", "once");
        for text in
            ["${lr}", "{lr,a}", "{ lr }", "{LR}", "awk '{print $1}'", "{", "}{", "{lr", "{}", "{{}"]
        {
            assert_eq!(filled(text), text);
        }
        assert_eq!(filled("{{lr}}é{lr}"), "{0.1}é0.1");
        assert_eq!(filled("{a {lr} }"), "{a 0.1 }");
    }

    #[test]
    fn missing_value_is_named() {
        let error = fill_text("{lr} {y}", &vec![("lr", "1")], &["lr", "y"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no value for {y} in the combination lr = 1: expected one in `include`"
        );
    }
}
