"""All that knows the wire: gateway, worker and the messages between them."""
