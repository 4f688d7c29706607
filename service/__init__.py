"""All that knows the wire: gateway, worker and the messages between them."""

__version__ = "0.1.0"
