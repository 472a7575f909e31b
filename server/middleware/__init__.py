"""Plain ASGI middleware, outermost first: access log, CORS, problems, request limits."""
