-- Dossiers that people ask for. Neither these nor requests are backed up.

-- A request may be for a dossier as well. No engine changes a check in place the same way.
CREATE TABLE request_next (
    id         {{id}},
    step       TEXT   NOT NULL CHECK (step IN ('discover', 'ingest', 'dossier')),
    repository TEXT   NOT NULL,
    -- Of ingest and dossier.
    digest     TEXT   NOT NULL,
    asked_by   TEXT   NOT NULL,
    asked_at   BIGINT NOT NULL,
    -- When a worker queued it. NULL while it waits.
    taken_at   BIGINT
);
INSERT INTO request_next (step, repository, digest, asked_by, asked_at, taken_at)
    SELECT step, repository, digest, asked_by, asked_at, taken_at FROM request ORDER BY id;
DROP TABLE request;
ALTER TABLE request_next RENAME TO request;
CREATE INDEX request_waiting ON request (id) WHERE taken_at IS NULL;

-- A dossier of the papers of an image: asked for, made, or given up.
CREATE TABLE dossier (
    id             {{id}},
    repository     TEXT   NOT NULL,
    digest         TEXT   NOT NULL,
    asked_by       TEXT   NOT NULL,
    asked_at       BIGINT NOT NULL,
    -- When it was made, or given up. NULL before.
    ended_at       BIGINT,
    -- Why it was given up. Empty when it was not.
    failure        TEXT   NOT NULL DEFAULT '',
    -- The digest that names everything in it, and the SHA-256 of the file.
    dossier_digest TEXT   NOT NULL DEFAULT '',
    file_digest    TEXT   NOT NULL DEFAULT '',
    size           BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX dossier_of ON dossier (repository, digest, id);

-- The file, in parts of equal size but the last.
CREATE TABLE dossier_part (
    dossier_id BIGINT  NOT NULL REFERENCES dossier (id) ON DELETE CASCADE,
    number     INTEGER NOT NULL,
    content    BYTEA   NOT NULL,
    PRIMARY KEY (dossier_id, number)
);
