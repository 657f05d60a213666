"""Kafka's protocols without opinions: batches out, records in, topics, positions. aiokafka lives only here."""
