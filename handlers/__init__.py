"""The handlers: one module per tag of the OpenAPI document, one function per operation."""
