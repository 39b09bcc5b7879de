"""Unpacks an archive of programs so that nothing of it lands outside its folder: reads the archive, writes the folder.

`tarfile` has a filter for that since Python 3.11.4, but not in Debian 12's 3.11.2, and its first years had holes of
their own (links through links). So each member is checked here, by what the archive says alone, and the filter is
applied besides where there is one.
"""

import os
import tarfile
from collections.abc import Iterable
from pathlib import Path

Parts = tuple[str, ...]


def unpack(archive: Path, folder: Path) -> None:
    """Unpack into a folder that is empty and ours. Raises tarfile.TarError: if hostile, before anything is written."""
    with tarfile.open(archive) as tar:
        members = tar.getmembers()
        _check(members)
        for member in members:
            _tame(member)
            if hasattr(tarfile, "data_filter"):  # Python 3.11.4
                tar.extract(member, folder, filter="data")
            else:
                tar.extract(member, folder)


def _check(members: Iterable[tarfile.TarInfo]) -> None:
    """Refuse what is neither file, folder nor link, and each path that leaves the folder or goes through a link.

    That no path goes through a link is what makes it enough to count `..`: the folders on its way are what they seem.
    """
    members = list(members)
    links = {_walk((), member.name, frozenset()) for member in members if member.issym() or member.islnk()}
    for member in members:
        if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
            raise tarfile.TarError(f"{member.name!r} is neither a file, a folder nor a link")
        place = _walk((), member.name, links)
        if member.issym():
            _walk(place[:-1], member.linkname, links)
        elif member.islnk() and _walk((), member.linkname, links) in links:
            raise tarfile.TarError(f"{member.name!r} is a hard link to a link")
        elif place in links and not member.islnk():
            raise tarfile.TarError(f"{member.name!r} is there twice, once as a link")


def _walk(start: Parts, path: str, links: Iterable[Parts]) -> Parts:
    """Return where a path leads from a folder of the archive. Raises TarError if that is outside, or through a link."""
    if path.startswith("/") or "\\" in path or "\0" in path:
        raise tarfile.TarError(f"{path!r} is not a path inside the archive")
    here = start
    for part in path.split("/"):
        if part in ("", "."):
            continue
        if here in links:
            raise tarfile.TarError(f"{path!r} goes through a link")
        if part == ".." and not here:
            raise tarfile.TarError(f"{path!r} leads out of the archive")
        here = here[:-1] if part == ".." else (*here, part)
    return here


def _tame(member: tarfile.TarInfo) -> None:
    """Make the member ours, and nobody else's to write: no set-user-id, no sticky bit, no owner from the archive."""
    member.mode = 0o755 if member.isdir() else (member.mode & 0o755) | 0o600
    member.uid, member.gid, member.uname, member.gname = os.geteuid(), os.getegid(), "", ""
