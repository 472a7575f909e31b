"""The room that speaks SQL: tables, statements, the connection pool, migrations. It knows no HTTP."""
