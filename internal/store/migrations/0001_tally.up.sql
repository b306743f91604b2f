-- The first tally: repositories, images, tags and releases.
--
-- The same statements run on SQLite and PostgreSQL. All times are microseconds
-- since 1970-01-01 UTC, all sizes are bytes.

-- One row for each repository that is, or once was, configured.
CREATE TABLE repository (
    name         TEXT    NOT NULL PRIMARY KEY,
    watched      BOOLEAN NOT NULL,
    -- How often it is looked at, in microseconds; 0 when nobody has said.
    look_every   BIGINT  NOT NULL DEFAULT 0 CHECK (look_every >= 0),
    -- The latest look. NULL before the first.
    look_at      BIGINT,
    look_outcome TEXT CHECK (look_outcome IN ('complete', 'unknown')),
    look_cause   TEXT    NOT NULL DEFAULT '',
    look_reason  TEXT    NOT NULL DEFAULT '',
    -- The latest look that read the repository to its end. NULL when none did.
    complete_at  BIGINT,
    CHECK ((look_at IS NULL) = (look_outcome IS NULL))
);

-- What a digest in a repository stands for. Never changes once written.
CREATE TABLE image (
    repository TEXT   NOT NULL REFERENCES repository (name),
    digest     TEXT   NOT NULL,
    media_type TEXT   NOT NULL,
    revision   TEXT   NOT NULL,
    -- NULL when the image does not say.
    created_at BIGINT,
    first_seen BIGINT NOT NULL,
    PRIMARY KEY (repository, digest)
);

-- The platform manifests of an image, in the order of its index.
CREATE TABLE platform (
    repository      TEXT    NOT NULL,
    image_digest    TEXT    NOT NULL,
    position        INTEGER NOT NULL,
    os              TEXT    NOT NULL,
    architecture    TEXT    NOT NULL,
    variant         TEXT    NOT NULL,
    digest          TEXT    NOT NULL,
    compressed_size BIGINT  NOT NULL CHECK (compressed_size >= 0),
    PRIMARY KEY (repository, image_digest, position),
    FOREIGN KEY (repository, image_digest) REFERENCES image (repository, digest) ON DELETE CASCADE
);

-- The history of every tag: one row for each span in which it named one digest.
CREATE TABLE tag (
    repository TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    -- Counts the digests that the tag has named, from 1.
    generation INTEGER NOT NULL CHECK (generation >= 1),
    kind       TEXT    NOT NULL,
    digest     TEXT    NOT NULL,
    first_seen BIGINT  NOT NULL,
    -- When it was no longer found under this digest. NULL while it stands.
    gone_at    BIGINT,
    PRIMARY KEY (repository, name, generation),
    FOREIGN KEY (repository, digest) REFERENCES image (repository, digest)
);

-- Holds that a tag names one digest at a time, and serves the read of all tags
-- that stand, which is a small part of the history.
CREATE UNIQUE INDEX tag_standing ON tag (repository, name) WHERE gone_at IS NULL;

-- The version tags, as the digest that they name now.
CREATE TABLE release (
    repository TEXT   NOT NULL,
    version    TEXT   NOT NULL,
    digest     TEXT   NOT NULL,
    first_seen BIGINT NOT NULL,
    -- When it was last found to name another digest. NULL when it never was.
    moved_at   BIGINT,
    PRIMARY KEY (repository, version),
    FOREIGN KEY (repository, digest) REFERENCES image (repository, digest)
);
