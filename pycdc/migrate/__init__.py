"""Moves connectors from one cluster of Kafka Connect workers to another over their REST APIs, or back.

Either side may be Kafka Connect's own or `pycdc connect`: only REST is spoken. Nothing here touches a database,
a topic, a slot or a group.
"""
