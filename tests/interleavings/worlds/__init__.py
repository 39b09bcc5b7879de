"""Where orders are played: a set-up, and the moves that can meet in it.

A world is a function that fills an empty stage and returns its moves: for each name, what makes the script of one
session. Two sessions that make the same move are two processes (each claims as a worker of its own).
"""

from tests.interleavings.worlds.ended import barriers, dead, gathering
from tests.interleavings.worlds.leased import plain, running
from tests.interleavings.worlds.queued import lines, rates, schedules, waiting
from tests.interleavings.worlds.setting import World

WORLDS: dict[str, World] = {
    world.__name__: world for world in (plain, running, waiting, lines, rates, schedules, dead, barriers, gathering)
}
