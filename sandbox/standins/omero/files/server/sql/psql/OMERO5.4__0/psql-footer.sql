INSERT INTO dbpatch (currentversion, currentpatch, previousversion, previouspatch, message)
    VALUES ('@DBVERSION@', @DBPATCH@, '@DBVERSION@', @DBPATCH@, 'Initializing');
INSERT INTO password (experimenter_id, hash) VALUES (0, '@ROOTPASS@');
INSERT INTO password (experimenter_id, hash) VALUES (1, '');
UPDATE dbpatch SET message = 'Database ready.', finished = clock_timestamp();
COMMIT;
