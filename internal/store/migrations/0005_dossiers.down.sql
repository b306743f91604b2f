-- Takes back dossiers; children before parents.
DROP TABLE dossier_part;
DROP TABLE dossier;
CREATE TABLE request_before (
    id         {{id}},
    step       TEXT   NOT NULL CHECK (step IN ('discover', 'ingest')),
    repository TEXT   NOT NULL,
    digest     TEXT   NOT NULL,
    asked_by   TEXT   NOT NULL,
    asked_at   BIGINT NOT NULL,
    taken_at   BIGINT
);
INSERT INTO request_before (step, repository, digest, asked_by, asked_at, taken_at)
    SELECT step, repository, digest, asked_by, asked_at, taken_at FROM request WHERE step <> 'dossier' ORDER BY id;
DROP TABLE request;
ALTER TABLE request_before RENAME TO request;
CREATE INDEX request_waiting ON request (id) WHERE taken_at IS NULL;
