//! Many hosts in few words.

/// Names in their order, with commas; those that differ in one number that counts up are one:
/// `node[1-3],gpu-[07-09].example.org`.
pub(crate) fn folded(names: &[&str]) -> String {
    let mut folded: Vec<String> = Vec::new();
    let mut names = names.iter().copied().peekable();
    while let Some(name) = names.next() {
        let step = names.peek().and_then(|next| counted_number(name, next));
        let Some((start, first)) = step else {
            folded.push(name.to_owned());
            continue;
        };
        let (stem, rest) = name.split_at(start);
        let suffix = &rest[first.len()..];
        let mut last = first;
        while let Some(next) = names.peek().and_then(|next| number_in(next, stem, suffix))
            && follows(last, next)
        {
            last = next;
            names.next();
        }
        folded.push(format!("{stem}[{first}-{last}]{suffix}"));
    }
    folded.join(",")
}

/// The number of a name that the next name has one more of, and where it is: names are
/// otherwise the same.
fn counted_number<'a>(name: &'a str, next: &str) -> Option<(usize, &'a str)> {
    numbers(name).find(|(start, number)| {
        let (stem, suffix) = (&name[..*start], &name[start + number.len()..]);
        number_in(next, stem, suffix).is_some_and(|after| follows(number, after))
    })
}

/// The numbers of a name, each with where it begins.
fn numbers(name: &str) -> impl Iterator<Item = (usize, &str)> {
    let bytes = name.as_bytes();
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let starts = (0..bytes.len())
        .filter(move |at| is_digit(*at) && !at.checked_sub(1).is_some_and(is_digit));
    starts.map(move |start| {
        let length = bytes[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        (start, &name[start..start + length])
    })
}

/// What a name has between these, if that is a number.
fn number_in<'a>(name: &'a str, stem: &str, suffix: &str) -> Option<&'a str> {
    let number = name.strip_prefix(stem)?.strip_suffix(suffix)?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then_some(number)
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
        let cases: [(&[&str], &str); 7] = [
            (&["h1", "h2", "h3", "h5"], "h[1-3],h5"),
            (&["n08", "n09", "n10", "n11"], "n[08-11]"),
            (&["h9", "h10", "x", "h11"], "h[9-10],x,h11"),
            (&["a", "b", "me@h1:22"], "a,b,me@h1:22"),
            (&["h09", "h010"], "h09,h010"),
            (&["g-1.r7.org", "g-2.r7.org", "g-2.r8.org"], "g-[1-2].r7.org,g-2.r8.org"),
            (&["r1n1", "r1n2", "r2n2"], "r1n[1-2],r2n2"),
        ];
        for (names, expected) in cases {
            assert_eq!(folded(names), expected);
        }
    }
}
