"""The service, its peers and the floor, on the same work in one run. README.md here says how to read it."""
