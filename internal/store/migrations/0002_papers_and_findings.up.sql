-- Papers, packages, advisories, findings and verdicts.
--
-- {{id}} is a key that the engine counts up, {{clustered}} keeps the rows of a table
-- in its primary key, where the engine can. Lists and objects are JSON texts. A
-- content is compressed with Zstandard (RFC 8878).

-- Serves the way from an image to its versions.
CREATE INDEX release_digest ON release (repository, digest);

-- The images whose papers are looked at, one row each.
CREATE TABLE examination (
    id         {{id}},
    repository TEXT   NOT NULL,
    digest     TEXT   NOT NULL,
    -- When the image became a release: what was known then is the verdict at release.
    released_at BIGINT NOT NULL,
    -- The latest look at its papers. NULL before the first.
    at         BIGINT,
    -- The first look at its papers that found out about all of them. NULL before it.
    complete_at BIGINT,
    -- What only the papers say, for the judge: see tally.Facts.
    facts      TEXT   NOT NULL DEFAULT '{}',
    UNIQUE (repository, digest),
    FOREIGN KEY (repository, digest) REFERENCES image (repository, digest)
);

-- What is known of the papers of one kind about one manifest of an image.
CREATE TABLE evidence (
    examination_id BIGINT NOT NULL REFERENCES examination (id) ON DELETE CASCADE,
    subject        TEXT   NOT NULL,
    kind           TEXT   NOT NULL,
    position       INTEGER NOT NULL,
    -- "index" or the platform.
    place          TEXT   NOT NULL,
    state          TEXT   NOT NULL CHECK (state IN ('verified', 'invalid', 'absent', 'unknown')),
    reason         TEXT   NOT NULL,
    -- When it came to this state.
    since          BIGINT NOT NULL,
    -- The latest state that was not unknown, and when that was found.
    known_state    TEXT   NOT NULL DEFAULT '',
    known_at       BIGINT,
    papers         TEXT   NOT NULL,
    PRIMARY KEY (examination_id, subject, kind)
);

-- Every change of a state, the first one from ''.
CREATE TABLE evidence_change (
    id             {{id}},
    examination_id BIGINT NOT NULL REFERENCES examination (id) ON DELETE CASCADE,
    at             BIGINT NOT NULL,
    subject        TEXT   NOT NULL,
    kind           TEXT   NOT NULL,
    before         TEXT   NOT NULL,
    after          TEXT   NOT NULL,
    reason         TEXT   NOT NULL
);
CREATE INDEX evidence_change_of ON evidence_change (examination_id, at);

-- Documents that papers carry, by the digest of their bytes. Never change.
CREATE TABLE document (
    id           {{id}},
    digest       TEXT    NOT NULL UNIQUE,
    -- SPDX or CycloneDX, and the version; empty for a document that is no SBOM.
    format       TEXT    NOT NULL,
    version      TEXT    NOT NULL,
    -- Entries with a purl, and without one.
    packages     INTEGER NOT NULL,
    unidentified INTEGER NOT NULL,
    licences     TEXT    NOT NULL,
    -- One purl for each ecosystem, and how many packages are of it.
    ecosystems   TEXT    NOT NULL,
    -- Packages that no advisory can speak of, and why, for one of them.
    unmatchable  INTEGER NOT NULL,
    why_not      TEXT    NOT NULL,
    -- Why an SBOM cannot be read. Its packages are not known then.
    failure      TEXT    NOT NULL,
    size         BIGINT  NOT NULL,
    content      BYTEA   NOT NULL
);

-- The documents that count for an image, and the manifest that each is about.
CREATE TABLE image_document (
    examination_id BIGINT  NOT NULL REFERENCES examination (id) ON DELETE CASCADE,
    subject        TEXT    NOT NULL,
    document_id    BIGINT  NOT NULL REFERENCES document (id),
    kind           TEXT    NOT NULL,
    -- Whether the paper that carried it was verified.
    verified       BOOLEAN NOT NULL,
    signer         TEXT    NOT NULL,
    PRIMARY KEY (examination_id, subject, document_id)
);
CREATE INDEX image_document_of ON image_document (document_id);

-- Packages, once for each purl, whatever ships them.
CREATE TABLE package (
    id         {{id}},
    purl       TEXT   NOT NULL UNIQUE,
    name       TEXT   NOT NULL,
    version    TEXT   NOT NULL,
    -- What advisories call it; both empty when none can.
    family     TEXT   NOT NULL,
    subject    TEXT   NOT NULL,
    -- Why not all that advisories say of it can be told: nothing can speak of it, or
    -- its version cannot be compared.
    gap        TEXT   NOT NULL,
    first_seen BIGINT NOT NULL
);
CREATE INDEX package_named ON package (family, subject);
CREATE INDEX package_name ON package (name);

CREATE TABLE document_package (
    document_id BIGINT  NOT NULL REFERENCES document (id) ON DELETE CASCADE,
    package_id  BIGINT  NOT NULL REFERENCES package (id),
    -- Which of the document's packages it is, from 0; the first, when it is several.
    position    INTEGER NOT NULL,
    PRIMARY KEY (document_id, package_id)
) {{clustered}};
CREATE INDEX document_package_of ON document_package (package_id);

-- The advisory feeds.
CREATE TABLE feed (
    ecosystem  TEXT    NOT NULL PRIMARY KEY,
    source     TEXT    NOT NULL,
    -- What the next fetch has to know: feed.State.
    state      TEXT    NOT NULL,
    records    BIGINT  NOT NULL,
    -- When a record last changed, by its own word. NULL when none says.
    newest     BIGINT,
    -- The latest fetch that ended well, and the latest at all.
    synced_at  BIGINT,
    tried_at   BIGINT  NOT NULL,
    reason     TEXT    NOT NULL DEFAULT ''
);

-- The ecosystems, with their releases, that advisories name.
CREATE TABLE ecosystem (
    name   TEXT NOT NULL PRIMARY KEY,
    family TEXT NOT NULL
);

-- Advisories as they are now.
CREATE TABLE advisory (
    id         {{id}},
    feed       TEXT   NOT NULL,
    -- What OSV calls it.
    name       TEXT   NOT NULL,
    digest     TEXT   NOT NULL,
    published  BIGINT,
    modified   BIGINT,
    withdrawn  BIGINT,
    first_seen BIGINT NOT NULL,
    -- When its feed no longer had it.
    gone_at    BIGINT,
    summary    TEXT   NOT NULL,
    aliases    TEXT   NOT NULL,
    upstream   TEXT   NOT NULL,
    -- Its own severity, and the one that counts: its own or an alias's.
    own        TEXT   NOT NULL,
    severity   TEXT   NOT NULL,
    UNIQUE (feed, name)
);
CREATE INDEX advisory_name ON advisory (name);

-- Every version of an advisory that was seen.
CREATE TABLE advisory_version (
    id          {{id}},
    advisory_id BIGINT NOT NULL REFERENCES advisory (id) ON DELETE CASCADE,
    digest      TEXT   NOT NULL,
    published   BIGINT,
    modified    BIGINT,
    withdrawn   BIGINT,
    first_seen  BIGINT NOT NULL,
    -- When another version took its place. NULL for the one that counts.
    until       BIGINT,
    content     BYTEA  NOT NULL
);
CREATE INDEX advisory_version_of ON advisory_version (advisory_id, first_seen);

-- The names of advisories: their own and their aliases, and what they are downstream
-- of.
CREATE TABLE advisory_alias (
    name        TEXT    NOT NULL,
    advisory_id BIGINT  NOT NULL REFERENCES advisory (id) ON DELETE CASCADE,
    upstream    BOOLEAN NOT NULL,
    PRIMARY KEY (name, advisory_id)
) {{clustered}};
CREATE INDEX advisory_alias_of ON advisory_alias (advisory_id);

-- What versions of advisories say of packages, compiled: advisory.Entry.
CREATE TABLE affected (
    version_id  BIGINT  NOT NULL REFERENCES advisory_version (id) ON DELETE CASCADE,
    position    INTEGER NOT NULL,
    advisory_id BIGINT  NOT NULL,
    family      TEXT    NOT NULL,
    subject     TEXT    NOT NULL,
    ecosystem   TEXT    NOT NULL,
    -- Whether it counts now: its version does, and is not withdrawn.
    counts      BOOLEAN NOT NULL,
    entry       BYTEA   NOT NULL,
    PRIMARY KEY (version_id, position)
) {{clustered}};
CREATE INDEX affected_named ON affected (family, subject);

-- What an advisory means for a package, for as long as it does.
CREATE TABLE finding (
    package_id  BIGINT NOT NULL REFERENCES package (id),
    advisory_id BIGINT NOT NULL REFERENCES advisory (id),
    since       BIGINT NOT NULL,
    -- When it no longer did. NULL while it does.
    until       BIGINT,
    ecosystem   TEXT   NOT NULL,
    fixed       TEXT   NOT NULL,
    why         TEXT   NOT NULL,
    PRIMARY KEY (package_id, advisory_id, since)
);
CREATE UNIQUE INDEX finding_standing ON finding (package_id, advisory_id) WHERE until IS NULL;
CREATE INDEX finding_of ON finding (advisory_id);

-- The packages with findings that stand, or whose version cannot be compared with
-- what advisories say, for each image that ships them.
CREATE TABLE exposure (
    examination_id BIGINT NOT NULL REFERENCES examination (id) ON DELETE CASCADE,
    package_id     BIGINT NOT NULL REFERENCES package (id),
    PRIMARY KEY (examination_id, package_id)
) {{clustered}};
CREATE INDEX exposure_of ON exposure (package_id);

-- Waves of changes: what one cause touched is judged, and told, together.
CREATE TABLE wave (
    id        {{id}},
    cause     TEXT   NOT NULL CHECK (cause IN ('release', 'evidence', 'advisories', 'policy', 'tag')),
    -- Whose: the repository, or the ecosystem of a feed.
    origin    TEXT   NOT NULL,
    at        BIGINT NOT NULL,
    -- When it was complete, and when all that it touched had been judged.
    sealed_at BIGINT,
    judged_at BIGINT
);
CREATE UNIQUE INDEX wave_open ON wave (cause, origin) WHERE sealed_at IS NULL;

CREATE TABLE wave_image (
    wave_id        BIGINT NOT NULL REFERENCES wave (id) ON DELETE CASCADE,
    examination_id BIGINT NOT NULL REFERENCES examination (id) ON DELETE CASCADE,
    PRIMARY KEY (wave_id, examination_id)
) {{clustered}};
CREATE INDEX wave_image_of ON wave_image (examination_id);

-- What a wave did to findings.
CREATE TABLE wave_finding (
    wave_id     BIGINT NOT NULL REFERENCES wave (id) ON DELETE CASCADE,
    package_id  BIGINT NOT NULL REFERENCES package (id),
    advisory_id BIGINT NOT NULL REFERENCES advisory (id),
    change      TEXT   NOT NULL CHECK (change IN ('new', 'gone', 'changed')),
    PRIMARY KEY (wave_id, package_id, advisory_id)
) {{clustered}};

-- The verdicts on an image: one row whenever another one was reached. Number 0 is
-- the one at release, by what was known then.
CREATE TABLE verdict (
    examination_id BIGINT  NOT NULL REFERENCES examination (id) ON DELETE CASCADE,
    number         INTEGER NOT NULL CHECK (number >= 0),
    at             BIGINT  NOT NULL,
    result         TEXT    NOT NULL CHECK (result IN ('pass', 'fail', 'unknown')),
    reasons        TEXT    NOT NULL,
    counts         TEXT    NOT NULL,
    policy         TEXT    NOT NULL,
    -- Why it changed. NULL for number 0.
    wave_id        BIGINT,
    PRIMARY KEY (examination_id, number)
);
CREATE INDEX verdict_of_wave ON verdict (wave_id);

-- Messages on their way.
CREATE TABLE outbox (
    id           TEXT    NOT NULL PRIMARY KEY,
    -- What it tells of, the same for every target.
    notice       TEXT    NOT NULL,
    target       TEXT    NOT NULL,
    body         BYTEA   NOT NULL,
    created_at   BIGINT  NOT NULL,
    attempts     INTEGER NOT NULL DEFAULT 0,
    next_at      BIGINT  NOT NULL,
    -- When the target took it, or it was given up; both NULL while it waits.
    delivered_at BIGINT,
    dead_at      BIGINT,
    reason       TEXT    NOT NULL DEFAULT ''
);
CREATE INDEX outbox_waiting ON outbox (next_at) WHERE delivered_at IS NULL AND dead_at IS NULL;

-- How far jobs are, for people to see.
CREATE TABLE progress (
    job        TEXT   NOT NULL,
    subject    TEXT   NOT NULL,
    done       BIGINT NOT NULL,
    -- NULL while nobody knows.
    total      BIGINT,
    note       TEXT   NOT NULL,
    started_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    ended_at   BIGINT,
    failure    TEXT   NOT NULL DEFAULT '',
    PRIMARY KEY (job, subject)
);

-- The processes that run jobs, and when each was last alive.
CREATE TABLE worker (
    name     TEXT   NOT NULL PRIMARY KEY,
    alive_at BIGINT NOT NULL
);
