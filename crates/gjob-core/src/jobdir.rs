//! The names in a job directory that belong to gjob. Inputs cannot have them,
//! and wildcards in output patterns do not match them.

/// One of gjob's own files in a job directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OwnFile {
    /// The script.
    Script,
    /// What was requested: the job's record.
    Job,
    /// The script's shell.
    Pid,
    /// Names the slot that has the job, and is locked while anything of it lives.
    Lock,
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// The exit record.
    Done,
    /// Room for the exit record, filled and then renamed.
    DoneReserved,
    /// The exit record on its way when its room was lost.
    DoneRewritten,
    /// An order given by hand.
    Order,
    /// The order that the slot is carrying out.
    OrderTaken,
    /// The last order that was carried out.
    OrderDone,
}

/// What the names of orders that are being written begin with.
const ORDER_PART: &str = ".control.";

impl OwnFile {
    /// All of them.
    pub const ALL: [OwnFile; 12] = [
        OwnFile::Script,
        OwnFile::Job,
        OwnFile::Pid,
        OwnFile::Lock,
        OwnFile::Stdout,
        OwnFile::Stderr,
        OwnFile::Done,
        OwnFile::DoneReserved,
        OwnFile::DoneRewritten,
        OwnFile::Order,
        OwnFile::OrderTaken,
        OwnFile::OrderDone,
    ];

    /// What a job writes to its standard output and error. They are outputs only
    /// when a pattern names them literally.
    pub const STREAMS: [OwnFile; 2] = [OwnFile::Stdout, OwnFile::Stderr];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            OwnFile::Script => ".cmds",
            OwnFile::Job => ".job",
            OwnFile::Pid => ".pid",
            OwnFile::Lock => ".lock",
            OwnFile::Stdout => "log",
            OwnFile::Stderr => "err",
            OwnFile::Done => ".done",
            OwnFile::DoneReserved => ".done.new",
            OwnFile::DoneRewritten => ".done.again",
            OwnFile::Order => ".control",
            OwnFile::OrderTaken => ".controlling",
            OwnFile::OrderDone => ".controlled",
        }
    }
}

/// The name under which process `pid` writes an order before it is renamed.
#[must_use]
pub fn order_part_name(pid: u32) -> String {
    format!("{ORDER_PART}{pid}")
}

/// True for a name that only gjob may use in a job directory.
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    name.starts_with(ORDER_PART) || OwnFile::ALL.iter().any(|file| file.name() == name)
}

/// True for the file of one of a job's output streams.
#[must_use]
pub fn is_stream(name: &str) -> bool {
    OwnFile::STREAMS.iter().any(|file| file.name() == name)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn own_files_and_orders_being_written_are_reserved() {
        let names: HashSet<&str> = OwnFile::ALL.iter().map(|file| file.name()).collect();
        assert_eq!(names.len(), OwnFile::ALL.len());
        assert!(names.into_iter().all(is_reserved));
        assert!(is_reserved(&order_part_name(7)) && is_reserved(".control.x"));
        for free in ["", "log2", ".control2", ".done.old", "d/log", ".bashrc"] {
            assert!(!is_reserved(free), "{free}");
        }
        assert!(is_stream("log") && is_stream("err") && !is_stream(".cmds"));
    }
}
