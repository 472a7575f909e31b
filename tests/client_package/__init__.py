"""The npm package of clients/typescript, installed from its tarball and used with a running service."""
