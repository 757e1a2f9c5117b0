-- One database per run, made to be queried by hand: begin with the view jobs and the
-- tables hosts and attempts. Times are milliseconds since 1970-01-01T00:00:00Z. States
-- are the words of `gjob status`.

CREATE TABLE run (
    id          TEXT NOT NULL,     -- DATE-N
    identity    INTEGER NOT NULL,  -- tells it from others' runs of that id, on hosts
    created     INTEGER NOT NULL,
    epoch       INTEGER NOT NULL,  -- grows with every manager that takes the run up
    ended       TEXT,              -- why the last manager stopped; NULL while one works or after a crash
    settings    TEXT NOT NULL,     -- JSON: the options of `gjob run` and those that `gjob attach` changed
    revision    INTEGER NOT NULL DEFAULT 0,  -- how often `gjob retry --new-files` replaced inputs
    ino         INTEGER,           -- the number of this file, and when it was made, in nanoseconds:
    born_ns     INTEGER            -- a copy, which has others, is not resumed; NULL where unknown
);

CREATE TABLE hosts (
    ix          INTEGER PRIMARY KEY,
    label       TEXT NOT NULL UNIQUE,
    status      TEXT NOT NULL DEFAULT 'connecting',  -- connecting, up, paused, unreachable, failed
    reason      TEXT,              -- why it cannot be used
    waits_for   TEXT,              -- what its jobs wait for that others use of its machine
    duty        TEXT NOT NULL DEFAULT 'serving',  -- serving, draining, removed: what users want of it
    hostname    TEXT,              -- what it calls itself, and what follows, as of its last login
    version     TEXT,              -- of gjob there
    platform    TEXT,              -- OS-ARCH
    results_dir TEXT,
    boot_id     TEXT,
    cpus        INTEGER,           -- slots: jobs of one processor at once
    mem         INTEGER,           -- bytes
    gpus        INTEGER,
    clock_offset_ms INTEGER,       -- its clock less the manager's
    clock_error_ms  INTEGER,       -- how far off that may be
    logins      INTEGER NOT NULL DEFAULT 0,
    started     INTEGER NOT NULL DEFAULT 0,  -- attempts
    succeeded   INTEGER NOT NULL DEFAULT 0,
    failed      INTEGER NOT NULL DEFAULT 0,  -- attempts that failed by themselves
    host_failures INTEGER NOT NULL DEFAULT 0,  -- attempts that the host refused or lost
    bytes_sent  INTEGER NOT NULL DEFAULT 0,
    bytes_fetched INTEGER NOT NULL DEFAULT 0,
    offset      INTEGER NOT NULL DEFAULT 0,  -- bytes of its run log that are applied here
    history     TEXT NOT NULL DEFAULT 'known'  -- known; awaited: it has yet to tell what it ran, since the run
                                   -- has moved here as a copy; told: others have; missed: it was lost before
);

-- What was asked for. It never changes.
CREATE TABLE specs (
    idx         INTEGER PRIMARY KEY,
    name        TEXT,
    command     TEXT NOT NULL,     -- the script
    spec        TEXT NOT NULL      -- JSON: all of it
);

-- How far each job is; see the view jobs.
CREATE TABLE progress (
    idx         INTEGER PRIMARY KEY REFERENCES specs(idx),
    state       TEXT NOT NULL DEFAULT 'free',     -- free, busy, done, unknown, error
    phase       TEXT NOT NULL DEFAULT 'waiting',  -- waiting, assigned, running, collecting, ended
    attempt     INTEGER NOT NULL DEFAULT 0,  -- the one that counts, else the latest; 0 before the first
    last_attempt INTEGER NOT NULL DEFAULT 0,
    failures    INTEGER NOT NULL DEFAULT 0,  -- of its own
    raised_mem  INTEGER,           -- bytes it gets by now, more than its spec says: it ran out of memory
    paused      INTEGER NOT NULL DEFAULT 0,
    resumed     INTEGER NOT NULL DEFAULT 0,  -- 1 when its attempt was paused and resumed
    kill        INTEGER NOT NULL DEFAULT 0,  -- 1 when a user wants it killed
    reason      TEXT,              -- why it is not done
    ended       INTEGER
);

CREATE TABLE attempts (
    idx         INTEGER NOT NULL REFERENCES specs(idx),
    attempt     INTEGER NOT NULL,
    host        INTEGER NOT NULL REFERENCES hosts(ix),
    outcome     TEXT,              -- exited, refused, withdrawn, lost, abandoned; NULL while under way
    assigned    INTEGER NOT NULL,
    revision    INTEGER NOT NULL DEFAULT 0,  -- of the inputs that it has
    id          TEXT,              -- HOSTNAME/DATE-N, its directory below the results directory
    started     INTEGER,           -- by the manager's clock, as far as the host's offset is known
    ended       INTEGER,
    exit        INTEGER,
    signal      INTEGER,
    cause       TEXT,              -- timeout, memory, killed, interrupted, superseded, lease, clock: why it was ended
    reason      TEXT,
    user_us     INTEGER,
    system_us   INTEGER,
    max_rss_kib INTEGER,
    read_bytes  INTEGER,           -- from disks
    written_bytes INTEGER,         -- for disks
    stdout_bytes INTEGER,
    stderr_bytes INTEGER,
    survivors   TEXT,              -- JSON: pids of its processes that could not be ended
    processors  TEXT,              -- JSON: the processors that it is bound to, by number
    PRIMARY KEY (idx, attempt)
) WITHOUT ROWID;

-- `exit` is the exit status that counts: none for a job that is not done for another
-- reason, such as one that was killed and exited with 0.
CREATE VIEW jobs AS
    SELECT idx, name, command, state, phase, attempt, host, id,
           CASE WHEN exit <> 0 OR state IN ('busy', 'done') THEN exit END AS exit,
           signal, cause, p.reason,
           started, p.ended, failures, paused, user_us, system_us, max_rss_kib,
           read_bytes, written_bytes
    FROM specs JOIN progress p USING (idx) LEFT JOIN attempts USING (idx, attempt);

CREATE TABLE inputs (
    path        TEXT NOT NULL,     -- as jobs name it
    revision    INTEGER NOT NULL,  -- 0: as the run was submitted with; those of the last one count
    nth         INTEGER NOT NULL,  -- 0: what is there; from 1: the files in that directory
    file        BLOB NOT NULL,     -- where it was
    hash        TEXT NOT NULL,     -- blake3, hexadecimal; a directory's is its list's
    size        INTEGER NOT NULL,
    mode        INTEGER NOT NULL,
    mtime_ns    INTEGER NOT NULL,
    ino         INTEGER NOT NULL,
    list        BLOB,              -- a directory's list, as it is sent
    PRIMARY KEY (path, revision, nth)
);

-- Jobs of past runs that were left out, as done, and whose outputs jobs of this run need.
CREATE TABLE past_jobs (
    nth         INTEGER PRIMARY KEY,
    run         TEXT NOT NULL,     -- DATE-N
    idx         INTEGER NOT NULL,  -- its index there
    name        TEXT NOT NULL,     -- by which jobs ask for its outputs
    place       TEXT NOT NULL,     -- the directory of its outputs in the directories of other jobs
    dir         BLOB NOT NULL,     -- where its outputs are
    identity    TEXT NOT NULL      -- what it does, as a hash, which later runs compare
);

-- Their outputs, as their runs had recorded them.
CREATE TABLE past_outputs (
    nth         INTEGER NOT NULL REFERENCES past_jobs(nth),
    path        TEXT NOT NULL,     -- below the job's directory
    size        INTEGER NOT NULL,
    mode        INTEGER NOT NULL,
    hash        TEXT NOT NULL,     -- blake3, hexadecimal
    PRIMARY KEY (nth, path)
) WITHOUT ROWID;

-- What the directories of jobs' outputs are called in the directories of other jobs, where
-- that is not what it would be without the jobs that were left out.
CREATE TABLE places (
    idx         INTEGER PRIMARY KEY REFERENCES specs(idx),
    place       TEXT NOT NULL
);

-- What is run once on a host besides its jobs (--setup, --teardown), each time that it was.
CREATE TABLE host_tasks (
    host        INTEGER NOT NULL REFERENCES hosts(ix),
    task        TEXT NOT NULL,     -- setup, teardown
    idx         INTEGER NOT NULL,  -- as the host knows it: behind those of all jobs
    attempt     INTEGER NOT NULL,
    outcome     TEXT,              -- these and what follows as in attempts
    assigned    INTEGER NOT NULL,
    revision    INTEGER NOT NULL DEFAULT 0,
    boot_id     TEXT NOT NULL,     -- the host's boot when it was assigned
    setups      INTEGER NOT NULL,  -- the set-up that came before it, by its attempt
    jobs        INTEGER NOT NULL,  -- the attempts of jobs that had started on the host before it
    id          TEXT,
    started     INTEGER,
    ended       INTEGER,
    exit        INTEGER,
    signal      INTEGER,
    cause       TEXT,
    reason      TEXT,              -- why it has not succeeded
    user_us     INTEGER,
    system_us   INTEGER,
    max_rss_kib INTEGER,
    read_bytes  INTEGER,           -- from disks
    written_bytes INTEGER,         -- for disks
    stdout_bytes INTEGER,
    stderr_bytes INTEGER,
    survivors   TEXT,
    PRIMARY KEY (host, task, attempt)
) WITHOUT ROWID;

-- The jobs' outputs that are local, below the run's output directory.
CREATE TABLE outputs (
    idx         INTEGER NOT NULL REFERENCES specs(idx),
    path        TEXT NOT NULL,     -- below the job's directory
    attempt     INTEGER NOT NULL,
    size        INTEGER NOT NULL,
    mode        INTEGER NOT NULL,
    hash        TEXT NOT NULL,     -- blake3, hexadecimal
    PRIMARY KEY (idx, path)
) WITHOUT ROWID;

CREATE TABLE events (
    seq         INTEGER PRIMARY KEY,
    at          INTEGER NOT NULL,
    event       TEXT NOT NULL      -- JSON, as `gjob run --events` writes it
);
