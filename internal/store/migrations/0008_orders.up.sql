-- What lists are sorted by: the releases of a repository by when they were first seen, and
-- advisories by when they were published.
CREATE INDEX release_seen_of ON release (repository, first_seen, version);
CREATE INDEX advisory_published ON advisory (published, id);
