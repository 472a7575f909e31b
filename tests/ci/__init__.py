"""The commands of CI, which all exist."""
