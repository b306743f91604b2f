-- Takes back who may do what; children before parents.
DROP TABLE audit;
DROP TABLE session;
DROP TABLE token;
