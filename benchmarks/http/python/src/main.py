"""The smallest application in Python."""


def app(environ, start_response):
    """Say hello."""
    start_response("200 OK", [("content-type", "text/plain")])
    return [b"Hello, World!"]
