"""What went wrong with a broker, in words: aiokafka's errors -> ours.

Every error names the topic or the servers, the cause, and the setting or command that mends it. Retrying is
decided by class: what a new producer and a replay mend is a ProduceError, an unreachable broker a
ConnectionLost; what a person must mend is a ServerError.
"""

from __future__ import annotations

import ssl

from aiokafka import errors as kafka
from aiokafka.client import AIOKafkaClient

from pycdc.errors import ConnectionLost, ProduceError, ProducerFenced, PycdcError, RecordError, ServerError
from pycdc.kafka.wire import InvalidRecord, why_unreachable


def name_of(error: BaseException) -> str:
    """`NotLeaderForPartitionError: [Error 6] ...` in one line."""
    return f"{type(error).__name__}: {error}".rstrip(": ")


async def unreachable(bootstrap: str, error: BaseException, client: AIOKafkaClient | None = None) -> ServerError:
    """No broker answered as it should. With a client each server is asked once more for its reason."""
    if client is not None and isinstance(error, kafka.KafkaConnectionError | TimeoutError):
        error = await why_unreachable(client) or error
    cause = name_of(error)
    if isinstance(error, kafka.SaslAuthenticationFailed | kafka.AuthenticationFailedError):
        return ServerError("Kafka refuses the login", where=bootstrap, cause=cause, hint="check sasl.mechanism and sasl.jaas.config")
    if isinstance(error, kafka.UnsupportedSaslMechanismError | kafka.AuthenticationMethodNotSupported):
        return ServerError("Kafka does not offer this way to log in", where=bootstrap, cause=cause, hint="check sasl.mechanism")
    if isinstance(error, ssl.SSLError):
        return ServerError(
            "Kafka's TLS certificate or handshake is refused", where=bootstrap, cause=cause,
            hint="check security.protocol and ssl.truststore.location (PEM)",
        )  # fmt: skip
    if isinstance(error, kafka.ClusterAuthorizationFailedError):
        return ServerError(
            "Kafka does not let us produce", where=bootstrap, cause=cause,
            hint="kafka-acls --add --cluster --operation IdempotentWrite --allow-principal User:...",
        )  # fmt: skip
    return ConnectionLost(
        "cannot reach Kafka",
        where=bootstrap,
        cause=cause,
        hint="check bootstrap.servers, security.protocol and that the broker's advertised.listeners can be reached from here",
    )


def refused(topic: str, error: BaseException) -> PycdcError:
    """A broker did not take what was sent to `topic`, or does not know it."""
    cause, where = name_of(error), f"topic {topic}"
    if isinstance(error, kafka.ProducerFenced | kafka.InvalidProducerEpoch):
        return ProducerFenced("another producer took over", where=where, cause=cause)
    if isinstance(error, kafka.TopicAuthorizationFailedError | kafka.ClusterAuthorizationFailedError):
        return ServerError(
            "Kafka does not let us write", where=where, cause=cause,
            hint=f"kafka-acls --add --producer --topic {topic} --allow-principal User:...",
        )  # fmt: skip
    if isinstance(error, InvalidRecord):
        return RecordError(
            "a topic refuses a record", where=where, cause=cause,
            hint="a compacted topic takes no record without a key: set message.key.columns for tables without a primary key, "
            f"or kafka-configs --alter --entity-type topics --entity-name {topic} --add-config cleanup.policy=delete",
        )  # fmt: skip
    if isinstance(error, kafka.InvalidTopicError):
        return ServerError(
            "a topic cannot have this name", where=where, cause=cause,
            hint="Kafka allows letters, digits, '.', '_' and '-', up to 249; rename it by topic.prefix or a RegexRouter",
        )  # fmt: skip
    if isinstance(error, kafka.UnknownTopicOrPartitionError | TimeoutError):
        return ServerError(
            "a topic does not exist and is not created by the broker",
            where=where,
            cause=cause,
            hint="set topic.creation.default.partitions and topic.creation.default.replication.factor, or create it: "
            f"kafka-topics --create --topic {topic}",
        )
    # out of order sequence, unknown producer, codes newer than the client: a new producer and a replay mend them
    return ProduceError("Kafka did not accept a batch", where=where, cause=cause)
