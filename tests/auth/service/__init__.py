"""Tokens as a running service takes them, with the settings of an operator."""
