"""The files of deploy/ are valid, and agree with the document and the settings."""
