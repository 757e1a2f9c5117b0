//! Many hosts in few words.

/// Names in their order, with commas; those that differ in a last number that counts up are
/// one: `node[1-3],gpu1`.
pub(crate) fn folded(names: &[&str]) -> String {
    let mut folded: Vec<String> = Vec::new();
    let mut names = names.iter().copied().peekable();
    while let Some(name) = names.next() {
        let (stem, first) = split_number(name);
        let mut last = first;
        while let Some((next_stem, next)) = names.peek().map(|next| split_number(next))
            && next_stem == stem
            && follows(last, next)
        {
            last = next;
            names.next();
        }
        folded.push(match first == last {
            true => name.to_owned(),
            false => format!("{stem}[{first}-{last}]"),
        });
    }
    folded.join(",")
}

/// A name before its last digits, and these.
fn split_number(name: &str) -> (&str, &str) {
    name.split_at(name.trim_end_matches(|c: char| c.is_ascii_digit()).len())
}

/// True when a number written in digits comes after another of the same width.
fn follows(before: &str, number: &str) -> bool {
    let value = |digits: &str| digits.parse::<u32>().ok();
    let is_next = value(before).and_then(|it| it.checked_add(1)) == value(number);
    let pads = |digits: &str| digits.starts_with('0') && digits.len() > 1;
    let same_width = before.len() == number.len() || !(pads(before) || pads(number));
    value(number).is_some() && is_next && same_width
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_count_up_are_folded() {
        let cases: [(&[&str], &str); 5] = [
            (&["h1", "h2", "h3", "h5"], "h[1-3],h5"),
            (&["n08", "n09", "n10", "n11"], "n[08-11]"),
            (&["h9", "h10", "x", "h11"], "h[9-10],x,h11"),
            (&["a", "b", "me@h1:22"], "a,b,me@h1:22"),
            (&["h09", "h010"], "h09,h010"),
        ];
        for (names, expected) in cases {
            assert_eq!(folded(names), expected);
        }
    }
}
