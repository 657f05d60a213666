"""Reading as a task does: polls of any size from any partition, and a flush behind some of them."""


async def read(topic, sink, chance, most):
    """All records of `topic` (`name`; `records` by partition) from where `sink` says, at most `most` in a poll."""
    keys = [(topic.name, p) for p in topic.records]
    at, reached = dict.fromkeys(keys, 0) | dict(await sink.claim(keys)), {}
    while left := [k for k in keys if at[k] < len(topic.records[k[1]])]:
        key = chance.choice(left)
        polled = topic.records[key[1]][at[key] : at[key] + chance.randint(1, most)]
        sink.put(polled)
        at[key] += len(polled)
        reached[key] = at[key]
        if chance.random() < 0.3:
            await sink.flush_to(reached)
            reached = {}
    await sink.flush_to(reached)
