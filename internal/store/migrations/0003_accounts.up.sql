-- What accounts of the tally need beside it: the order of versions, layers, builds, what
-- VEX says of findings, and what people ask for and hand in.

-- The place of the version among all: release.Precedence. NULL only until this program
-- has put it in. Version tags of pre-releases sort before their release.
ALTER TABLE release ADD COLUMN precedence BYTEA;
ALTER TABLE release ADD COLUMN prerelease BOOLEAN NOT NULL DEFAULT FALSE;
CREATE INDEX release_order ON release (repository, precedence, version);
CREATE INDEX release_latest ON release (repository, prerelease, precedence);
CREATE INDEX release_seen ON release (first_seen, repository, version);

-- Serves counting the versions that stand.
CREATE INDEX tag_version ON tag (repository, name) WHERE kind = 'version' AND gone_at IS NULL;
-- Serve the way from a digest to its images.
CREATE INDEX image_digest ON image (digest);
CREATE INDEX platform_digest ON platform (digest);

-- The layers, from the lowest, as release.Layer. '[]' where they were not recorded.
ALTER TABLE platform ADD COLUMN layers TEXT NOT NULL DEFAULT '[]';

-- What verified provenance says of the build, as release.Build. Empty without one.
ALTER TABLE examination ADD COLUMN build TEXT NOT NULL DEFAULT '';

-- The state of each kind of evidence for the image as a whole, a JSON object. '{}' before
-- its papers were looked at.
ALTER TABLE examination ADD COLUMN states TEXT NOT NULL DEFAULT '{}';
-- The result of the latest verdict. Empty before there is one.
ALTER TABLE examination ADD COLUMN result TEXT NOT NULL DEFAULT '';
UPDATE examination SET result = coalesce((SELECT v.result FROM verdict v
    WHERE v.examination_id = examination.id AND v.number > 0 ORDER BY v.number DESC LIMIT 1), '');

-- The name in small letters, as bytes: they have one order on every engine, and what
-- begins with a text is a range of them. NULL only until this program has put it in.
ALTER TABLE package ADD COLUMN folded BYTEA;
CREATE INDEX package_folded ON package (folded);
-- The licences that the first SBOM which listed the package gave it.
ALTER TABLE package ADD COLUMN licences TEXT NOT NULL DEFAULT '[]';

-- Serves the way from a document to its images without a look at their rows.
DROP INDEX image_document_of;
CREATE INDEX image_document_of ON image_document (document_id, examination_id);
-- Who handed the document in. Empty for one that was found in the registry.
ALTER TABLE image_document ADD COLUMN uploaded TEXT NOT NULL DEFAULT '';

CREATE INDEX advisory_modified ON advisory (modified, id);
CREATE INDEX wave_judged ON wave (judged_at);

-- The VEX statements that hold for findings, as the judge last applied them.
CREATE TABLE statement (
    examination_id BIGINT  NOT NULL REFERENCES examination (id) ON DELETE CASCADE,
    package_id     BIGINT  NOT NULL REFERENCES package (id),
    -- What the finding is called by.
    finding        TEXT    NOT NULL,
    status         TEXT    NOT NULL,
    justification  TEXT    NOT NULL,
    impact         TEXT    NOT NULL,
    action         TEXT    NOT NULL,
    author         TEXT    NOT NULL,
    origin         TEXT    NOT NULL,
    -- When it was known to be true. NULL when it does not say.
    at             BIGINT,
    suppresses     BOOLEAN NOT NULL,
    PRIMARY KEY (examination_id, package_id, finding)
) {{clustered}};

-- What people ask the worker for.
CREATE TABLE request (
    id         {{id}},
    step       TEXT   NOT NULL CHECK (step IN ('discover', 'ingest')),
    repository TEXT   NOT NULL,
    -- Of ingest.
    digest     TEXT   NOT NULL,
    asked_by   TEXT   NOT NULL,
    asked_at   BIGINT NOT NULL,
    -- When a worker queued it. NULL while it waits.
    taken_at   BIGINT
);
CREATE INDEX request_waiting ON request (id) WHERE taken_at IS NULL;

-- The SBOMs that people hand in for images whose registry cannot hold them.
CREATE TABLE upload (
    id              {{id}},
    repository      TEXT   NOT NULL,
    digest          TEXT   NOT NULL,
    -- The manifest that it is about.
    subject         TEXT   NOT NULL,
    document_digest TEXT   NOT NULL,
    content         BYTEA  NOT NULL,
    uploaded_by     TEXT   NOT NULL,
    uploaded_at     BIGINT NOT NULL,
    UNIQUE (repository, digest, subject, document_digest),
    FOREIGN KEY (repository, digest) REFERENCES image (repository, digest)
);
