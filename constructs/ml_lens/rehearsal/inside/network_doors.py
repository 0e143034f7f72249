"""Addresses on the loopback that answer while there is a way, and refuse the connection while there is none."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Coroutine
from typing import Any

_CHUNK = 1 << 16


class Door:
    """A port that passes everything on to another one while it is open."""

    def __init__(self, target: int) -> None:
        """Reserve a port in front of ``target``; nobody answers there yet."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._target = target
        self._server: asyncio.Server | None = None
        self._passing: set[asyncio.StreamWriter] = set()

    async def open(self) -> None:
        """Answer."""
        if self._server is None:
            self._server = await asyncio.start_server(self._pass, "127.0.0.1", self.port)

    async def close(self) -> None:
        """Refuse, and cut whatever is passing."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
            for writer in list(self._passing):
                writer.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        self._passing |= {writer, inner_writer}
        try:
            await asyncio.gather(_copy(reader, inner_writer), _copy(inner_reader, writer))
        finally:
            self._passing -= {writer, inner_writer}


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()
    with contextlib.suppress(ConnectionError, RuntimeError):
        writer.close()


class Doors:
    """The doors of everything that runs in a VPC: one to each service, and one to all others."""

    OTHERS = ""

    def __init__(self, target: int) -> None:
        """Put the doors in front of the port ``target``."""
        self._target = target
        self._doors: dict[tuple[str, str], Door] = {}
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def port(self, owner: str, service: str) -> int:
        """Return where ``owner`` finds ``service``, whether or not the door is open."""
        with self._lock:
            return self._doors.setdefault((owner, service), Door(self._target)).port

    def set(self, owner: str, reached: set[str]) -> None:
        """Open the doors of ``owner`` to the services it reaches, and close the others."""
        with self._lock:
            doors = [(service, door) for (whose, service), door in self._doors.items() if whose == owner]
        self._run(_set(doors, reached))

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, daemon=True).start()
            loop = self._loop
        asyncio.run_coroutine_threadsafe(work, loop).result()


async def _set(doors: list[tuple[str, Door]], reached: set[str]) -> None:
    for service, door in doors:
        await (door.open() if service in reached else door.close())
