-- Takes back what accounts need; children before parents.
DROP TABLE upload;
DROP TABLE request;
DROP TABLE statement;
DROP INDEX wave_judged;
DROP INDEX advisory_modified;
ALTER TABLE image_document DROP COLUMN uploaded;
ALTER TABLE package DROP COLUMN licences;
ALTER TABLE examination DROP COLUMN build;
ALTER TABLE platform DROP COLUMN layers;
DROP INDEX platform_digest;
DROP INDEX image_digest;
DROP INDEX tag_version;
DROP INDEX release_seen;
DROP INDEX release_latest;
DROP INDEX release_order;
ALTER TABLE release DROP COLUMN prerelease;
ALTER TABLE release DROP COLUMN precedence;
