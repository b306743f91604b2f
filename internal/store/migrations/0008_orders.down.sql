DROP INDEX advisory_published;
DROP INDEX release_seen_of;
