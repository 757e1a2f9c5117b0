//! Output of one command on several hosts: the same output once, below a header that
//! names the hosts that gave it, as `clush -b` shows it.

use std::collections::HashMap;

use gjob::network::{Fetched, Gap};
use gjob_core::wire::Stream;

use super::{Held, Manner, Printer};
use crate::report::folded::folded;

/// A line above and below the hosts.
const RULE: &str = "---------------";

/// What an output is told by: the hash of what is local of it, and what is not.
type Content = ([u8; 32], Option<Gap>);

/// One output with what it has in common with others.
struct Gathered {
    index: u32,
    name: String,
    has_failed: bool,
    fetched: Fetched,
}

impl Printer {
    /// Prints what was held: stdout of all jobs, then stderr of all. Returns what could
    /// not be printed.
    pub(super) fn print_gathered(&mut self, held: Vec<Held>) -> Vec<String> {
        let mut problems = Vec::new();
        let mut outputs: Vec<Gathered> = Vec::new();
        for Held { index, has_failed, tag, outputs: fetched } in held {
            let name = tag.unwrap_or_default();
            let gathered = |fetched| Gathered { index, name: name.clone(), has_failed, fetched };
            outputs.extend(fetched.into_iter().map(gathered));
        }
        let (stdout, stderr): (Vec<_>, Vec<_>) =
            outputs.into_iter().partition(|output| output.fetched.stream == Stream::Stdout);
        for outputs in [stdout, stderr] {
            for group in grouped(outputs) {
                problems.extend(self.print_group(group));
            }
        }
        problems
    }

    fn print_group(&mut self, group: Vec<Gathered>) -> Option<String> {
        let names: Vec<&str> = group.iter().map(|output| output.name.as_str()).collect();
        let header = header(&names);
        let others: Vec<u32> =
            group.iter().skip(1).filter(|it| it.has_failed).map(|it| it.index).collect();
        let Gathered { index, has_failed, fetched, .. } = group.into_iter().next()?;
        let manner = Manner { index, tag: None, tail: false, header: Some(&header) };
        let known = self.last_lines.len();
        let problems = self.print_one(manner, has_failed, fetched);
        if let Some((_, line)) = self.last_lines.get(known).cloned() {
            self.last_lines.extend(others.into_iter().map(|index| (index, line.clone())));
        }
        problems
    }
}

/// Outputs that are the same, in the order of the first of each. One that cannot be had
/// is alone.
fn grouped(outputs: Vec<Gathered>) -> Vec<Vec<Gathered>> {
    let mut places: HashMap<Content, usize> = HashMap::new();
    let mut groups: Vec<Vec<Gathered>> = Vec::new();
    for mut output in outputs {
        let digest = output.fetched.output.as_mut().ok().and_then(|it| {
            let gap = it.gap();
            it.digest().ok().map(|digest| (digest, gap))
        });
        let place = match digest {
            Some(digest) => *places.entry(digest).or_insert(groups.len()),
            None => groups.len(),
        };
        match groups.get_mut(place) {
            Some(group) => group.push(output),
            None => groups.push(vec![output]),
        }
    }
    groups
}

/// The hosts of a group between two rules.
fn header(names: &[&str]) -> String {
    let count = if names.len() > 1 { format!(" ({})", names.len()) } else { String::new() };
    format!("{RULE}\n{}{count}\n{RULE}\n", folded(names))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_a_group_are_folded_and_counted() {
        assert_eq!(header(&["h1", "h2"]), "---------------\nh[1-2] (2)\n---------------\n");
        assert_eq!(header(&["h1"]), "---------------\nh1\n---------------\n");
    }
}
