-- Takes back the second columns.
DROP INDEX exposure_of;
CREATE INDEX exposure_of ON exposure (package_id);
DROP INDEX document_package_of;
CREATE INDEX document_package_of ON document_package (package_id);
