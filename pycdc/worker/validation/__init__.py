"""What a worker knows of classes and their keys, and what is wrong with a configuration, as Kafka Connect tells it."""
