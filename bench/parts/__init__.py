"""Measurements of the service alone."""
