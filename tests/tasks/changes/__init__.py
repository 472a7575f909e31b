"""Changes of one task."""
