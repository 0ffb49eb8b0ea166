"""The provider ``script``: real programs, started by it."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from radius_smsotp.errors import DeliveryError, Refused, Unavailable, Unknown
from radius_smsotp.providers.contract import CODE, PHONE, ProviderContract, message, soon
from radius_smsotp.providers.script import Provider, Settings
from tests.providers.script_gateway import (
    API_KEY,
    OTHERS,
    ScriptStandIn,
    children,
    ended,
    eventually,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def stand_in(tmp_path: Path) -> Iterator[ScriptStandIn]:
    # Group and others may not write, whatever the umask of whoever runs the tests.
    tmp_path.chmod(0o700)
    OTHERS.update(children())
    yield ScriptStandIn(tmp_path)
    assert children() == [], "a program was left behind"


class TestContract(ProviderContract):
    pass


class TestWhatTheProgramGets:
    def test_text_never_stands_in_arguments_or_environment(self, stand_in: ScriptStandIn) -> None:
        seen = stand_in.folder / "seen"
        stand_in.does(f"cat /proc/$$/cmdline /proc/$$/environ > {seen}")
        stand_in.provider().send(message(), soon())
        assert PHONE.encode() in seen.read_bytes()
        assert CODE.encode() not in seen.read_bytes()

    def test_arguments_are_never_read_by_a_shell(self, stand_in: ScriptStandIn) -> None:
        seen = stand_in.folder / "seen"
        stand_in.does(f"printf '%s|' \"$@\" > {seen}")
        stand_in.provider(arguments=["--to={phone_digits}", "$(id) ; *", ""]).send(
            message(), soon()
        )
        assert seen.read_text() == f"--to={PHONE[1:]}|$(id) ; *||"

    def test_the_number_can_go_by_environment_instead(self, stand_in: ScriptStandIn) -> None:
        seen = stand_in.folder / "seen"
        stand_in.does(f'echo "$# $PHONE" > {seen}')
        stand_in.provider(arguments=[], environment={"PHONE": "{phone}"}).send(message(), soon())
        assert seen.read_text() == f"0 {PHONE}\n"

    def test_the_environment_holds_only_what_is_set(
        self, stand_in: ScriptStandIn, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SECRET_OF_RADIUSD", "x")
        seen = stand_in.folder / "seen"
        stand_in.does(f"tr '\\0' '\\n' < /proc/$$/environ > {seen}; pwd >> {seen}")
        stand_in.provider().send(message(), soon())
        *variables, place = seen.read_text().splitlines()
        assert {line.partition("=")[0] for line in variables} == {"PATH", "LANG", "API_KEY"}
        assert place == "/"

    def test_no_open_file_of_ours_is_inherited(self, stand_in: ScriptStandIn) -> None:
        seen = stand_in.folder / "seen"
        with (stand_in.folder / "held-by-radiusd").open("w") as held:
            os.set_inheritable(held.fileno(), True)
            stand_in.does(f"ls -l /proc/self/fd > {seen}")
            stand_in.provider().send(message(), soon())
        assert "held-by-radiusd" not in seen.read_text()

    def test_regexp_rewrites_the_number_as_with_privacyidea(self, stand_in: ScriptStandIn) -> None:
        stand_in.provider(REGEXP=r"/^\+/00/").send(message(), soon())
        assert stand_in.received()[0][0] == "00" + PHONE[1:]

    def test_a_long_text_arrives_whole(self, stand_in: ScriptStandIn) -> None:
        text = CODE + "é€" * 100_000  # more than a pipe holds
        stand_in.provider().send(message(text=text), soon())
        assert stand_in.received() == [(PHONE, text)]


class TestVerdicts:
    @pytest.mark.parametrize("status", [69, 75])
    def test_sysexits_says_unavailable(self, stand_in: ScriptStandIn, status: int) -> None:
        stand_in.does(f"exit {status}")
        with pytest.raises(Unavailable, match=f"status {status}"):
            stand_in.provider().send(message(), soon())

    def test_a_refusal_names_status_and_first_line(self, stand_in: ScriptStandIn) -> None:
        stand_in.does("echo; echo 'unknown sender' >&2; echo 'more' >&2; exit 7")
        with pytest.raises(Refused) as caught:
            stand_in.provider().send(message(), soon())
        assert str(caught.value) == "the program ended with status 7: unknown sender"
        assert not caught.value.out_of_order

    def test_a_signal_leaves_it_open_whether_the_message_went_out(
        self, stand_in: ScriptStandIn
    ) -> None:
        for number in (11, 40):  # one that has a name of its own, and one that has not
            stand_in.does(f"kill -{number} $$")
            with pytest.raises(Unknown, match=f"signal {number}"):
                stand_in.provider().send(message(), soon())

    def test_the_first_line_printed_is_the_message_id(self, stand_in: ScriptStandIn) -> None:
        stand_in.does("printf '\\n  id-\\00142\\t\\nmore\\n'")
        assert stand_in.provider().send(message(), soon()).message_id == "id- 42"

    def test_a_message_id_holds_no_secret(self, stand_in: ScriptStandIn) -> None:
        stand_in.does('echo "sent $(cat) to $1 with $API_KEY"')
        assert stand_in.provider().send(message(), soon()).message_id == "sent *** to *** with ***"

    @pytest.mark.parametrize("background", [False, True])
    def test_or_else_our_own_name_for_it_if_the_program_is_told(
        self, stand_in: ScriptStandIn, background: bool
    ) -> None:
        """It may say by that what became of the message."""
        told = {"arguments": ["{phone}", "{attempt}"], "background": background}
        one = message()
        assert stand_in.provider(**told).send(one, soon()).message_id == one.attempt
        assert eventually(lambda: not children())

    def test_a_program_that_prints_nothing_gives_no_message_id(
        self, stand_in: ScriptStandIn
    ) -> None:
        assert stand_in.provider().send(message(), soon()).message_id is None

    def test_an_exit_status_that_was_lost_is_not_taken_for_success(
        self, stand_in: ScriptStandIn
    ) -> None:
        # In a process of its own: who ignores SIGCHLD never gets an exit status.
        command = [sys.executable, "-c", LOSES_EXIT_STATUS, stand_in.program, stand_in.folder]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr


LOSES_EXIT_STATUS = """
import signal, sys, time
from pathlib import Path
from radius_smsotp.errors import Unknown
from radius_smsotp.providers import Message, Surroundings
from radius_smsotp.providers.script import Provider, Settings
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
settings = Settings(type="script", script=sys.argv[1])
provider = Provider("mine", settings, Surroundings(Path(sys.argv[2]), {}, Path(sys.argv[2])))
try:
    provider.send(Message("0" * 32, "+491701234567", "text", "1"), time.monotonic() + 20)
except Unknown as error:
    assert "lost" in str(error), error
else:
    sys.exit("taken for success")
"""


class TestTimeLimit:
    def test_the_whole_process_group_is_killed(self, stand_in: ScriptStandIn) -> None:
        pids = stand_in.folder / "pids"
        stand_in.does(f"sleep 60 & echo $! $$ > {pids}.part; mv {pids}.part {pids}; wait")
        with pytest.raises(Unknown, match="time limit"):
            stand_in.provider(timeout=0.6).send(message(), soon())
        assert all(eventually(lambda pid=pid: ended(int(pid))) for pid in pids.read_text().split())

    def test_a_program_that_ignores_sigterm_is_ended_too(self, stand_in: ScriptStandIn) -> None:
        stand_in.does("trap '' TERM INT HUP; while :; do sleep 1; done")
        with pytest.raises(Unknown):
            stand_in.provider(timeout=0.6).send(message(), soon())

    def test_a_child_that_keeps_the_output_open_holds_up_nothing(
        self, stand_in: ScriptStandIn
    ) -> None:
        pid = stand_in.folder / "pid"
        stand_in.does(f"echo id-1; sleep 60 & echo $! > {pid}")
        receipt = stand_in.provider().send(message(), soon(30))
        os.kill(int(pid.read_text()), 0)  # still there: nobody asked for its end
        os.kill(int(pid.read_text()), 9)
        assert receipt.message_id == "id-1"

    def test_a_program_that_reads_nothing_is_judged_by_its_status(
        self, stand_in: ScriptStandIn
    ) -> None:
        stand_in.does("exec <&-; exit 3")
        with pytest.raises(Refused, match="status 3"):
            stand_in.provider().send(message(text=CODE * 50_000), soon())

    def test_endless_output_is_cut_off_at_the_time_limit(self, stand_in: ScriptStandIn) -> None:
        stand_in.does("exec yes")
        with pytest.raises(Unknown):
            stand_in.provider(timeout=0.6).send(message(), soon())

    def test_a_hundred_megabytes_of_output_are_not_kept(self, stand_in: ScriptStandIn) -> None:
        stand_in.does("echo id-1; head -c 100000000 /dev/zero; head -c 1000000 /dev/zero >&2")
        before = peak_kilobytes()
        assert stand_in.provider().send(message(), soon(60)).message_id == "id-1"
        assert peak_kilobytes() - before < 20_000


def peak_kilobytes() -> int:
    """The most memory this process ever had, in KiB (getrusage(2) on Linux)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


class TestBackground:
    def test_it_is_accepted_while_it_still_runs(self, stand_in: ScriptStandIn) -> None:
        gate = stand_in.folder / "gate"
        os.mkfifo(gate)
        stand_in.does(f"read go < {gate}; cat > {stand_in.inbox}/late.part; exit 1")
        provider = stand_in.provider(background="background")
        assert provider.send(message(), soon()).message_id is None
        assert children() != []
        gate.write_text("go\n")
        assert eventually(lambda: children() == [])
        assert (stand_in.inbox / "late.part").read_text() == message().text

    def test_it_is_stopped_at_the_time_limit_of_the_settings(self, stand_in: ScriptStandIn) -> None:
        stand_in.fall_silent()
        stand_in.provider(background=True, timeout=0.2).send(message(), soon())
        assert eventually(lambda: children() == [])

    def test_a_failure_is_logged(
        self, stand_in: ScriptStandIn, caplog: pytest.LogCaptureFixture
    ) -> None:
        stand_in.refuse()
        stand_in.provider(background=True).send(message(), soon())
        assert eventually(lambda: caplog.messages)
        assert caplog.messages == [
            "providers.mine: in the background, the program ended with status 1: "
            "no route for *** *** with ***"
        ]
        assert eventually(lambda: children() == [])


class TestPrograms:
    def test_one_that_is_missing_puts_the_provider_out_of_order(
        self, stand_in: ScriptStandIn
    ) -> None:
        stand_in.program.unlink()
        provider = stand_in.provider()
        self.fails(provider, "No such file")
        [problem] = provider.check()
        assert problem.path == "providers.mine.script"
        assert "cannot find" in problem.fault

    def test_one_that_cannot_be_run_puts_the_provider_out_of_order(
        self, stand_in: ScriptStandIn
    ) -> None:
        stand_in.program.chmod(0o644)
        provider = stand_in.provider()
        self.fails(provider, "Permission denied")
        [problem] = provider.check()
        assert "cannot be run" in problem.fault
        assert problem.remedy == f"chmod 755 {stand_in.program}"

    def test_one_without_its_interpreter_says_so(self, stand_in: ScriptStandIn) -> None:
        stand_in.program.write_text("#!/nowhere/python\n")
        self.fails(stand_in.provider(), "interpreter")

    def test_one_without_a_first_line_is_not_given_to_a_shell(
        self, stand_in: ScriptStandIn
    ) -> None:
        stand_in.program.write_text("exit 0\n")
        self.fails(stand_in.provider(), "Exec format error")

    def test_a_folder_is_no_program(self, stand_in: ScriptStandIn) -> None:
        provider = stand_in.provider(script=str(stand_in.inbox))
        self.fails(provider, "Permission denied")
        [problem] = provider.check()
        assert "is not a file" in problem.fault

    def test_one_that_everybody_can_change_is_a_problem(self, stand_in: ScriptStandIn) -> None:
        stand_in.program.chmod(0o757)
        [problem] = stand_in.provider().check()
        assert str(problem) == (
            f"providers.mine.script: {stand_in.program} can be changed by every user; "
            f"chmod o-w {stand_in.program}"
        )

    def test_a_folder_where_everybody_can_replace_it_is_a_problem(
        self, stand_in: ScriptStandIn
    ) -> None:
        link = stand_in.folder / "link"
        link.symlink_to(stand_in.program)
        stand_in.folder.chmod(0o1777)
        [problem] = stand_in.provider(script=str(link)).check()
        assert problem.fault == f"{stand_in.folder} can be changed by every user"

    def test_paths_count_from_the_folder_of_the_settings(self, stand_in: ScriptStandIn) -> None:
        stand_in.provider(script="send").send(message(1), soon())
        moved = stand_in.folder / "scripts"
        moved.mkdir()
        stand_in.program.rename(moved / "send")
        stand_in.provider(script="send", directory="scripts").send(message(2), soon())
        assert len(stand_in.received()) == 2

    def fails(self, provider: Provider, reason: str) -> None:
        with pytest.raises(Refused, match=reason) as caught:
            provider.send(message(), soon())
        assert caught.value.out_of_order
        # The exception of the library names the command, and so the number.
        chain: BaseException | None = caught.value
        assert isinstance(chain, DeliveryError)
        assert chain.__cause__ is None
        assert chain.__suppress_context__


class TestSettings:
    def faults(self, **settings: Any) -> str:
        with pytest.raises(ValidationError) as caught:
            Settings.model_validate({"type": "script", "script": "send", **settings})
        return str(caught.value)

    @pytest.mark.parametrize("name", ["otp", "message", "code"])
    def test_the_text_cannot_be_put_into_the_arguments(self, name: str) -> None:
        assert "every user of the host can read" in self.faults(
            arguments=["{phone}", f"{{{name}}}"]
        )
        assert "every user" in self.faults(arguments=["{phone}", f"<{name}>"])

    @pytest.mark.parametrize("name", ["otp", "message", "code"])
    def test_the_text_may_be_put_into_the_environment(self, name: str) -> None:
        """No other user can read it."""
        given = {"type": "script", "script": "send", "environment": {"TEXT": f"{{{name}}}"}}
        Settings.model_validate(given)

    def test_the_number_has_to_go_somewhere(self) -> None:
        assert "would not learn the number" in self.faults(arguments=[])

    def test_a_name_that_is_none_is_refused(self) -> None:
        assert "cannot be the name of a variable" in self.faults(environment={"A=B": "1"})

    def test_a_nul_is_refused(self) -> None:
        assert "holds a NUL" in self.faults(arguments=["{phone}", "a\0b"])

    def test_variables_do_not_show_in_repr(self) -> None:
        settings = Settings(type="script", script="send", environment={"API_KEY": API_KEY})
        assert API_KEY not in repr(settings)

    def test_a_gateway_of_privacyidea_pastes_unchanged(self) -> None:
        settings = Settings.model_validate(
            {"type": "script", "script": "send.sh", "background": "wait", "REGEXP": r"/[\+/]//"}
        )
        assert settings.script == Path("send.sh")
        assert not settings.background
        assert settings.arguments == ["{phone}"]

    def test_its_script_folder_goes_by_its_own_name(self) -> None:
        given = {"type": "script", "script": "a", "PI_SCRIPT_SMSPROVIDER_DIRECTORY": "/etc/scripts"}
        assert Settings.model_validate(given).directory == Path("/etc/scripts")
