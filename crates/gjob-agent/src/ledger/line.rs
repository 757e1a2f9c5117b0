//! What a file of the ledger says, in one line of JSON: of a share, what its slot's job
//! has of the machine; of a waiter, what it waits for.

use gjob_core::resources::Cpus;
use gjob_core::wire::ManagedAt;
use serde::{Deserialize, Serialize};

/// What a job has of its machine, or asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Held {
    /// Processors; `"all"` for all that there are.
    pub(crate) cpus: Cpus,
    /// Memory, bytes; 0 for any amount.
    pub(crate) mem: u64,
    /// GPUs, as `CUDA_VISIBLE_DEVICES` names them.
    pub(crate) gpus: Vec<String>,
    /// Processors that it is bound to, by their numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) bound: Vec<u32>,
}

impl Held {
    /// Nothing.
    pub(crate) fn nothing() -> Self {
        Held { cpus: Cpus::Count(0), mem: 0, gpus: Vec::new(), bound: Vec::new() }
    }
}

/// What a run has of its machine for all its jobs together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Offer {
    /// Processors.
    pub(crate) cpus: u32,
    /// Memory, bytes.
    pub(crate) mem: u64,
}

/// What a waiter waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Turn {
    /// Earlier waiters have lower numbers.
    pub(crate) ticket: u64,
    /// What its run has of the machine.
    pub(crate) offer: Offer,
    /// The number of GPUs that it asks for.
    pub(crate) gpus: u32,
    /// The number of processors to which its job is to be bound alone.
    #[serde(default)]
    pub(crate) bound: u32,
}

/// Who writes a line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Writer {
    /// Its run, as hosts know it.
    pub(crate) run: String,
    /// Where that is managed.
    #[serde(default)]
    pub(crate) managed: ManagedAt,
    /// Its agent's pid, for people.
    pub(crate) agent: u32,
    /// The processors that it may use, as ranges. Those of two allocations of a batch
    /// system on one machine have none in common.
    pub(crate) processors: Vec<(u32, u32)>,
    /// The shares that its run itself runs in, if a job has started it.
    pub(crate) within: Vec<String>,
}

impl Writer {
    /// True if both may use some processor.
    pub(crate) fn meets(&self, other: &Writer) -> bool {
        let mut pairs =
            self.processors.iter().flat_map(|a| other.processors.iter().map(move |b| (a, b)));
        pairs.any(|(a, b)| a.0 <= b.1 && b.0 <= a.1)
    }
}

/// One file's content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Line {
    /// Who has written it.
    #[serde(flatten)]
    pub(crate) writer: Writer,
    /// What is held, or asked for.
    #[serde(flatten)]
    pub(crate) held: Held,
    /// Of a waiter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) turn: Option<Turn>,
}

#[cfg(test)]
mod tests {
    use gjob_core::resources::ranges;

    use super::*;

    #[test]
    fn line_is_plain_json() {
        let writer = Writer {
            run: "r".into(),
            managed: ManagedAt { machine: "m".into(), state_dir: "/s".into() },
            agent: 7,
            processors: ranges([0, 1, 2, 5].into_iter()),
            within: vec!["a".into()],
        };
        let held = Held { cpus: Cpus::Count(2), mem: 3, gpus: vec!["0".into()], bound: vec![1, 5] };
        let line = Line { writer, held, turn: None };
        let json = r#"{"run":"r","managed":{"machine":"m","state_dir":"/s"},"agent":7,"processors":[[0,2],[5,5]],"within":["a"],"cpus":2,"mem":3,"gpus":["0"],"bound":[1,5]}"#;
        assert_eq!(serde_json::to_string(&line).unwrap(), json);
        assert_eq!(serde_json::from_str::<Line>(json).unwrap(), line);
    }

    #[test]
    fn writers_meet_on_a_common_processor() {
        let on = |numbers: &[u32]| Writer {
            processors: ranges(numbers.iter().copied()),
            ..Writer::default()
        };
        assert!(on(&[0, 1, 2]).meets(&on(&[2, 3])));
        assert!(!on(&[0, 1, 4]).meets(&on(&[2, 3])));
        assert!(!on(&[]).meets(&on(&[2, 3])));
    }
}
