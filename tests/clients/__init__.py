"""Clients that generators make from the document, used against a running service; and Prism."""
