from __future__ import annotations

import ssl

import pytest
from aiokafka import errors as kafka

from pycdc.errors import ConnectionLost, ProduceError, ProducerFenced, PycdcError, RecordError, ServerError
from pycdc.kafka.faults import refused, unreachable


@pytest.mark.parametrize(
    ("error", "kind", "retriable"),
    [
        (kafka.OutOfOrderSequenceNumber(), ProduceError, True),
        (kafka.UnknownProducerId(), ProduceError, True),
        (kafka.UnknownError(), ProduceError, True),
        (kafka.for_code(90)(), ProduceError, True),
        (kafka.KafkaError("Unexpected error during batch delivery"), ProduceError, True),
        (kafka.ProducerFenced(), ProducerFenced, False),
        (kafka.TopicAuthorizationFailedError("t"), ServerError, False),
        (kafka.UnknownTopicOrPartitionError(), ServerError, False),
        (kafka.InvalidTopicError(), ServerError, False),
        (TimeoutError(), ServerError, False),
        (kafka.for_code(87)(), RecordError, False),
    ],
)
def test_what_a_new_producer_mends_is_retriable_and_nothing_else(error: Exception, kind: type[PycdcError], retriable: bool) -> None:
    fault = refused("shop.t", error)
    assert type(fault) is kind
    assert fault.retriable is retriable
    assert fault.where == "topic shop.t"
    assert type(error).__name__ in fault.cause


@pytest.mark.parametrize(
    ("error", "kind", "mends"),
    [
        (ConnectionRefusedError(111, "refused"), ConnectionLost, "bootstrap.servers"),
        (TimeoutError(), ConnectionLost, "advertised.listeners"),
        (kafka.SaslAuthenticationFailed("no"), ServerError, "sasl.jaas.config"),
        (kafka.UnsupportedSaslMechanismError("PLAIN"), ServerError, "sasl.mechanism"),
        (ssl.SSLCertVerificationError(1, "self-signed"), ServerError, "ssl.truststore.location"),
        (kafka.ClusterAuthorizationFailedError(), ServerError, "IdempotentWrite"),
    ],
)
async def test_why_no_broker_serves_us(error: Exception, kind: type[ServerError], mends: str) -> None:
    fault = await unreachable("a:9092", error)
    assert type(fault) is kind
    assert fault.where == "a:9092"
    assert mends in fault.hint
