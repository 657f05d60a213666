"""Print every change of a database, and acknowledge it once it is printed.

python examples/library.py HOST PORT USER DATABASE
"""

import asyncio
import sys

import pycdc


async def main(host: str, port: str, user: str, database: str) -> None:
    config = {
        "topic.prefix": "shop",
        "database.hostname": host,
        "database.port": port,
        "database.user": user,
        "database.dbname": database,
    }
    async with pycdc.PostgresSource(config, offsets_file="positions.json") as source:
        async for event in source:
            print(event.op, event.source.get("table"), event.key, event.after, flush=True)
            await event.ack()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:5]))
