"""Body formats: strict JSON, and the tabular ones (NDJSON, CSV)."""
