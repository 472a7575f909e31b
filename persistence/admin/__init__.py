"""The operator's tools: the embedded server, and backups."""
