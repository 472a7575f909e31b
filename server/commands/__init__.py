"""The commands of `tasks-api`, one module for each subject. `server.cli` imports one when it is called."""
