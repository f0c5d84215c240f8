"""The routes of the public API, one module a subject: each has `router`, and `app` puts them together."""
