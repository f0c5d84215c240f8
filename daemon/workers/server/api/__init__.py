"""The HTTP API: schemas of requests, how answers are written, and the routes."""
