"""Members of groups that a test starts are closed when it ends, whatever its outcome."""

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
