-- Version 3 had a job's specification and its progress in one table, knew less
-- of hosts, and named an exited attempt's outcome by how it ended.

ALTER TABLE run ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
ALTER TABLE run ADD COLUMN ino INTEGER;
ALTER TABLE run ADD COLUMN born_ns INTEGER;

ALTER TABLE hosts RENAME TO hosts_3;
ALTER TABLE jobs RENAME TO jobs_3;
ALTER TABLE attempts RENAME TO attempts_3;
ALTER TABLE outputs RENAME TO outputs_3;
ALTER TABLE inputs RENAME TO inputs_3;

CREATE TABLE hosts (
    ix INTEGER PRIMARY KEY, label TEXT NOT NULL UNIQUE, status TEXT NOT NULL, reason TEXT,
    waits_for TEXT, duty TEXT NOT NULL DEFAULT 'serving',
    hostname TEXT, version TEXT, platform TEXT, results_dir TEXT, boot_id TEXT,
    cpus INTEGER, mem INTEGER, gpus INTEGER, clock_offset_ms INTEGER, clock_error_ms INTEGER,
    logins INTEGER NOT NULL DEFAULT 0, started INTEGER NOT NULL DEFAULT 0,
    succeeded INTEGER NOT NULL DEFAULT 0, failed INTEGER NOT NULL DEFAULT 0,
    host_failures INTEGER NOT NULL DEFAULT 0, bytes_sent INTEGER NOT NULL DEFAULT 0,
    bytes_fetched INTEGER NOT NULL DEFAULT 0, offset INTEGER NOT NULL DEFAULT 0,
    history TEXT NOT NULL DEFAULT 'known'
);
-- How much memory and how many GPUs a host has was not kept: more than enough.
INSERT INTO hosts (ix, label, status, reason, hostname, cpus, mem, gpus, started, offset)
    SELECT ix, label,
           CASE WHEN state = 'free' THEN 'up' WHEN state = 'busy' THEN 'paused'
                WHEN state = 'error' THEN 'failed' WHEN reason IS NULL THEN 'connecting'
                ELSE 'unreachable' END,
           reason, hostname, slots, 9223372036854775807, 0,
           (SELECT count(*) FROM attempts_3 WHERE host = ix AND started IS NOT NULL), offset
    FROM hosts_3;

CREATE TABLE specs (idx INTEGER PRIMARY KEY, name TEXT, command TEXT NOT NULL, spec TEXT NOT NULL);
INSERT INTO specs
    SELECT idx, name, (SELECT group_concat(value, char(10)) FROM json_each(spec, '$.cmds')), spec
    FROM jobs_3;

CREATE TABLE progress (
    idx INTEGER PRIMARY KEY REFERENCES specs(idx), state TEXT NOT NULL, phase TEXT NOT NULL,
    attempt INTEGER NOT NULL, last_attempt INTEGER NOT NULL, failures INTEGER NOT NULL,
    paused INTEGER NOT NULL, resumed INTEGER NOT NULL, kill INTEGER NOT NULL,
    reason TEXT, ended INTEGER, raised_mem INTEGER
);
INSERT INTO progress
    SELECT idx, state,
           CASE WHEN state = 'free' THEN 'waiting' WHEN state <> 'busy' THEN 'ended'
                WHEN collecting THEN 'collecting' WHEN started IS NOT NULL THEN 'running'
                ELSE 'assigned' END,
           attempt,
           max(attempt, coalesce((SELECT max(a.attempt) FROM attempts_3 a WHERE a.idx = j.idx), 0)),
           failures, paused, resumed, kill, reason,
           CASE WHEN state IN ('done', 'error', 'unknown') THEN ended END, NULL
    FROM jobs_3 j;

CREATE TABLE attempts (
    idx INTEGER NOT NULL REFERENCES specs(idx), attempt INTEGER NOT NULL,
    host INTEGER NOT NULL REFERENCES hosts(ix), outcome TEXT, assigned INTEGER NOT NULL,
    revision INTEGER NOT NULL DEFAULT 0, id TEXT,
    started INTEGER, ended INTEGER, exit INTEGER, signal INTEGER, cause TEXT, reason TEXT,
    user_us INTEGER, system_us INTEGER, max_rss_kib INTEGER, read_bytes INTEGER,
    written_bytes INTEGER, stdout_bytes INTEGER, stderr_bytes INTEGER, survivors TEXT,
    processors TEXT, PRIMARY KEY (idx, attempt)
) WITHOUT ROWID;
INSERT INTO attempts
    SELECT idx, attempt, host, CASE WHEN outcome IN ('exit', 'signal') THEN 'exited' ELSE outcome END,
           assigned, 0, id, started, ended, exit, signal, cause, reason, user_us, system_us,
           max_rss_kib, NULL, NULL, stdout_bytes, stderr_bytes, NULL, NULL
    FROM attempts_3;

CREATE TABLE host_tasks (
    host INTEGER NOT NULL REFERENCES hosts(ix), task TEXT NOT NULL,
    idx INTEGER NOT NULL, attempt INTEGER NOT NULL, outcome TEXT, assigned INTEGER NOT NULL,
    revision INTEGER NOT NULL DEFAULT 0, boot_id TEXT NOT NULL, setups INTEGER NOT NULL,
    jobs INTEGER NOT NULL, id TEXT, started INTEGER, ended INTEGER, exit INTEGER,
    signal INTEGER, cause TEXT, reason TEXT, user_us INTEGER, system_us INTEGER,
    max_rss_kib INTEGER, read_bytes INTEGER, written_bytes INTEGER, stdout_bytes INTEGER,
    stderr_bytes INTEGER, survivors TEXT, PRIMARY KEY (host, task, attempt)
) WITHOUT ROWID;

CREATE VIEW jobs AS
    SELECT idx, name, command, state, phase, attempt, host, id,
           CASE WHEN exit <> 0 OR state IN ('busy', 'done') THEN exit END AS exit,
           signal, cause, p.reason,
           started, p.ended, failures, paused, user_us, system_us, max_rss_kib,
           read_bytes, written_bytes
    FROM specs JOIN progress p USING (idx) LEFT JOIN attempts USING (idx, attempt);

CREATE TABLE outputs (
    idx INTEGER NOT NULL REFERENCES specs(idx), path TEXT NOT NULL, attempt INTEGER NOT NULL,
    size INTEGER NOT NULL, mode INTEGER NOT NULL, hash TEXT NOT NULL, PRIMARY KEY (idx, path)
) WITHOUT ROWID;
INSERT INTO outputs SELECT * FROM outputs_3;

CREATE TABLE inputs (
    path TEXT NOT NULL, revision INTEGER NOT NULL, nth INTEGER NOT NULL, file BLOB NOT NULL,
    hash TEXT NOT NULL, size INTEGER NOT NULL, mode INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    ino INTEGER NOT NULL, list BLOB, PRIMARY KEY (path, revision, nth)
);
INSERT INTO inputs SELECT path, 0, nth, file, hash, size, mode, mtime_ns, ino, list FROM inputs_3;

-- The options of hosts were among the run's.
UPDATE run SET settings = json_object(
    'network', json_object(
        'clusters', json_array(json_object('workers', json_extract(settings, '$.hosts'))),
        'options', json_object(
            'results_dir', nullif(json_extract(settings, '$.results_dir'), ''),
            'ssh_config', json_extract(settings, '$.ssh_config'),
            'slots', json_extract(settings, '$.slots'),
            'blob_budget', json_extract(settings, '$.blob_budget')),
        'agents', coalesce(
            (SELECT json_group_object(json_extract(value, '$[0]'), json_extract(value, '$[1]'))
             FROM json_each(settings, '$.agents')), json_object())),
    'halt', 'soon,fail=' || json_extract(settings, '$.max_fails'),
    'on_lost', json_extract(settings, '$.on_lost'),
    'lost_after', json_extract(settings, '$.lost_after'),
    'outputs', json_extract(settings, '$.outputs'),
    'seed', json_extract(settings, '$.seed')
);

CREATE TABLE past_jobs (
    nth INTEGER PRIMARY KEY, run TEXT NOT NULL, idx INTEGER NOT NULL, name TEXT NOT NULL,
    place TEXT NOT NULL, dir BLOB NOT NULL, identity TEXT NOT NULL
);
CREATE TABLE past_outputs (
    nth INTEGER NOT NULL REFERENCES past_jobs(nth), path TEXT NOT NULL, size INTEGER NOT NULL,
    mode INTEGER NOT NULL, hash TEXT NOT NULL, PRIMARY KEY (nth, path)
) WITHOUT ROWID;
CREATE TABLE places (idx INTEGER PRIMARY KEY REFERENCES specs(idx), place TEXT NOT NULL);

DROP TABLE inputs_3;
DROP TABLE outputs_3;
DROP TABLE attempts_3;
DROP TABLE jobs_3;
DROP TABLE hosts_3;
