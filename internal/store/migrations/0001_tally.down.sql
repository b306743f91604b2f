-- Takes back the first tally; children before parents.
DROP TABLE release;
DROP INDEX tag_standing;
DROP TABLE tag;
DROP TABLE platform;
DROP TABLE image;
DROP TABLE repository;
