//! What people have reported of running many jobs on many machines, as small inputs to the
//! real program and real sshds. Each test has the words that were typed, or close to them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

#[path = "field/ends.rs"]
mod ends;
#[path = "field/files.rs"]
mod files;
#[path = "field/hosts.rs"]
mod hosts;
#[path = "field/limits.rs"]
mod limits;
mod support;
#[path = "field/values.rs"]
mod values;

use gjob_testbed::Bed;
use support::{Answer, Gjob, Place};

/// A place with hosts: `gjob run` and other commands there.
struct Field {
    place: Place,
    bed: Bed,
}

impl Field {
    fn new(hosts: usize) -> Self {
        Field { place: Place::new(), bed: Bed::start(hosts) }
    }

    /// `gjob run` on all hosts.
    fn run<S: AsRef<str>>(&self, args: &[S]) -> Gjob {
        self.run_on(&self.bed.host_list(), args)
    }

    fn run_on<S: AsRef<str>>(&self, hosts: &str, args: &[S]) -> Gjob {
        let config = self.bed.ssh_config().to_str().unwrap();
        let mut given = vec!["run", "-F", config, "-r", "results", "-H", hosts];
        given.extend(args.iter().map(AsRef::as_ref));
        self.place.gjob(&given)
    }

    /// Any command that is to succeed.
    fn said(&self, args: &[&str]) -> String {
        let answer = self.place.gjob(args).output();
        assert_eq!(answer.code, 0, "{args:?}: {answer:?}");
        answer.stdout
    }
}

#[track_caller]
fn assert_code(answer: &Answer, code: i32) {
    assert_eq!(answer.code, code, "{}{}", answer.stdout, answer.stderr);
}
