"""All rules of a login."""

# characters that look alike are the subject

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radius_smsotp.login import rules
from radius_smsotp.login.rules import (
    Accept,
    Again,
    Facts,
    Open,
    Refuse,
    Reject,
    Repeat,
    Resend,
    ResendDenied,
    Retransmitted,
    Trust,
)
from radius_smsotp.model.forms import typed_code
from radius_smsotp.model.identity import Obstacle
from radius_smsotp.model.records import (
    ECHOED,
    SKEW,
    Account,
    Challenge,
    Client,
    Counter,
    Lockout,
    LoginPolicy,
    Tally,
)

if TYPE_CHECKING:
    from radius_smsotp.model.records import Bind, ChallengeState

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
CODE = "012345"
POLICY = LoginPolicy(
    digits=6,
    lifetime=timedelta(seconds=300),
    guesses=3,
    resend_word="r",
    cooldown=timedelta(seconds=60),
    per_account_hour=6,
    per_number_hour=6,
    per_client_hour=0,
    per_day=5000,
    lockout_failures=10,
    lockout_time=timedelta(minutes=15),
)
LOCKED = Lockout(10, NOW, NOW + timedelta(minutes=1))
ALMOST_LOCKED = Lockout(9, NOW)
FULL = Tally(account_hour=6)


def challenge(**fields: Any) -> Challenge:
    """An open challenge of alice from the client "vpn", made now."""
    usual: dict[str, Any] = {
        "transaction_id": "0" * 32,
        "account": "alice",
        "client": "vpn",
        "station": "",
        "key_id": "k1",
        "digits": 6,
        "phone_hint": "***67",
        "created_at": NOW,
        "expires_at": NOW + POLICY.lifetime,
        "guesses_left": 3,
        "state": "open",
    }
    return Challenge(**(usual | fields))


def facts(**fields: Any) -> Facts:
    """What is known of alice, who may log in."""
    usual: dict[str, Any] = {
        "account": Account("alice", "+491701234567"),
        "phone": "+491701234567",
        "elsewhere": False,
        "barred": None,
        "lockout": Lockout(),
        "tally": Tally(),
        "running": (),
        "asker": Client("vpn"),
        "counter": Counter("alice", "vpn"),
        "remembered": False,
    }
    return Facts(**(usual | fields))


def judge(one: Challenge | None, answer: str = CODE, **fields: Any) -> rules.Judgement:
    """Judge alice's answer."""
    own = {"account", "client", "echoed", "tag", "judgeable", "others"}
    told = {name: fields.pop(name) for name in set(fields) & own}
    given = {"account": "alice", "client": Client("vpn"), "expected": CODE} | told
    usual: dict[str, Any] = {"locked": Lockout(), "tally": Tally(), "policy": POLICY, "now": NOW}
    return rules.judge(one, rules.Answer(text=answer, **given), **(usual | fields))


OBSTACLES = {
    "unknown-account": {"account": None},
    "no-number": {"account": None, "checkable": True},
    "disabled": {"account": Account("alice", "+491701234567", enabled=False)},
    "locked": {"lockout": LOCKED},
    "no-phone": {"phone": None},
    "bad-phone": {"phone": None, "elsewhere": True},
    **{reason: {"barred": reason} for reason in get_args(Obstacle)},
}
LIMITS = {
    "per_account_hour": Tally(account_hour=6),
    "per_number_hour": Tally(number_hour=6),
    "per_client_hour": Tally(client_hour=9),
    "per_day": Tally(day=5000),
}


class TestAdmit:
    def test_who_may_log_in_gets_a_challenge(self) -> None:
        """An account with a number, nothing against it, nothing open."""
        assert rules.admit(facts(), POLICY, NOW) == Open()

    def test_an_account_from_elsewhere_needs_none_of_ours(self) -> None:
        """FreeRADIUS has said which number is the user's."""
        assert rules.admit(facts(account=None, elsewhere=True), POLICY, NOW) == Open()

    @pytest.mark.parametrize("reason", OBSTACLES)
    def test_an_obstacle_refuses(self, reason: str) -> None:
        """Each with its own reason, for the audit trail only."""
        assert rules.admit(facts(**OBSTACLES[reason]), POLICY, NOW) == Refuse(reason)  # type: ignore[arg-type]

    @pytest.mark.parametrize("reason", LIMITS)
    def test_a_limit_refuses(self, reason: str) -> None:
        """One message more would break it."""
        strict = replace(POLICY, per_client_hour=9)
        assert rules.admit(facts(tally=LIMITS[reason]), strict, NOW) == Refuse(reason)  # type: ignore[arg-type]

    def test_every_reason_to_refuse_is_tested_here(self) -> None:
        """A new reason needs a test."""
        shown = {"old-code", "stored-password"}
        assert set(get_args(rules.RefusalReason)) == {*OBSTACLES, *LIMITS, *shown}

    @pytest.mark.parametrize("reason", OBSTACLES)
    def test_an_obstacle_stands_against_whatever_is_open(self, reason: str) -> None:
        """A challenge that is open and a remembered device do not help."""
        known = facts(running=(challenge(),), remembered=True, **OBSTACLES[reason])
        assert rules.admit(known, POLICY, NOW) == Refuse(reason)  # type: ignore[arg-type]

    def test_a_repeat_within_the_cooldown_gets_the_same_challenge(self) -> None:
        """Also when a limit is reached: it costs nothing."""
        young = challenge(created_at=NOW - timedelta(seconds=59.9))
        assert rules.admit(facts(running=(young,)), POLICY, NOW) == Repeat(young)
        assert rules.admit(facts(running=(young,), tally=FULL), POLICY, NOW) == Repeat(young)

    def test_after_the_cooldown_there_is_a_new_one(self) -> None:
        """Exactly at its end, and only if the limits allow it."""
        old = challenge(created_at=NOW - timedelta(seconds=60))
        assert rules.admit(facts(running=(old,)), POLICY, NOW) == Open()
        known = facts(running=(old,), tally=FULL)
        assert rules.admit(known, POLICY, NOW) == Refuse("per_account_hour")

    def test_without_a_cooldown_every_first_step_opens_a_challenge(self) -> None:
        """`limits.cooldown: 0`."""
        free = replace(POLICY, cooldown=timedelta(0))
        assert rules.admit(facts(running=(challenge(),)), free, NOW) == Open()

    @pytest.mark.parametrize(
        "other",
        [
            challenge(client="wifi"),
            challenge(state="spent"),
            challenge(expires_at=NOW),
        ],
    )
    def test_only_an_open_challenge_of_this_client_is_repeated(self, other: Challenge) -> None:
        """The user of another client may be somebody else at another place."""
        assert rules.admit(facts(running=(other,)), POLICY, NOW) == Open()

    def test_the_newest_challenge_is_repeated(self) -> None:
        """Two may be open if the cooldown was shortened meanwhile."""
        old = challenge(transaction_id="1" * 32, created_at=NOW - timedelta(seconds=30))
        new = challenge(transaction_id="2" * 32)
        assert rules.admit(facts(running=(new, old)), POLICY, NOW) == Repeat(new)

    @pytest.mark.parametrize(
        ("left", "asker", "again"),
        [
            (60, Client("vpn", "", "02"), True),
            (59.9, Client("vpn", "", "02"), False),
            (60, Client("vpn", "", "03"), False),
            (60, Client("wifi", "", "02"), False),
        ],
    )
    def test_in_eap_a_device_gets_the_same_challenge_while_its_code_can_be_typed(
        self, left: float, asker: Client, again: bool
    ) -> None:
        """It gives up 60 s after a question; whoever can wait has the cooldown."""
        ends = NOW + timedelta(seconds=left)
        old = challenge(station="02", created_at=NOW - timedelta(seconds=240), expires_at=ends)
        known = facts(running=(old,), asker=asker, patient=True)
        assert rules.admit(known, POLICY, NOW) == (Repeat(old) if again else Open())
        assert rules.admit(replace(known, patient=False), POLICY, NOW) == Open()

    def test_a_stored_password_gets_no_message(self) -> None:
        """What is open there goes on; whatever else is, is not this device's."""
        old = challenge(station="02", created_at=NOW - timedelta(seconds=100))
        for running, expected in (
            ((), Refuse("stored-password")),
            ((old,), Repeat(old)),
            ((replace(old, station="03"), replace(old, client="wifi")), Refuse("stored-password")),
        ):
            known = facts(running=running, asker=Client("vpn", "", "02"), stored=True)
            assert rules.admit(known, POLICY, NOW) == expected

    def test_an_old_code_is_the_first_factor_of_a_remembered_device_and_nothing_else(self) -> None:
        """Even if a challenge is open that would be repeated, and whatever the limits."""
        for running, tally in (((), Tally()), ((challenge(),), Tally()), ((), FULL)):
            known = facts(old_code=True, running=running, tally=tally)
            assert rules.admit(known, POLICY, NOW) == Refuse("old-code")
            assert rules.admit(replace(known, remembered=True), POLICY, NOW) == Trust()
        locked = facts(old_code=True, remembered=True, lockout=LOCKED)
        assert rules.admit(locked, POLICY, NOW) == Refuse("locked")

    def test_a_remembered_device_needs_no_message(self) -> None:
        """So no limit stands against it, and no challenge is repeated."""
        assert rules.admit(facts(remembered=True), POLICY, NOW) == Trust()
        known = facts(remembered=True, tally=FULL, running=(challenge(),))
        assert rules.admit(known, POLICY, NOW) == Trust()


class TestStored:
    """Who asks for codes and never types one."""

    def left(self, *more: dict[str, Any], **asked: Any) -> bool:
        """Whether a station is taken for a device after challenges that differ so."""
        here = {"station": "02", "created_at": NOW - timedelta(minutes=30), "expires_at": NOW}
        known = [challenge(**(here | one)) for one in more]
        usual: dict[str, Any] = {"since": None, "asked_once": True}
        asker = asked.pop("asker", Client("vpn", "192.0.2.1", "02", "Office"))
        return rules.is_stored(known, asker, POLICY, NOW, **(usual | asked))

    def test_it_is_known_after_the_second_time(self) -> None:
        """Where the code is asked for, by the password in its place; else by silence."""
        silent, echoed = {"answered": ""}, {"answered": ECHOED}
        assert [self.left(*[silent] * number) for number in range(4)] == [False, False, True, True]
        assert self.left(silent, echoed)
        assert self.left(echoed, echoed, asked_once=False)
        assert not self.left(silent, silent, asked_once=False)
        assert not self.left(silent, echoed, asked_once=False)

    @pytest.mark.parametrize(
        "other",
        [
            {"state": "spent"},
            {"guesses_left": 2},
            {"answered": "tag of a packet"},
            {"state": "exhausted", "guesses_left": 0},
            {"state": "undelivered"},
            {"state": "cancelled"},
            {"client": "wifi"},
            {"station": "03"},
            {"created_at": NOW - timedelta(hours=1)},
            {"created_at": NOW + timedelta(hours=1)},
        ],
    )
    def test_what_somebody_answered_does_not_count(self, other: dict[str, Any]) -> None:
        """Nor what was asked for elsewhere, never sent, or is too long ago."""
        assert not self.left({}, other)
        assert self.left({}, {}, other)

    def test_what_lies_before_the_last_login_there_does_not_count(self) -> None:
        """A wrong PIN was somebody, too."""
        assert not self.left({}, {}, since=NOW - timedelta(minutes=29))
        assert self.left({}, {}, since=NOW - timedelta(minutes=30))

    def test_stations_without_a_name_are_many(self) -> None:
        """One of them is no reason to keep messages from the others."""
        assert not self.left({"station": ""}, {"station": ""}, asker=Client("vpn"))


class TestJudge:
    def test_the_right_code_spends_the_challenge(self) -> None:
        """What is to be stored is the same challenge, spent."""
        one = challenge()
        assert judge(one) == Accept(replace(one, state="spent"))

    @pytest.mark.parametrize("answer", [" 012345", "012 345", "012345\r\n", "0-12345"])
    def test_what_stands_between_digits_does_not_matter(self, answer: str) -> None:
        """People read "123 456" and type it so."""
        assert isinstance(judge(challenge(), answer), Accept)

    @pytest.mark.parametrize("answer", ["", " ", "012346", "12345", "0123450", "012.345", "rr"])
    def test_a_wrong_code_burns_a_guess(self, answer: str) -> None:
        """One guess less, one failure more, and the same challenge again."""
        one = challenge()
        expected = Again(replace(one, guesses_left=2), Lockout(1, NOW))
        assert judge(one, answer) == expected

    def test_the_last_wrong_guess_ends_the_challenge(self) -> None:
        """It is worthless from then on, for the right code too."""
        last = challenge(guesses_left=1)
        decision = judge(last, "999999")
        spent = replace(last, guesses_left=0, state="exhausted")
        assert decision == Reject("exhausted", spent, Lockout(1, NOW))
        assert judge(spent) == Reject("exhausted")

    def test_a_wrong_code_that_locks_the_account_is_the_last(self) -> None:
        """The challenge stays, with one guess less, for after the lock-out if it lasts so long."""
        decision = judge(challenge(), "999999", locked=ALMOST_LOCKED)
        locked = Lockout(10, NOW, NOW + POLICY.lockout_time)
        assert decision == Reject("locked", replace(challenge(), guesses_left=2), locked)

    OTHER = challenge(transaction_id="1" * 32, client="wifi", guesses_left=1)

    def test_the_code_of_another_open_challenge_is_right_as_well(self) -> None:
        """Both logins are over: the one that was asked for may come again as a packet."""
        one = challenge()
        decision = judge(one, "543210", others=[(self.OTHER, "543210")], tag="tag")
        ended = {"state": "spent", "answered": "tag"}
        assert decision == Accept(replace(self.OTHER, **ended), replace(one, **ended))

    def test_a_wrong_one_is_a_guess_at_all_that_are_open(self) -> None:
        """And one failure."""
        one = challenge()
        decision = judge(one, "999999", others=[(self.OTHER, "543210")])
        burnt = replace(self.OTHER, guesses_left=0, state="exhausted")
        assert decision == Again(replace(one, guesses_left=2), Lockout(1, NOW), (burnt,))

    @pytest.mark.parametrize("state", ["spent", "exhausted", "cancelled", "undelivered"])
    def test_where_nothing_is_open_no_other_code_counts(self, state: ChallengeState) -> None:
        """Its first factor was right once, and may be another one now."""
        decision = judge(challenge(state=state), "543210", others=[(self.OTHER, "543210")])
        assert decision == Reject(state)  # type: ignore[arg-type]

    REJECTIONS: ClassVar[dict[str, tuple[Challenge | None, dict[str, Any]]]] = {
        "unknown-challenge": (None, {}),
        "foreign": (challenge(account="bob"), {}),
        "foreign-client": (challenge(client="wifi"), {"policy": replace(POLICY, bind="client")}),
        "foreign-station": (challenge(station="02"), {"policy": replace(POLICY, bind="station")}),
        "spent": (challenge(state="spent"), {}),
        "exhausted": (challenge(state="exhausted", guesses_left=0), {}),
        "undelivered": (challenge(state="undelivered"), {}),
        "cancelled": (challenge(state="cancelled"), {}),
        "expired": (challenge(expires_at=NOW), {}),
        "clock": (challenge(created_at=NOW + SKEW + timedelta(seconds=1)), {}),
        "locked": (challenge(), {"locked": LOCKED}),
        "other-key": (challenge(), {"judgeable": False}),
    }

    @pytest.mark.parametrize("reason", REJECTIONS)
    @pytest.mark.parametrize("answer", [CODE, "999999", "r"])
    def test_each_rejection_has_its_reason_and_changes_nothing(
        self, reason: str, answer: str
    ) -> None:
        """The right code, a wrong one and the wish for another SMS are all the same then."""
        one, more = self.REJECTIONS[reason]
        assert judge(one, answer, **more) == Reject(reason)  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        ("bind", "client", "accepted"),
        [
            ("account", Client("wifi", "", "03"), True),
            ("account", Client("vpn", "", "02"), True),
            ("client", Client("wifi", "", "02"), False),
            ("client", Client("vpn", "192.0.2.9", "03"), True),
            ("station", Client("wifi", "", "02"), False),
            ("station", Client("vpn", "", "03"), False),
            ("station", Client("vpn"), False),
            ("station", Client("vpn", "192.0.2.9", "02"), True),
        ],
    )
    def test_a_challenge_is_answered_from_where_it_is_bound_to(
        self, bind: Bind, client: Client, accepted: bool
    ) -> None:
        """Opened through the client "vpn", by the station "02"."""
        policy = replace(POLICY, bind=bind)
        one = challenge(station="02")
        assert isinstance(judge(one, client=client, policy=policy), Accept) == accepted
        other = challenge(client=client.name, station=client.station)
        found = rules.answerable([one, other], client, policy, NOW)
        assert found == ([one, other] if accepted else [other])

    def test_a_challenge_of_a_server_whose_clock_is_ahead_is_answered(self) -> None:
        """By as much as clocks may differ; if it is further ahead, its age is not known."""
        near, far = (challenge(created_at=NOW + SKEW + timedelta(seconds=one)) for one in (0, 1))
        assert isinstance(judge(near), Accept)
        assert judge(far) == Reject("clock")
        assert rules.answerable([near, far], Client("vpn"), POLICY, NOW) == [near]

    def test_every_reason_to_reject_is_tested_here(self) -> None:
        """A new reason needs a test."""
        assert set(get_args(rules.RejectionReason)) == set(self.REJECTIONS)

    @pytest.mark.parametrize("answer", ["r", "R", " r ", "r\r\n"])
    def test_the_resend_word_asks_for_one_more_sms(self, answer: str) -> None:
        """It is no guess, and the challenge stays as it is."""
        assert judge(challenge(), answer) == Resend(challenge())

    def test_a_limit_denies_the_resend_and_costs_no_guess(self) -> None:
        """The code that was sent is still good."""
        expected = ResendDenied(challenge(), "per_account_hour")
        assert judge(challenge(), "r", tally=FULL) == expected

    def test_an_empty_resend_word_never_asks(self) -> None:
        """An empty answer is then a wrong code."""
        off = replace(POLICY, resend_word="")
        assert isinstance(judge(challenge(), "", policy=off), Again)
        assert isinstance(judge(challenge(), "r", policy=off), Again)

    @pytest.mark.parametrize("word", ["nochmal", "Nochmal", " nochmal "])
    def test_a_resend_word_is_found_however_it_is_typed(self, word: str) -> None:
        """Letter case and blanks around it do not matter, in the settings either."""
        policy = replace(POLICY, resend_word=word)
        assert isinstance(judge(challenge(), word.strip().upper(), policy=policy), Resend)

    @given(st.text())
    def test_any_answer_has_a_judgement(self, answer: str) -> None:
        """And no answer but the code itself is ever accepted."""
        decision = judge(challenge(), answer)
        assert isinstance(decision, Accept) == (typed_code(answer) == CODE)


def test_burning_ends_at_nothing() -> None:
    """Guesses never become negative."""
    one = challenge(guesses_left=2)
    one = rules.burn(one)
    assert (one.guesses_left, one.state) == (1, "open")
    for _ in range(2):
        one = rules.burn(one)
        assert (one.guesses_left, one.state) == (0, "exhausted")


class TestRetransmission:
    """RFC 2865 section 3: the same packet gets the same reply."""

    @pytest.mark.parametrize("answer", [CODE, "999999", "r"])
    def test_the_same_answer_in_the_same_packet_changes_nothing(self, answer: str) -> None:
        """No guess, no failure, no message, and no code is used twice."""
        first = judge(challenge(), answer, tag="one")
        assert isinstance(first, Accept | Again | Resend)
        assert first.challenge.answered == "one"
        assert judge(first.challenge, answer, tag="one") == Retransmitted(first.challenge)

    def test_another_packet_is_another_answer(self) -> None:
        """The code was used; a wrong one is one more guess."""
        spent = challenge(state="spent", answered="one")
        assert judge(spent, tag="two") == Reject("spent")
        assert isinstance(judge(challenge(answered="one"), "999999", tag="two"), Again)

    def test_without_a_tag_nothing_is_a_retransmission(self) -> None:
        """Of a policy that does not say which packet it was, and of challenges from before."""
        assert judge(challenge(state="spent")) == Reject("spent")

    def test_it_ends_with_the_challenge(self) -> None:
        """What is past its time, closed or of somebody else gets no Access-Accept any more."""
        spent = challenge(state="spent", answered="one")
        later = NOW + POLICY.lifetime
        assert judge(spent, tag="one", now=later) == Reject("spent")
        assert judge(replace(spent, state="cancelled"), tag="one") == Reject("cancelled")
        assert judge(spent, tag="one", account="bob") == Reject("foreign")
