-- One database per run, made to be queried by hand. Times are milliseconds
-- since 1970-01-01T00:00:00Z. States are the words of `gjob status`.

CREATE TABLE run (
    id          TEXT NOT NULL,     -- DATE-N
    identity    INTEGER NOT NULL,  -- tells it from others' runs of that id, on hosts
    created     INTEGER NOT NULL,
    epoch       INTEGER NOT NULL,  -- grows with every manager that takes the run up
    ended       TEXT,              -- why the last manager stopped; NULL while one works or after a crash
    settings    TEXT NOT NULL      -- JSON: what `gjob run` was asked, for `gjob attach`
);

CREATE TABLE hosts (
    ix          INTEGER PRIMARY KEY,
    label       TEXT NOT NULL UNIQUE,
    state       TEXT NOT NULL,     -- free, busy, unknown, error
    reason      TEXT,
    hostname    TEXT,
    slots       INTEGER,
    offset      INTEGER NOT NULL DEFAULT 0  -- bytes of its run log that are applied here
);

CREATE TABLE jobs (
    idx         INTEGER PRIMARY KEY,
    name        TEXT,
    spec        TEXT NOT NULL,     -- JSON
    state       TEXT NOT NULL DEFAULT 'free',
    attempt     INTEGER NOT NULL DEFAULT 0,
    collecting  INTEGER NOT NULL DEFAULT 0,  -- 1 while the attempt's outputs are on their way here
    failures    INTEGER NOT NULL DEFAULT 0,
    paused      INTEGER NOT NULL DEFAULT 0,
    resumed     INTEGER NOT NULL DEFAULT 0,  -- 1 when its attempt was paused and is to go on
    kill        INTEGER NOT NULL DEFAULT 0,  -- 1 when a user wants its attempt ended
    host        INTEGER REFERENCES hosts(ix),
    id          TEXT,              -- HOSTNAME/DATE-N
    exit        INTEGER,
    signal      INTEGER,
    reason      TEXT,
    started     INTEGER,
    ended       INTEGER
);

CREATE TABLE inputs (
    path        TEXT NOT NULL,     -- as jobs name it
    nth         INTEGER NOT NULL,  -- 0: what is there; from 1: the files in that directory
    file        BLOB NOT NULL,     -- where it was
    hash        TEXT NOT NULL,     -- blake3, hexadecimal; a directory's is its list's
    size        INTEGER NOT NULL,
    mode        INTEGER NOT NULL,
    mtime_ns    INTEGER NOT NULL,
    ino         INTEGER NOT NULL,
    list        BLOB,              -- a directory's list, as it is sent
    PRIMARY KEY (path, nth)
);

-- What is here of the jobs' outputs, below the run's output directory.
CREATE TABLE outputs (
    idx         INTEGER NOT NULL REFERENCES jobs(idx),
    path        TEXT NOT NULL,     -- below the job's directory
    attempt     INTEGER NOT NULL,
    size        INTEGER NOT NULL,
    mode        INTEGER NOT NULL,
    hash        TEXT NOT NULL,     -- blake3, hexadecimal
    PRIMARY KEY (idx, path)
) WITHOUT ROWID;

CREATE TABLE attempts (
    idx         INTEGER NOT NULL REFERENCES jobs(idx),
    attempt     INTEGER NOT NULL,
    host        INTEGER NOT NULL REFERENCES hosts(ix),
    outcome     TEXT,              -- exit, signal, refused, withdrawn, lost, abandoned; NULL while under way
    assigned    INTEGER NOT NULL,
    id          TEXT,
    started     INTEGER,           -- by the host's clock, like `ended`
    ended       INTEGER,
    exit        INTEGER,
    signal      INTEGER,
    cause       TEXT,              -- timeout, killed, superseded, lease: why gjob ended it
    reason      TEXT,
    user_us     INTEGER,
    system_us   INTEGER,
    max_rss_kib INTEGER,
    stdout_bytes INTEGER,
    stderr_bytes INTEGER,
    PRIMARY KEY (idx, attempt)
) WITHOUT ROWID;

CREATE TABLE events (
    seq         INTEGER PRIMARY KEY,
    at          INTEGER NOT NULL,
    event       TEXT NOT NULL      -- JSON, as `gjob run --events` writes it
);
