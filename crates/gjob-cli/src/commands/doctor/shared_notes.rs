//! Notes on hosts: the same note once, with all hosts that it concerns.

use gjob_core::text::printable;

use super::problems::Problem;
use crate::report::folded;

/// Stands for a host's name in a note on several hosts.
pub(super) const ANY_HOST: &str = "HOST";

/// Notes in the order in which each was first made.
#[derive(Default)]
pub(super) struct SharedNotes<'a>(Vec<Note<'a>>);

struct Note<'a> {
    /// As it is for several hosts.
    shared: Problem,
    /// As it is for the first of them alone.
    own: Problem,
    hosts: Vec<&'a str>,
}

impl<'a> SharedNotes<'a> {
    /// Adds a note on a host. `shared` is the same with [`ANY_HOST`] for the host's name.
    pub(super) fn add(&mut self, host: &'a str, own: Problem, shared: Problem) {
        match self.0.iter_mut().find(|note| note.shared == shared) {
            Some(note) => note.hosts.push(host),
            None => self.0.push(Note { shared, own, hosts: vec![host] }),
        }
    }

    /// A line for each note, and one for what helps.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for Note { shared, own, hosts } in &self.0 {
            let (subject, note) = match hosts.as_slice() {
                [host] => (format!("host {host}"), own),
                hosts => (format!("hosts {}", folded(hosts)), shared),
            };
            let what = match note.what.strip_prefix("its ") {
                Some(rest) if hosts.len() > 1 => format!("their {rest}"),
                _ => note.what.clone(),
            };
            text.push_str(&format!("{}\n", printable(&format!("{subject}: {what}"))));
            let help = note.help.as_ref();
            text.extend(help.map(|help| format!("{}\n", printable(&format!("help: {help}")))));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn note_on_several_hosts_speaks_of_all_of_them() {
        let load = || Problem::new("its load is 9.0".to_owned(), "");
        let mut notes = SharedNotes::default();
        notes.add("h1", load(), load());
        assert_eq!(notes.text(), "host h1: its load is 9.0\n");
        notes.add("h2", load(), load());
        assert_eq!(notes.text(), "hosts h[1-2]: their load is 9.0\n");
    }
}
