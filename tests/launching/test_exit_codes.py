"""One table of exit codes, in words and in code."""

import re

import pytest

from keras_bert.launching import exit_codes


def test_the_table_is_what_the_code_says():
    rows = dict(re.findall(r"^(\d+)  +.*  (no|yes|as)", exit_codes.__doc__, re.MULTILINE))
    codes = {"DONE", "FAILED", "WRONG_USAGE", "PREEMPTED", "PEER_LOST", "INTERRUPTED"}
    assert {int(code) for code in rows} == {getattr(exit_codes, name) for name in codes}
    for code, again in rows.items():
        if exit_codes.is_worth_a_restart(int(code)):
            assert again == "yes"
        # One that saved does not start again by itself: who told it to stop had a reason.
        elif int(code) != exit_codes.PREEMPTED:
            assert again != "yes"


@pytest.mark.parametrize(
    ("code", "signal", "words"),
    [
        (-9, 9, "was killed by SIGKILL"),
        (137, 9, "was killed by SIGKILL"),
        (143, 15, "was killed by SIGTERM"),
        (130, None, "was stopped by Ctrl-C (exit code 130)"),
        (128, None, "ended (exit code 128)"),
        (255, None, "ended (exit code 255)"),
        (1, None, "failed (exit code 1)"),
        (7, None, "ended (exit code 7)"),
        (75, None, "lost another worker (exit code 75)"),
    ],
)
def test_what_became_of_a_process(code, signal, words):
    assert exit_codes.died_of_signal(code) == signal
    assert exit_codes.meaning(code) == words
