"""What deploy/ says is valid, and agrees with the document and the settings."""
