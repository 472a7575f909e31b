"""The OpenAPI document: loading it, and compiling its schemas and parameters. Knows no resource."""
