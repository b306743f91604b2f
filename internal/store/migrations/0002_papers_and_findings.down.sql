-- Takes back papers, packages, advisories, findings and verdicts; children before
-- parents.
DROP TABLE worker;
DROP TABLE progress;
DROP TABLE outbox;
DROP TABLE verdict;
DROP TABLE wave_finding;
DROP TABLE wave_image;
DROP TABLE wave;
DROP TABLE exposure;
DROP TABLE finding;
DROP TABLE affected;
DROP TABLE advisory_alias;
DROP TABLE advisory_version;
DROP TABLE advisory;
DROP TABLE ecosystem;
DROP TABLE feed;
DROP TABLE document_package;
DROP TABLE package;
DROP TABLE image_document;
DROP TABLE document;
DROP TABLE evidence_change;
DROP TABLE evidence;
DROP TABLE examination;
DROP INDEX release_digest;
