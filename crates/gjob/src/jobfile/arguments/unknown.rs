//! Words in braces that are no placeholder, but may have been meant as one.

use std::collections::BTreeSet;

use super::rows::Values;
use crate::jobfile::draft::JobDraft;
use crate::jobfile::tables::is_name;

/// A line for each word in braces that is no name of a source, though sources have names.
pub(super) fn other_names(
    command: &[String],
    defaults: &JobDraft,
    names: &[String],
) -> Vec<String> {
    let known = names.join(", ");
    let found = words(command, defaults);
    let other = found.iter().filter(|word| !names.iter().any(|name| name == *word));
    other.map(|word| format!("{{{word}}} is no parameter ({known}): it stays as it is")).collect()
}

/// What to say of a word in braces that is the first value of a source without a name.
pub(super) fn missing_header(
    command: &[String],
    defaults: &JobDraft,
    sources: &[Values],
) -> Vec<String> {
    let found = words(command, defaults);
    let many = sources.iter().filter(|source| source.values.len() > 1);
    let mut firsts = many.filter_map(|source| source.values.first());
    match firsts.find(|first| found.contains(first.as_str())) {
        Some(name) => vec![
            format!("{{{name}}} is no parameter: it stays as it is, and {name} is a value"),
            "help: did you mean --header :?".to_owned(),
        ],
        None => Vec::new(),
    }
}

/// The words in braces that could be names, without the part that is asked for of a value.
/// Variables of the shell (`${x}`) are none.
fn words<'a>(command: &'a [String], defaults: &'a JobDraft) -> BTreeSet<&'a str> {
    let options = defaults.name.iter().chain(&defaults.files).chain(&defaults.outputs);
    let texts = command.iter().chain(options).chain(defaults.env.values());
    texts.flat_map(|text| words_of(text)).collect()
}

fn words_of(text: &str) -> impl Iterator<Item = &str> {
    let starts = text.match_indices('{').filter(|(at, _)| !text[..*at].ends_with('$'));
    let inside = starts.filter_map(|(at, _)| Some(text[at + 1..].split_once('}')?.0));
    inside.map(|inside| inside.trim_end_matches(['.', '/'])).filter(|word| is_name(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_in_braces_could_be_names() {
        let text = "a {sed} ${x} {a,b} {1..3} {} {lr/.} {2} { x } {{in} {open";
        assert_eq!(words_of(text).collect::<Vec<_>>(), ["sed", "lr", "in"]);
    }
}
