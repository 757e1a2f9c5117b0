//! The word that a misspelt one may have meant.

/// The most characters of a word that are compared.
const COMPARED: usize = 80;

/// The nearest of some words, if it is near enough to have been meant.
#[must_use]
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = cut(word);
    let distances = known.into_iter().filter_map(|other| Some((distance(word, other)?, other)));
    distances.min().map(|(_, other)| other)
}

/// How many letters differ, unless those are too many for a slip.
fn distance(word: &str, other: &str) -> Option<usize> {
    let most = 2.min(other.len() / 2);
    // Among a million names, few are worth a closer look.
    if word.len().abs_diff(other.len()) > 4 * most {
        return None;
    }
    let distance = strsim::osa_distance(word, cut(other));
    (distance <= most).then_some(distance)
}

fn cut(word: &str) -> &str {
    word.char_indices().nth(COMPARED).map_or(word, |(end, _)| &word[..end])
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn nearest_word_is_one_slip_away() {
        let known = ["cmds", "name", "timeout", "train"];
        let near = |word| nearest(word, known);
        assert_eq!(near("cmd"), Some("cmds"));
        assert_eq!(near("Name"), Some("name"));
        assert_eq!(near("time_out"), Some("timeout"));
        assert_eq!(near("trian"), Some("train"));
        assert_eq!(near("priority"), None);
        assert_eq!(near(""), None);
        assert_eq!(near(&"x".repeat(1_000_000)), None);
    }
}
