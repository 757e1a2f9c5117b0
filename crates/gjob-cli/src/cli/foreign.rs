//! Words of other programs, and what to type instead. Those that mean exactly the same
//! are aliases of gjob's own and not here.

/// A word that gjob does not know, and what to say about it.
type Word = (&'static str, &'static str);

/// What to type instead of an option of GNU parallel, xargs, Slurm, HyperQueue, clush
/// or pdsh.
pub(super) fn option(word: &str) -> Option<&'static str> {
    let name = word.split_once('=').map_or(word, |(name, _)| name);
    find(OPTIONS, name)
}

/// What to type instead of a command of such a program.
pub(super) fn command(word: &str) -> Option<&'static str> {
    find(COMMANDS, word)
}

/// What to type instead of a word that one of gjob's own commands does not take, or (an
/// empty word) where it takes one and there is none.
pub(super) fn slip(command: &str, word: &str) -> Option<&'static str> {
    let name = word.split_once('=').map_or(word, |(name, _)| name);
    let is_number = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    let name = if is_number { NUMBER } else { name };
    let is_it = |(of, slip, _): &&(&str, &str, &str)| *of == command && *slip == name;
    SLIPS.iter().find(is_it).map(|(_, _, advice)| *advice)
}

/// Stands for any number among the slips.
const NUMBER: &str = "N";

const JOBS: &str = "name jobs by number, range or name, as `gjob status` lists them: 3, 3-7, fit";
const LINES_OF_LOG: &str = "--tail N shows the last N lines";
const NAMED_RUN: &str = "name a run, as `gjob runs` lists them";

/// Slips among gjob's own commands: the command, the word, and what to type instead.
const SLIPS: &[(&str, &str, &str)] = &[
    ("run", "--retry", "--retries N runs a failed job again; `gjob retry` is for past runs"),
    ("run", "--dry", "--dry-run shows jobs and hosts, and starts nothing"),
    ("run", "--tail", "`gjob logs --tail N JOB` shows the last lines of a job"),
    ("kill", "", "name jobs (3, 3-7, fit), or --all: `gjob status` lists them"),
    ("pause", "", JOBS),
    ("resume", "", JOBS),
    ("explain", "", JOBS),
    ("clean", "", NAMED_RUN),
    ("retry", "--all", "without a job it retries all that failed"),
    ("retry", "--failed", "without a job it retries all that failed"),
    ("kill", "-9", "jobs get SIGTERM, and SIGKILL 10 s later"),
    ("logs", "-n", LINES_OF_LOG),
    ("logs", "--lines", LINES_OF_LOG),
    ("logs", "--head", "gjob logs JOB | head"),
    ("logs", "--all", "without a job it shows all that have started"),
    ("logs", "--host", "`gjob status --host GLOB` lists the jobs of a host"),
    ("runs", NUMBER, "-n N lists the last N runs; `gjob status N` shows the run that ends in N"),
    ("runs", "--all", "it lists all runs"),
    ("runs", "-a", "it lists all runs"),
    ("runs", "--limit", "-n N lists the last N runs"),
    ("status", "-f", "-w shows the status again and again"),
    ("status", "--follow", "-w shows the status again and again"),
    ("status", "-n", "`gjob runs -n N` lists the last N runs"),
    ("status", "--failed", "--state failed"),
    ("status", "--running", "--state running"),
];

fn find(words: &[Word], word: &str) -> Option<&'static str> {
    words.iter().find(|(foreign, _)| *foreign == word).map(|(_, advice)| *advice)
}

const PROGRESS: &str = "a terminal shows progress by itself; `gjob status -w` shows it elsewhere";
const SCRATCH: &str = "a job runs in a directory of its own: -f copies files into it";
const GPUS: &str = "--gpus N is the number of GPUs per job";
const CPUS: &str = "--cpus N is the number of CPUs per job";
const AFTER: &str = "jobs in a file wait for others with the field `after`";
const ARRAY: &str = "a job per number: gjob run -- CMD {} ::: $(seq 1 10)";
const COMMAND: &str = "a command goes after --: gjob run -- CMD";
const DURATION: &str = "--timeout 1h30m kills an attempt that runs longer";
const HOSTS: &str = "-H HOSTS names the hosts: -H node[1-4]";
const STREAMS: &str = "`gjob logs JOB` shows a job's output; --results keeps it in files";
const LINES: &str = "a job per line of a file: gjob run -- CMD {} :::: FILE";
const VALUES: &str = "{} stands for the value: gjob run -- CMD {} ::: a b c";
const SKIP: &str = "`gjob attach` resumes a run; --skip-done RUN skips what is done in another one";
const RETRY: &str = "`gjob retry` runs the failed jobs of a run again, `gjob attach` resumes it";
const EACH: &str = "--each-host runs one command on every host: gjob run --each-host -- CMD";
const LOGIN: &str = "users, keys and ports are for ~/.ssh/config, or -F FILE";
const DETACH: &str = "gjob run --detach; gjob attach --detach for a run that has begun";
const NOT_NEEDED: &str = "it is not needed: leave it out";

const OPTIONS: &[Word] = &[
    // GNU parallel and xargs
    ("--halt-on-error", "--max-fails N starts no more jobs after N failures"),
    ("--resume", SKIP),
    ("--resume-failed", RETRY),
    ("--retry-failed", RETRY),
    ("--bar", PROGRESS),
    ("--eta", PROGRESS),
    ("--progress", PROGRESS),
    ("--colsep", "for a value per column give lists, ::: a b ::: 1 2, or a job file in TOML"),
    ("-C", "for a value per column give lists, ::: a b ::: 1 2, or a job file in TOML"),
    ("--link", ":::+ pairs the values of two lists: ::: a b :::+ 1 2"),
    ("--xapply", ":::+ pairs the values of two lists: ::: a b :::+ 1 2"),
    ("--arg-file", LINES),
    ("-a", LINES),
    ("--max-args", VALUES),
    ("--max-lines", VALUES),
    ("--max-replace-args", VALUES),
    ("-L", VALUES),
    ("-X", VALUES),
    ("-m", VALUES),
    ("-I", VALUES),
    ("--replace", VALUES),
    ("--pipe", "jobs read no standard input: split it into files, and send them with -f"),
    ("--pipepart", "jobs read no standard input: split it into files, and send them with -f"),
    ("--block", "jobs read no standard input: split it into files, and send them with -f"),
    ("--onall", EACH),
    ("--transferfile", "-f FILE copies files to the jobs; {} in it stands for the value"),
    ("--transfer", "-f FILE copies files to the jobs; {} in it stands for the value"),
    ("--trc", "-f FILE -o GLOB --cleanup"),
    ("--workdir", SCRATCH),
    ("--wd", SCRATCH),
    ("--tagstring", "--tag prefixes lines with the job's name; --name sets that"),
    ("--group", "output is shown job by job; `gjob logs -f JOB` follows a running one"),
    ("--ungroup", "output is shown job by job; `gjob logs -f JOB` follows a running one"),
    ("--line-buffer", "output is shown job by job; `gjob logs -f JOB` follows a running one"),
    ("--lb", "output is shown job by job; `gjob logs -f JOB` follows a running one"),
    ("-u", "output is shown job by job; `gjob logs -f JOB` follows a running one"),
    ("--memfree", "--mem SIZE is the memory per job, which its host reserves"),
    ("--shuf", "jobs start in their order: gjob run -- CMD {} ::: $(shuf -e a b c)"),
    ("--quote", "values are quoted already; put the command in quotes for the rest"),
    ("--no-run-if-empty", NOT_NEEDED),
    ("--will-cite", NOT_NEEDED),
    ("--citation", NOT_NEEDED),
    ("--plus", NOT_NEEDED),
    ("--sshdelay", NOT_NEEDED),
    ("--controlmaster", NOT_NEEDED),
    ("-M", NOT_NEEDED),
    ("--ssh", "GJOB_SSH=PROGRAM sets another ssh; --connect is for other commands"),
    // Slurm
    ("--array", ARRAY),
    ("--dependency", AFTER),
    ("--partition", "-H @GROUP names a group of hosts in gjob.toml"),
    ("-p", "-H @GROUP names a group of hosts in gjob.toml"),
    ("--nodes", HOSTS),
    ("-N", HOSTS),
    ("--nodefile", "--hosts-file FILE"),
    ("--nodelist-file", "--hosts-file FILE"),
    ("--exclude", HOSTS),
    ("-x", HOSTS),
    ("--ntasks", "-n N runs N copies of each job"),
    ("--ntasks-per-node", "-j N runs N jobs at once per host"),
    ("--cpus-per-task", CPUS),
    ("--exclusive", "--cpus all takes a whole host per job"),
    ("--mem-per-cpu", "--mem SIZE is the memory per job"),
    ("--gres", GPUS),
    ("--gpus-per-task", GPUS),
    ("--gpus-per-node", GPUS),
    ("-G", GPUS),
    ("--time", DURATION),
    ("-t", DURATION),
    ("-J", "--name NAME"),
    ("--error", STREAMS),
    ("-e", STREAMS),
    ("--stdout", STREAMS),
    ("--stderr", STREAMS),
    ("--wrap", COMMAND),
    ("--export", "--env NAME=VALUE sets a variable"),
    ("--requeue", "--retries N runs a failed job again"),
    ("--chdir", SCRATCH),
    ("--cwd", SCRATCH),
    ("-D", SCRATCH),
    ("--wait", "it is not needed: `gjob run` returns when the run has ended"),
    ("-W", "it is not needed: `gjob run` returns when the run has ended"),
    ("--account", NOT_NEEDED),
    ("-A", NOT_NEEDED),
    ("--qos", NOT_NEEDED),
    ("--mail-type", "put it behind: gjob run …; mail -s done me"),
    ("--mail-user", "put it behind: gjob run …; mail -s done me"),
    ("--hold", "`gjob pause JOB` keeps a job from starting"),
    ("--begin", "cron or at can start gjob at a time"),
    ("--test-only", "--dry-run"),
    ("--parsable", "--json is for programs, of `gjob status` and `gjob runs`"),
    // HyperQueue
    ("--each-line", LINES),
    ("--from-json", "a job file in JSON Lines (.jsonl) has a job per line"),
    ("--crash-limit", "--retries N runs a failed job again"),
    ("--priority", "jobs start in their order"),
    ("--directives", "options are read from the command line and from gjob.toml"),
    ("--manager", NOT_NEEDED),
    // clush, pdsh, ansible, ssh
    ("-b", "--tag names the job of each line"),
    ("-g", "-H @GROUP names a group of hosts in gjob.toml"),
    ("--fanout", "-j N runs N jobs at once per host"),
    ("--inventory", "--hosts-file FILE"),
    ("--forks", "-j N runs N jobs at once per host"),
    ("-i", LOGIN),
    ("-l", LOGIN),
    ("--user", LOGIN),
    ("--key", LOGIN),
    ("--port", LOGIN),
    ("--identity", LOGIN),
    // What runs could be asked for
    ("--log", "--joblog FILE has a line per job, --events FILE all that happens"),
    ("--logfile", "--joblog FILE has a line per job, --events FILE all that happens"),
    ("--output-dir", "--into DIR"),
    ("--outdir", "--into DIR"),
    ("--config", "gjob.toml is found by itself; -F FILE is for ssh's configuration"),
    ("--max-retries", "--retries N"),
    ("--restart", "--retries N"),
    ("--inputs", "-f PATH"),
    ("--input", "-f PATH"),
    ("--cores", CPUS),
    ("--memory", "--mem SIZE is the memory per job"),
    ("--gpu", GPUS),
    ("--cpu", CPUS),
];

const COMMANDS: &[Word] = &[
    ("submit", "gjob run JOBS, or gjob run -- CMD ::: VALUES"),
    ("sbatch", "gjob run JOBS; a script is one job: gjob run -f job.sh -- ./job.sh"),
    ("qsub", "gjob run JOBS; a script is one job: gjob run -f job.sh -- ./job.sh"),
    ("bsub", "gjob run JOBS; a script is one job: gjob run -f job.sh -- ./job.sh"),
    ("srun", "gjob run -- CMD"),
    ("start", "gjob run JOBS, or gjob attach to resume a run"),
    ("exec", "gjob run -H HOSTS -- CMD, or gjob remote cmd JOB-ID in a job's directory"),
    ("ssh", "gjob run -H HOSTS -- CMD, or gjob remote cmd JOB-ID in a job's directory"),
    ("parallel", "gjob run -- CMD {} ::: VALUES"),
    ("map", "gjob run -- CMD {} ::: VALUES"),
    ("sweep", "gjob run -- CMD {1} {2} ::: a b ::: 1 2, or a job file in TOML"),
    ("cancel", "gjob kill JOB…, or gjob kill --all"),
    ("scancel", "gjob kill JOB…, or gjob kill --all"),
    ("qdel", "gjob kill JOB…, or gjob kill --all"),
    ("bkill", "gjob kill JOB…, or gjob kill --all"),
    ("stop", "gjob kill JOB… ends jobs; gjob pause JOB… keeps them for later"),
    ("abort", "gjob kill JOB…, or gjob kill --all"),
    ("rm", "gjob clean RUN removes a run's files from its hosts; gjob kill JOB… ends jobs"),
    ("delete", "gjob clean RUN removes a run's files from its hosts; gjob kill JOB… ends jobs"),
    ("remove", "gjob clean RUN removes a run's files from its hosts; gjob kill JOB… ends jobs"),
    ("prune", "gjob clean RUN removes a run's files from its hosts"),
    ("purge", "gjob clean RUN removes a run's files from its hosts"),
    ("gc", "gjob clean RUN removes a run's files from its hosts"),
    ("hold", "gjob pause JOB…"),
    ("suspend", "gjob pause JOB…"),
    ("release", "gjob resume JOB…"),
    ("unpause", "gjob resume JOB…"),
    ("continue", "gjob resume JOB… for paused jobs, gjob attach for a stopped run"),
    ("requeue", "gjob retry [JOB…]"),
    ("rerun", "gjob retry [JOB…]"),
    ("restart", "gjob retry [JOB…] for failed jobs, gjob attach for a stopped run"),
    ("watch", "gjob top shows a run on the whole screen, gjob attach follows it"),
    ("follow", "gjob attach follows a run, gjob logs -f JOB the output of a job"),
    ("wait", "gjob attach returns when the run has ended"),
    ("tail", "gjob logs -f JOB, or gjob logs --tail 20 JOB"),
    ("cat", "gjob logs JOB"),
    ("output", "gjob logs JOB shows what a job printed, gjob fetch gets its files"),
    ("info", "gjob status for a run, gjob explain JOB for a job"),
    ("show", "gjob status for a run, gjob explain JOB for a job"),
    ("describe", "gjob status for a run, gjob explain JOB for a job"),
    ("inspect", "gjob status for a run, gjob explain JOB for a job"),
    ("why", "gjob explain JOB"),
    ("scontrol", "gjob explain JOB shows a job, gjob pause and gjob resume act on it"),
    ("sacct", "gjob runs, or gjob status --all -R RUN"),
    ("history", "gjob runs"),
    ("job", "gjob explain JOB, gjob logs JOB, gjob kill JOB"),
    ("jobs", "gjob status --all"),
    ("sinfo", "gjob hosts, or gjob status for the hosts of a run"),
    ("nodes", "gjob hosts, or gjob status for the hosts of a run"),
    ("workers", "gjob hosts, or gjob status for the hosts of a run"),
    ("check", "gjob hosts -H HOSTS"),
    ("doctor", "gjob hosts -H HOSTS"),
    ("ping", "gjob hosts -H HOSTS"),
    ("df", "gjob du shows the room that gjob takes, gjob hosts the room that is left"),
    ("worker", "gjob needs no workers to be started: gjob run -H HOSTS JOBS"),
    ("server", "gjob needs no server to be started: gjob run -H HOSTS JOBS"),
    ("cp", "-f PATH of gjob run copies to the jobs, gjob fetch from them"),
    ("scp", "-f PATH of gjob run copies to the jobs, gjob fetch from them"),
    ("get", "gjob fetch [JOB…]"),
    ("pull", "gjob fetch [JOB…]"),
    ("download", "gjob fetch [JOB…]"),
    ("results", "gjob fetch [JOB…] gets files, gjob logs JOB… shows what was printed"),
    ("push", "-f PATH of gjob run copies to the jobs"),
    ("upload", "-f PATH of gjob run copies to the jobs"),
    ("detach", DETACH),
    ("init", "no set-up is needed: gjob run -H HOST -- hostname"),
    ("install", "no set-up is needed: gjob run -H HOST -- hostname"),
    ("config", "gjob.toml has hosts and defaults; see README"),
    ("version", "gjob --version"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    fn words(table: &[Word]) -> BTreeSet<String> {
        table.iter().map(|(word, _)| (*word).to_owned()).collect()
    }

    #[test]
    fn each_word_is_there_once_and_has_advice_of_one_line() {
        for table in [OPTIONS, COMMANDS] {
            assert_eq!(words(table).len(), table.len());
            assert!(table.iter().all(|(_, advice)| !advice.contains('\n') && advice.len() < 90));
        }
    }

    #[test]
    fn each_slip_is_of_a_command_and_none_of_its_options() {
        let cli = Cli::command();
        for (command, word, advice) in SLIPS {
            let command = cli.find_subcommand(command).unwrap();
            let longs = command.get_arguments().filter_map(|arg| arg.get_long());
            let shorts = command.get_arguments().filter_map(|arg| arg.get_short());
            assert!(!longs.map(|long| format!("--{long}")).any(|long| long == *word), "{word}");
            assert!(!shorts.map(|short| format!("-{short}")).any(|it| it == *word), "{word}");
            assert!(!advice.contains('\n') && advice.len() < 80, "{advice}");
        }
    }

    #[test]
    fn no_word_is_one_of_gjobs_own() {
        let cli = Cli::command();
        let commands = cli.get_subcommands();
        let commands = commands.flat_map(|it| it.get_all_aliases().chain([it.get_name()]));
        for command in commands {
            assert!(!words(COMMANDS).contains(command), "{command}");
        }
        let run = cli.find_subcommand("run").unwrap();
        for arg in run.get_arguments() {
            let longs = arg.get_long().into_iter().chain(arg.get_all_aliases().unwrap_or_default());
            let shorts = arg.get_short_and_visible_aliases().unwrap_or_default();
            let shorts = shorts.iter().map(|short| format!("-{short}"));
            for option in longs.map(|long| format!("--{long}")).chain(shorts) {
                assert!(!words(OPTIONS).contains(&option), "{option}");
            }
        }
    }
}
