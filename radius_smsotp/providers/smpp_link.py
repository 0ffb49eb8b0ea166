"""The bound session of an ``smpp`` provider, renewed when it is lost, and the thread it runs in."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import os
import ssl
import threading
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple, Unpack

from radius_smsotp.errors import Refused, Unavailable
from radius_smsotp.providers import connection
from radius_smsotp.providers.smpp_session import Lost, Rejected, Session

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from concurrent.futures import Executor, Future
    from pathlib import Path

    from radius_smsotp.providers.smpp import Settings
    from radius_smsotp.providers.smpp_session import Report

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

PASSING = frozenset(
    {"ESME_RTHROTTLED", "ESME_RMSGQFUL", "ESME_RSYSERR", "ESME_RX_T_APPN", "ESME_RALYBND"}
)
"""Answers to a bind that may be others in a moment, SMPP 3.4 5.1.3."""


class Link:
    """
    An event loop in a thread of its own, and one session in it.

    Args:
        name: Of the thread.
        settings: Of the provider.
        ca_file: Certificates to trust, PEM, or None for those of the system.
        record: Keeps a delivery report.  Called in a further thread; may block.
    """

    def __init__(
        self, name: str, settings: Settings, ca_file: Path | None, record: Callable[[Report], None]
    ) -> None:
        self._settings = settings
        self._ca_file = ca_file
        self._record = record
        self._session: Session | None = None
        self._binding = asyncio.Lock()
        self._loop = _Loop()
        # A daemon, so that it never holds up the end of radiusd.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a coroutine in the loop.  For any thread; not after `stop`."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def stop(self) -> None:
        """Unbind, cancel what still runs, and end the thread; within about three seconds."""
        with contextlib.suppress(TimeoutError):
            self.start(self._leave()).result(3)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(1)

    async def session(self) -> Session:
        """
        The bound session; who first finds it lost binds anew, the others wait for that.

        Raises:
            Refused, Unavailable: There is none to be had.
        """
        async with self._binding:
            if self._session is None or self._session.lost is not None:
                self._session = await self._open()
            return self._session

    async def connect(self) -> Session:
        """
        Connect, without binding yet.

        Raises:
            OSError: No connection, no TLS, or no readable certificates to trust.
        """
        settings = self._settings
        tls = self.trust() if settings.tls else None
        return await Session.connect(settings.smsc_host, settings.smsc_port, tls, self._record)

    async def bind(self, session: Session) -> None:
        """Bind as the settings say.  Raises Rejected or Lost."""
        settings = self._settings
        await session.bind(
            f"bind_{settings.bind}",
            settings.link_interval,
            system_id=settings.system_id,
            password=settings.password.get_secret_value(),
            system_type=settings.system_type,
        )

    def trust(self) -> ssl.SSLContext:
        """Whom to trust.  Raises OSError if the file of certificates cannot be used."""
        return connection.tls_context(self._ca_file, verify=self._settings.check_ssl)

    async def _open(self) -> Session:
        try:
            session = await self.connect()
            await self.bind(session)
        except Rejected as rejected:
            text = f"the SMSC refused the bind: {rejected}"
            if rejected.name in PASSING:
                raise Unavailable(text) from None
            raise Refused(text, out_of_order=True) from None
        except Lost as lost:
            raise Unavailable(f"no answer to the bind: {lost}") from None
        except OSError as error:
            raise Unavailable(f"cannot connect to the SMSC ({reason(error)})") from None
        return session

    async def _leave(self) -> None:
        if self._session is not None:
            await self._session.unbind()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _run(self) -> None:
        self._loop.run_forever()
        self._loop.close()


class _Loop(asyncio.SelectorEventLoop):
    """
    An event loop whose helper threads (names to addresses, reports to the store) are daemons.

    Python waits for the threads of asyncio's own executor when it ends, and FreeRADIUS 3.2.1,
    which ends its interpreter without waiting, aborts over them.
    """

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Run `func` in a daemon thread, whatever the executor."""
        future: asyncio.Future[T] = self.create_future()

        def settle(done: Callable[[], None]) -> None:
            if not future.done():  # cancelled, perhaps
                done()

        def work() -> None:
            try:
                done = functools.partial(future.set_result, func(*args))
            except Exception as error:  # noqa: BLE001  # it belongs to who waits for the future
                done = functools.partial(future.set_exception, error)
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
                self.call_soon_threadsafe(settle, done)

        try:
            threading.Thread(target=work, daemon=True).start()
        except RuntimeError:  # the system gives no more
            future.set_exception(OSError(errno.EAGAIN, "no thread to work in"))
        return future


def reason(error: OSError) -> str:
    """What went wrong with a connection, in few words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    # Numbers of getaddrinfo() and OpenSSL are negative or none; their texts stand alone.
    if error.errno is None or error.errno <= 0 or isinstance(error, ssl.SSLError):
        return error.strerror or str(error)
    return os.strerror(error.errno)
