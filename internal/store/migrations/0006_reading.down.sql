-- Takes back the indexes.
DROP INDEX finding_gone;
DROP INDEX tag_naming;
