//! Where symbolic links in a directory lead. They are followed name by name, as a
//! kernel does, but in the directory's list, which is all that a host has of it. The
//! manager and the agent share this check.

use std::collections::HashMap;

/// The number of links after which a kernel gives up.
const MAX_FOLLOWED: usize = 40;

/// The symbolic links of a directory, by their paths below it.
#[derive(Debug, Default)]
pub struct Links<'a>(HashMap<&'a str, &'a str>);

impl<'a> Links<'a> {
    /// Links and their targets.
    pub fn new(links: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Links(links.into_iter().collect())
    }

    /// True if following `link` never leaves the directory, whether it leads to
    /// something or not.
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
            // A circle. If another link in it leads out, that one is refused.
            if followed > MAX_FOLLOWED {
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
    fn links_that_leave_the_directory_are_found() {
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
    fn chain_of_links_is_followed_to_its_end() {
        // Each looks harmless: `deep` is two levels down, so `deep/..` is one level down.
        let links =
            [("deep", "a/b"), ("one", "deep/.."), ("out", "one/../../x"), ("in", "one/../x")];
        assert!(stays(&links, "one"));
        assert!(stays(&links, "in"));
        assert!(!stays(&links, "out"));
        // As text, `up/../f` is `f`; but `up` leads to the top.
        assert!(!stays(&[("d/up", ".."), ("l", "d/up/../f")], "l"));
        let circle = [("a", "b"), ("b", "a")];
        assert!(stays(&circle, "a"));
    }
}
