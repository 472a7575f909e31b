-- Run once, by the superuser, in a new database: the role of the service, which may change rows and nothing else.
\getenv password DATABASE_PASSWORD
CREATE ROLE tasks LOGIN PASSWORD :'password';
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO tasks;
