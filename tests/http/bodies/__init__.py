"""Request bodies over HTTP."""
