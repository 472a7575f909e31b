"""The transport: message framing, the writing of responses, and limits on connections."""
