"""Put a Python that a test has started on uvloop, too; see tests.support.loops.

Every Python imports this by its name, where it is on the path and there is no -I.
"""

import asyncio

import uvloop

asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
