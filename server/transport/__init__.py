"""The transport: message framing, and limits on connections."""
