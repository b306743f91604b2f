-- What pages read of an image: the tags that name it, and the findings that are gone.
CREATE INDEX tag_naming ON tag (repository, digest) WHERE gone_at IS NULL;
CREATE INDEX finding_gone ON finding (package_id) WHERE until IS NOT NULL;
