"""The service's peers, and the floor below them all: one module for each, and a directory for the one in JavaScript.

All serve the six operations under `/api/{user_id}/tasks` on the tables of the service's migrations. They rely on the
benchmark for a row of every user in `users`, and for a default of `tasks.title_key`, a column that only the service and
the floors fill.
"""
