//! Where symbolic links in a directory lead: followed name by name, as a kernel
//! does, but in the directory's list, which is what a host has of it. The manager
//! and the agent judge by it alike.

use std::collections::HashMap;

/// Links followed before a kernel gives up.
const MOST: usize = 40;

/// The links of a directory, by their paths below it.
#[derive(Debug, Default)]
pub struct Links<'a>(HashMap<&'a str, &'a str>);

impl<'a> Links<'a> {
    /// Links with what they hold.
    pub fn new(links: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Links(links.into_iter().collect())
    }

    /// True when following `link` never leaves the directory, whether there is
    /// something in the end or not.
    #[must_use]
    pub fn stays_inside(&self, link: &str) -> bool {
        let mut at: Vec<&str> = Vec::new();
        let mut ahead: Vec<&str> = link.rsplit('/').collect();
        let mut followed = 0;
        while let Some(name) = ahead.pop() {
            match name {
                "" | "." => continue,
                ".." if at.pop().is_some() => continue,
                ".." => return false,
                name => at.push(name),
            }
            let Some(target) = self.0.get(at.join("/").as_str()) else { continue };
            followed += 1;
            if target.starts_with('/') {
                return false;
            }
            // A circle. A link further along the way that leads out is refused itself.
            if followed > MOST {
                return true;
            }
            at.pop();
            ahead.extend(target.rsplit('/'));
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stays(links: &[(&str, &str)], link: &str) -> bool {
        Links::new(links.iter().copied()).stays_inside(link)
    }

    #[test]
    fn links_that_stay_inside_are_told_from_those_that_do_not() {
        for (link, target) in [
            ("l", "f"),
            ("l", "./d/../f"),
            ("d/l", "../f"),
            ("l", "nowhere"),
            ("l", "l"),
            ("l", "."),
        ] {
            assert!(stays(&[(link, target)], link), "{link} -> {target}");
        }
        for (link, target) in [
            ("l", "/etc/passwd"),
            ("l", ".."),
            ("d/l", "../../x"),
            ("l", "d/../../x"),
            ("l", "a/../.."),
        ] {
            assert!(!stays(&[(link, target)], link), "{link} -> {target}");
        }
    }

    #[test]
    fn a_chain_of_links_is_followed_to_its_end() {
        // Each of them looks harmless: `deep` is two down, so `deep/..` is one down.
        let links =
            [("deep", "a/b"), ("one", "deep/.."), ("out", "one/../../x"), ("in", "one/../x")];
        assert!(stays(&links, "one"));
        assert!(stays(&links, "in"));
        assert!(!stays(&links, "out"));
        // As text `up/../f` is `f`; but `up` leads to the top.
        assert!(!stays(&[("d/up", ".."), ("l", "d/up/../f")], "l"));
        let circle = [("a", "b"), ("b", "a")];
        assert!(stays(&circle, "a"));
    }
}
