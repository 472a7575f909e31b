"""`python -m server` is `tasks-api`."""

from server.cli import main

main()
