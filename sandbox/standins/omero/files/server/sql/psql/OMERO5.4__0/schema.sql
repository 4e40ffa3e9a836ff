CREATE TABLE dbpatch (
    id BIGSERIAL PRIMARY KEY,
    currentversion VARCHAR(255) NOT NULL,
    currentpatch INTEGER NOT NULL,
    previousversion VARCHAR(255) NOT NULL,
    previouspatch INTEGER NOT NULL,
    finished TIMESTAMP,
    message VARCHAR(255)
);
CREATE TABLE password (
    experimenter_id BIGINT UNIQUE NOT NULL,
    hash VARCHAR(255),
    dn TEXT,
    changed TIMESTAMP
);
