"""The stores of two workers on the same topics of a real broker."""

from pycdc.kafka.topics import NewTopic
from pycdc.worker import configs
from pycdc.worker.configs import ConfigChanged, ConnectorRemoved, Target, TargetChanged, TasksChanged
from pycdc.worker.statuses import State, Status, UsedTopic
from pycdc.worker.stores import ConfigStore, StatusStore, topic


def config_store(kafka, names):
    told = []
    return ConfigStore(records(f"{names.base}-configs", kafka), told.append), told


def records(name, kafka):
    return topic(NewTopic(name, 1, 1), {"bootstrap.servers": kafka}, holds="things")


async def test_what_one_worker_writes_the_others_know(kafka, names):
    (one, told_one), (two, told_two) = config_store(kafka, names), config_store(kafka, names)
    await one.start()
    await two.start()
    await one.write(configs.connector("x", {"name": "x", "a": "1"}) + configs.tasks("x", [{"t": "0"}]))
    assert one.configs.connectors == {"x": {"name": "x", "a": "1"}}
    await two.write(configs.target("x", Target.PAUSED))
    assert two.configs.tasks == {"x": [{"t": "0"}]}
    await one.read_to_end()
    assert one.configs.target("x") is Target.PAUSED
    assert told_one == told_two == [ConfigChanged("x"), TasksChanged("x"), TargetChanged("x")]
    later, told_later = config_store(kafka, names)
    await later.start()
    assert later.configs.connectors == one.configs.connectors
    assert told_later == [], "what was there before is no news"
    await later.write(configs.removed("x"))
    await two.read_to_end()
    assert two.configs.connectors == {}
    assert told_two[-1] == ConnectorRemoved("x")
    for store in (one, two, later):
        await store.stop()


async def test_states_are_kept_and_forgotten(kafka, names):
    async def opened():
        store = StatusStore(records(f"{names.base}-status", kafka))
        await store.start()
        return store

    store = await opened()
    await store.connector("x", Status(State.RUNNING, "a:1", 2, version="3.6.3.Final"))
    await store.task("x", 0, Status(State.FAILED, "a:1", 2, trace="why"))
    await store.task("x", 1, Status(State.RUNNING, "b:1", 3))
    await store.task("x", 1, Status(State.UNASSIGNED, "a:1", 2), safely=True)
    await store.used(UsedTopic("topic", "x", 0, 1))
    other = await opened()
    assert other.known.connectors["x"].state is State.RUNNING
    assert other.known.tasks["x"] == {0: Status(State.FAILED, "a:1", 2, trace="why"), 1: Status(State.RUNNING, "b:1", 3)}
    assert other.known.topics["x"].keys() == {"topic"}
    await other.forget("x")
    later = await opened()
    assert (later.known.connectors, later.known.tasks, later.known.topics) == ({}, {}, {})
    for each in (store, other, later):
        await each.stop()
