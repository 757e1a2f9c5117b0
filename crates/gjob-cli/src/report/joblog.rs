//! `--joblog FILE`: a line per ended job, in GNU parallel's columns.

use std::io;
use std::path::Path;

use gjob::manager::Handler;
use gjob_core::Job;

use super::lines::LineFile;

#[derive(Debug)]
pub(super) struct JobLogFile(pub(super) LineFile);

const HEADER: &str = "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n";

impl JobLogFile {
    /// Opens it, and writes the header unless the file has content.
    pub(super) fn open(path: &Path, add: bool) -> io::Result<Self> {
        let mut file = LineFile::open(path, add)?;
        if file.is_empty()? {
            file.write(HEADER.as_bytes());
        }
        Ok(JobLogFile(file))
    }
}

impl Handler for JobLogFile {
    fn handle_job_done(&mut self, job: &Job) {
        self.0.write(line(job).as_bytes());
    }
}

fn line(job: &Job) -> String {
    let seq = job.index + 1;
    let host = job.host().map_or("-", |host| host.as_str());
    let command = job.spec.cmds.join("; ").replace(['\n', '\t'], " ");
    let Some(finish) = job.finish() else {
        return format!("{seq}\t{host}\t-\t-\t0\t0\t-\t-\t{command}\n");
    };
    let start = finish.started.as_secs_f64();
    let runtime = finish.ended.as_secs_f64() - start;
    let receive = finish.stdout_bytes.saturating_add(finish.stderr_bytes);
    let (exit, signal) = match (job.exit(), job.signal()) {
        (Some(code), _) => (i32::from(code), 0),
        (None, Some(number)) => (0, number),
        // Who reads these columns takes 0 and 0 for a job that is done.
        (None, None) => (-1, 0),
    };
    format!(
        "{seq}\t{host}\t{start:.3}\t{runtime:10.3}\t0\t{receive}\t{exit}\t{signal}\t{command}\n"
    )
}

#[cfg(test)]
mod tests {
    use gjob_core::job::Phase;
    use gjob_core::{Ending, Finish, JobSpec, Key, State, Timestamp};

    use super::*;

    #[test]
    fn a_line_has_gnu_parallels_columns() {
        let mut job = Job::new(JobSpec::new(["echo 'a\tb'", "true"]).unwrap());
        assert_eq!(line(&job), "1\t-\t-\t-\t0\t0\t-\t-\techo 'a b'; true\n");
        let (key, id) = (Key::new(0, 1), "h1/2026-11-22-1".parse().unwrap());
        job = Job::launched(job.spec, key, "h1".parse().unwrap(), id);
        let shown = job.attempt.as_mut().unwrap();
        shown.finish = Some(Box::new(Finish {
            key: None,
            id: "h1/2026-11-22-1".parse().unwrap(),
            ending: Ending::Exit(7),
            cause: None,
            started: Timestamp(1_000_500),
            ended: Timestamp(1_002_750),
            user_us: 0,
            system_us: 0,
            max_rss_kib: 0,
            read_bytes: 0,
            written_bytes: 0,
            stdout_bytes: 3,
            stderr_bytes: 4,
            survivors: Vec::new(),
        }));
        assert_eq!(line(&job), "1\th1\t1000.500\t     2.250\t0\t7\t7\t0\techo 'a b'; true\n");
        let shown = job.attempt.as_mut().unwrap();
        shown.finish.as_mut().unwrap().ending = Ending::Exit(0);
        job.phase = Phase::Ended(State::Error);
        assert_eq!(line(&job), "1\th1\t1000.500\t     2.250\t0\t7\t-1\t0\techo 'a b'; true\n");
        assert_eq!(HEADER.matches('\t').count(), line(&job).matches('\t').count());
    }
}
