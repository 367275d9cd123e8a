"""Members of groups that a test starts are closed when it ends, whatever its outcome; a test may be a coroutine."""

import asyncio
import inspect

import pytest
from support.member import Member


@pytest.fixture
def join():
    """Starts a member: `join(topic, group, **config)`."""
    members: list[Member] = []

    def start(topic: str, group: str, **config) -> Member:
        members.append(Member(topic, group, **config))
        return members[-1]

    yield start
    for member in members:
        member.close()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Runs a test that is a coroutine in an event loop of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in inspect.signature(pyfuncitem.obj).parameters}))
    return True
