"""Everything between `link` and the broker: topics, the connection, the durable outbox."""
