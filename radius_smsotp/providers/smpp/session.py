"""
One connection to an SMSC, SMPP 3.4, as coroutines: requests in, matched responses out.

smpplib builds the PDUs.  Its own client is not used: it knows one
thread and one request at a time, and takes whatever PDU comes next for the response.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import struct
import sys
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import TimeoutError as LateError
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from smpplib import consts, smpp
from smpplib.command import Param

from radius_smsotp.errors import Busy, Refused, Unavailable
from radius_smsotp.providers import connection
from radius_smsotp.providers.smpp.receipt import DeliveryReceipt, read_receipt

if sys.version_info >= (3, 11):
    within = asyncio.timeout
else:
    import async_timeout

    within = async_timeout.timeout

if TYPE_CHECKING:
    import ssl
    from concurrent.futures import Executor, Future

    from typing_extensions import TypeVarTuple, Unpack

    Ts = TypeVarTuple("Ts")

HEADER = struct.Struct(">LLLL")  # SMPP 3.4 3.2: command_length, _id, _status, sequence_number
LONGEST_PASSWORD = 100  # characters: the longest limit found in an operator's documentation
LONGEST_PDU = 65536  # octets: nothing an SMSC sends to us comes near, so beyond it is not SMPP
LINK_SECONDS = 5.0  # at most, for the answer to enquire_link
STAY_SECONDS, STAY_MOST = 5.0, 300.0  # between two looks at the bind; at most, if it is refused

# SMPP 3.4 5.1.2.1
RESPONSE = 0x80000000
GENERIC_NACK = 0x80000000
DELIVER_SM = 0x00000005
UNBIND = 0x00000006
ENQUIRE_LINK = 0x00000015
ALERT_NOTIFICATION = 0x00000102

STATUS_NAMES: dict[int, str] = {
    value: name.removeprefix("SMPP_")
    for name, value in vars(consts).items()
    if name.startswith("SMPP_ESME_")
}

BUSY = frozenset({"ESME_RTHROTTLED", "ESME_RMSGQFUL", "ESME_RALYBND"})
"""Answers that say: not now.  SMPP 3.4 5.1.3; to a bind, that another connection holds the
account."""

PASSING = frozenset({"ESME_RSYSERR", "ESME_RX_T_APPN"})
"""Answers that may be others in a moment."""

T = TypeVar("T")


class Lost(Exception):  # noqa: N818  # a state of the connection, not the fault of a caller
    """The connection has ended; the text says how."""


class Rejected(Exception):  # noqa: N818  # an answer of the SMSC, not the fault of a caller
    """
    The SMSC answered a request with an error.

    Attributes:
        name: The command_status by its name in SMPP 3.4 5.1.3, or as "status 0x00000400".
    """

    def __init__(self, status: int) -> None:
        self.name = STATUS_NAMES.get(status, f"status 0x{status:08X}")
        meaning = consts.DESCRIPTIONS.get(status, "known to this SMSC only")
        super().__init__(f"{self.name}, {meaning}")


@dataclass(frozen=True, slots=True)
class Smsc:
    """
    Where an SMSC is, and as whom to bind.

    Attributes:
        host, port: Its address.
        tls: Makes what says whom to trust, and may raise OSError; None for plain TCP.
        command: "bind_transmitter" or "bind_transceiver".
        fields: system_id, password, system_type.
        link_interval: Seconds of silence after which the link is tested.
    """

    host: str
    port: int
    tls: Callable[[], ssl.SSLContext] | None
    command: str
    fields: dict[str, str] = field(repr=False)
    link_interval: float


class Session:
    """
    One connection.  All methods belong to the thread of its event loop.

    Attributes:
        lost: How it ended, or None while it lasts.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        record: Callable[[DeliveryReceipt], None],
    ) -> None:
        self.lost: str | None = None
        self._reader = reader
        self._writer = writer
        self._record = record
        self._last_sequence = 0
        self._answers: dict[int, asyncio.Future[bytes]] = {}
        self._doubt = asyncio.Event()
        self._recording = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._start(self._read())

    @classmethod
    async def connect(cls, smsc: Smsc, record: Callable[[DeliveryReceipt], None]) -> Session:
        """
        Connect; `bind` comes next.

        Args:
            record: Keeps a delivery receipt.  Called in a thread; may block.

        Raises:
            OSError: No connection, no TLS, or no readable certificates to trust.
        """
        # RFC 8305 5: a quarter of a second before the next address gets its chance.
        reader, writer = await asyncio.open_connection(
            smsc.host, smsc.port, ssl=smsc.tls and smsc.tls(), happy_eyeballs_delay=0.25
        )
        return cls(reader, writer, record)

    def next_sequence(self) -> int:
        """The next sequence number, which smpplib asks its client for."""
        # SMPP 3.4 5.1.4: from 0x00000001 to 0x7FFFFFFF.
        self._last_sequence = self._last_sequence % 0x7FFFFFFF + 1
        return self._last_sequence

    async def bind(self, smsc: Smsc) -> None:
        """
        Bind, and watch the link from then on.

        Raises:
            Rejected, Lost: The session is ended.
        """
        pdu: Any = smpp.make_pdu(smsc.command, client=self, **smsc.fields)
        # SMPP 3.4 4.1.1 allows a password 8 characters, and smpplib silently cuts it there.
        # Some operators give out longer ones, and expect them whole.
        pdu.params = {**pdu.params, "password": Param(type=str, max=LONGEST_PASSWORD + 1)}
        try:
            await self._exchange(pdu)
        except BaseException:  # cancelled at the deadline, too: no half-bound session stays
            self.end("not bound")
            raise
        self._start(self._watch(smsc.link_interval))

    async def ask(self, command: str, **fields: Any) -> bytes:
        """
        Send one request and wait for its response.

        Args:
            command: Name of the PDU ("submit_sm").
            fields: Its parameters, by their names in SMPP 3.4.

        Returns:
            The body of the response.

        Raises:
            Rejected: With an error as answer.
            Lost: Without one.
        """
        return await self._exchange(smpp.make_pdu(command, client=self, **fields))

    async def _exchange(self, pdu: Any) -> bytes:
        if self.lost is not None:
            raise Lost(self.lost)
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._answers[pdu.sequence] = answer
        self._writer.write(pdu.generate())
        try:
            raw = await answer
        finally:
            del self._answers[pdu.sequence]
        _, command, status, _ = HEADER.unpack_from(raw)
        if status != consts.SMPP_ESME_ROK:
            raise Rejected(status)
        if command == GENERIC_NACK:  # SMPP 3.4 4.3: never a yes, though its status says so
            raise Lost("the SMSC could not read it (generic_nack)")
        return raw[HEADER.size :]

    def doubt(self) -> None:
        """A response is overdue: ask for a sign of life now."""
        self._doubt.set()

    async def unbind(self) -> None:
        """Take leave, within two seconds."""
        with contextlib.suppress(Rejected, Lost, asyncio.TimeoutError):
            async with within(1):
                await self.ask("unbind")
        self.end("closed")
        with contextlib.suppress(OSError, asyncio.TimeoutError):
            async with within(1):
                await self._writer.wait_closed()

    def end(self, why: str) -> None:
        """Drop the connection; who waits for a response gets Lost."""
        if self.lost is not None:
            return
        self.lost = why
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(Lost(why))
        self._writer.close()
        for task in self._tasks:
            task.cancel()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)  # the loop itself keeps only a weak reference
        task.add_done_callback(self._tasks.discard)

    async def _read(self) -> None:
        """Take one PDU after the other until the connection ends."""
        try:
            while self.lost is None:
                header = await self._reader.readexactly(HEADER.size)
                length = HEADER.unpack(header)[0]
                if not HEADER.size <= length <= LONGEST_PDU:
                    self.end("what answers there does not speak SMPP")
                    return
                self._take(header + await self._reader.readexactly(length - HEADER.size))
        except asyncio.IncompleteReadError:
            self.end("the SMSC closed the connection")
        except OSError as error:
            self.end(f"the connection broke ({error.strerror or type(error).__name__})")

    def _take(self, raw: bytes) -> None:
        _, command, _, sequence = HEADER.unpack_from(raw)
        if command & RESPONSE:
            answer = self._answers.get(sequence)
            if answer is not None and not answer.done():
                answer.set_result(raw)
        elif command == DELIVER_SM:
            self._start(self._take_delivery(raw, sequence))
        elif command == ENQUIRE_LINK:
            self._answer(command, sequence)
        elif command == UNBIND:
            self._answer(command, sequence)
            self.end("the SMSC ended the session (unbind)")
        elif command != ALERT_NOTIFICATION:  # SMPP 3.4 4.12: that one has no response
            self._write(GENERIC_NACK, consts.SMPP_ESME_RINVCMDID, sequence)

    async def _take_delivery(self, raw: bytes, sequence: int) -> None:
        """Keep a delivery receipt, then acknowledge it.  Messages from phones are dropped."""
        status = consts.SMPP_ESME_ROK
        receipt = read_receipt(raw)
        if receipt is not None:
            try:
                async with self._recording:  # a backlog of receipts is not a crowd of threads
                    await asyncio.to_thread(self._record, receipt)
            except Exception:  # noqa: BLE001  # whatever the callback raised, the SMSC keeps it
                status = consts.SMPP_ESME_RX_T_APPN
        # SMPP 3.4 4.6.2: the message_id of a deliver_sm_resp is there, and empty.
        self._answer(DELIVER_SM, sequence, status, b"\0")

    async def _watch(self, interval: float) -> None:
        """Ask for a sign of life every `interval` seconds, and when in doubt."""
        while self.lost is None:
            with contextlib.suppress(asyncio.TimeoutError):
                async with within(interval):
                    await self._doubt.wait()
            self._doubt.clear()
            try:
                async with within(min(interval, LINK_SECONDS)):
                    await self.ask("enquire_link")
            except asyncio.TimeoutError:
                self.end("the SMSC no longer answers (enquire_link)")
            except (Rejected, Lost):
                pass  # an error is an answer, too; and a loss is known already

    def _answer(self, command: int, sequence: int, status: int = 0, body: bytes = b"") -> None:
        self._write(command | RESPONSE, status, sequence, body)

    def _write(self, command: int, status: int, sequence: int, body: bytes = b"") -> None:
        if self.lost is None:
            self._writer.write(
                HEADER.pack(HEADER.size + len(body), command, status, sequence) + body
            )


class Link:
    """
    An event loop in a thread of its own, and one session in it.

    Args:
        name: Of the thread.
        smsc: What to connect to.
        record: Keeps a delivery receipt.  Called in a further thread; may block.
    """

    def __init__(self, name: str, smsc: Smsc, record: Callable[[DeliveryReceipt], None]) -> None:
        self._smsc = smsc
        self._record = record
        self._session: Session | None = None
        self._stays = False
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
        with contextlib.suppress(LateError):
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

    def stay(self, timeout: float) -> None:
        """
        Bind, and do so again whenever the bind is lost.  May be called twice.

        Args:
            timeout: Seconds for one bind.
        """
        if not self._stays:
            self._stays = True
            self.start(self._stay(timeout))

    async def _stay(self, timeout: float) -> None:
        pause = STAY_SECONDS
        while True:
            try:
                async with within(timeout):
                    await self.session()
                pause = STAY_SECONDS
            except (Refused, Unavailable, asyncio.TimeoutError):
                pause = min(2 * pause, STAY_MOST)
            await asyncio.sleep(pause)

    async def _open(self) -> Session:
        try:
            session = await Session.connect(self._smsc, self._record)
            await session.bind(self._smsc)
        except Rejected as rejected:
            text = f"the SMSC refused the bind: {rejected}"
            if rejected.name in BUSY:
                raise Busy(text) from None
            if rejected.name in PASSING:
                raise Unavailable(text) from None
            raise Refused(text, out_of_order=True) from None
        except Lost as lost:
            raise Unavailable(f"no answer to the bind: {lost}") from None
        except OSError as error:
            raise Unavailable(f"cannot connect to the SMSC ({connection.reason(error)})") from None
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
    An event loop whose helper threads (names to addresses, receipts to the store) are daemons.

    Python waits for the threads of asyncio's own executor when it ends, and FreeRADIUS 3.2.1,
    which ends its interpreter without waiting, aborts over them.
    """

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[Ts]], T], *args: Unpack[Ts]
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
            future.set_exception(OSError("no thread to work in"))
        return future
