from vncore.connection import Connections
from vncore.fragments import Fragments
from vncore.ids import RequestId
from vncore.keys import Keys
from vncore.pieces import Fragment, packed

ID = RequestId("11111111-1111-4111-8111-111111111111")
KEYS = Keys("fragments:")


async def test_documents_are_put_together_and_fragments_read_once(connections: Connections) -> None:
    redis = connections.commands
    market, model = Fragment.of(b"<market/>"), Fragment.of(b"<model/>")
    await redis.hset(KEYS.fragments(ID), mapping={one.digest: one.body for one in (market, model)})
    fragments = Fragments(redis, KEYS)
    stored = [packed([b"<a>", market, b"</a>"]), b"<b/>", packed([b"<c>", model, market, b"</c>"])]
    expected = [b"<a><market/></a>", b"<b/>", b"<c><model/><market/></c>"]
    assert await fragments.whole(ID, stored) == expected
    await redis.delete(KEYS.fragments(ID))
    assert await fragments.whole(ID, stored) == expected


async def test_what_was_not_used_for_longest_is_forgotten_first(connections: Connections) -> None:
    redis = connections.commands
    bodies = [Fragment.of(bytes([65 + n]) * 10) for n in range(3)]
    await redis.hset(KEYS.fragments(ID), mapping={one.digest: one.body for one in bodies})
    fragments = Fragments(redis, KEYS, cache_bytes=20)
    await fragments.get(ID, [bodies[0].digest])
    await fragments.get(ID, [bodies[1].digest])
    await fragments.get(ID, [bodies[0].digest])
    await fragments.get(ID, [bodies[2].digest])
    await redis.delete(KEYS.fragments(ID))
    found = await fragments.get(ID, [one.digest for one in bodies])
    assert found.keys() == {bodies[0].digest, bodies[2].digest}
