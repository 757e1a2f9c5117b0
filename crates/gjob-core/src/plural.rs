//! Numbers of things, as people read them.

/// A number with its noun in the singular or the plural: `1 job`, `2 jobs`,
/// `0 copies` for `copy`.
#[must_use]
pub fn counted(count: u64, noun: &str) -> String {
    if count == 1 {
        return format!("1 {noun}");
    }
    let mut before = noun.chars().rev();
    match (before.next(), before.next()) {
        (Some('y'), Some(letter)) if !"aeiou".contains(letter) => {
            format!("{count} {}ies", &noun[..noun.len() - 1])
        }
        (Some('s' | 'x'), _) | (Some('h'), Some('c' | 's')) => format!("{count} {noun}es"),
        _ => format!("{count} {noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::counted;

    #[test]
    fn noun_agrees_with_its_number() {
        assert_eq!(counted(0, "job"), "0 jobs");
        assert_eq!(counted(1, "job"), "1 job");
        assert_eq!(counted(2, "CPU"), "2 CPUs");
        assert_eq!(counted(1, "extra copy"), "1 extra copy");
        assert_eq!(counted(2, "extra copy"), "2 extra copies");
        assert_eq!(counted(2, "day"), "2 days");
        assert_eq!(counted(2, "match"), "2 matches");
    }
}
