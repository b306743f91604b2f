-- Who may do what, and who did.

-- API tokens. They are never removed: the audit log names them.
CREATE TABLE token (
    id         {{id}},
    -- The part of the token that is no secret.
    name_id    TEXT    NOT NULL UNIQUE,
    -- SHA-256 of the whole token. A token has 256 random bits, so a slow hash would
    -- protect nothing.
    hash       BYTEA   NOT NULL,
    name       TEXT    NOT NULL,
    role       TEXT    NOT NULL CHECK (role IN ('viewer', 'auditor', 'operator')),
    -- Words divided by spaces.
    scopes     TEXT    NOT NULL,
    made_by    TEXT    NOT NULL,
    made_at    BIGINT  NOT NULL,
    expires_at BIGINT  NOT NULL,
    -- Exact to the minute. NULL when it never was.
    used_at    BIGINT,
    revoked_at BIGINT,
    bootstrap  BOOLEAN NOT NULL
);

-- Holds that a database begins with one token, however many processes start on it.
CREATE UNIQUE INDEX token_bootstrap ON token (bootstrap) WHERE bootstrap;

-- Browsers that are signed in. Not backed up.
CREATE TABLE session (
    -- SHA-256 of the id that the browser keeps.
    hash       BYTEA  NOT NULL PRIMARY KEY,
    -- The token that was signed in with. NULL for OpenID Connect.
    token      TEXT REFERENCES token (name_id),
    subject    TEXT   NOT NULL,
    name       TEXT   NOT NULL,
    role       TEXT   NOT NULL CHECK (role IN ('viewer', 'auditor', 'operator')),
    scopes     TEXT   NOT NULL,
    began_at   BIGINT NOT NULL,
    -- Exact to the minute.
    seen_at    BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

-- Serves the end of all sessions of a token that is revoked.
CREATE INDEX session_token ON session (token);

-- What was done. Nothing here is ever changed or removed.
CREATE TABLE audit (
    id       {{id}},
    at       BIGINT NOT NULL,
    actor    TEXT   NOT NULL,
    actor_id TEXT   NOT NULL,
    via      TEXT   NOT NULL,
    action   TEXT   NOT NULL,
    subject  TEXT   NOT NULL,
    detail   TEXT   NOT NULL,
    remote   TEXT   NOT NULL,
    request  TEXT   NOT NULL
);
