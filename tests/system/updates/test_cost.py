"""What a look for updates may cost: less than a kilobyte when there is nothing new."""

from __future__ import annotations

from tests.system.updates.measure_check import CountingProxy, cost_of_checks
from tests.system.updates.world import World


def test_a_check_with_nothing_new_is_less_than_a_kilobyte(world: World) -> None:
    for number in range(1, 5):
        world.operator.publish(number)
    proxy = CountingProxy(world.broker.port)
    try:
        cost = cost_of_checks(world, world.config, proxy)
    finally:
        proxy.close()
    assert 0 < sum(cost.nothing_new) < 1000
    assert sum(cost.first) < 16 * 1024
