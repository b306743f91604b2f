-- Who ships a package, the document first that was read last, from the index alone.
DROP INDEX document_package_of;
CREATE INDEX document_package_of ON document_package (package_id, document_id);
DROP INDEX exposure_of;
CREATE INDEX exposure_of ON exposure (package_id, examination_id);
