"""What a request may say of its steering."""

import pytest

from lm_eval_cachesteer.errors import ArgumentError
from lm_eval_cachesteer.vllm.settings import SteeringSettings


def test_a_plain_request_says_nothing():
    for arguments in (None, {}, {"session_id": "a", "kv_transfer_params": {"x": 1}}):
        assert SteeringSettings.read(arguments) is None


def test_what_is_written_is_read():
    settings = SteeringSettings("mine", c_keys=0.25, c_values=-6.0, layers="2-4", heads=3, position=-2, cached=7)
    assert settings.to_arguments() == {
        "cachesteer": "mine",
        "cachesteer_c_keys": 0.25,
        "cachesteer_c_values": -6.0,
        "cachesteer_layers": "2-4",
        "cachesteer_heads": 3,
        "cachesteer_position": -2,
        "cachesteer_cached": 7,
    }
    assert SteeringSettings.read({"session_id": "a"} | settings.to_arguments()) == settings
    assert SteeringSettings.read({"cachesteer": "mine"}) == SteeringSettings("mine")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cachesteer": 3}, "cachesteer=3 is not allowed"),
        ({"cachesteer": " "}, "cachesteer=' ' is not allowed"),
        ({"cachesteer": ["a"]}, r"cachesteer=\['a'\] is not allowed"),
        ({"cachesteer": "a", "cachesteer_c_values": "6"}, "cachesteer_c_values='6' is not allowed"),
        ({"cachesteer": "a", "cachesteer_c_values": True}, "cachesteer_c_values=True is not allowed"),
        ({"cachesteer": "a", "cachesteer_c_values": float("nan")}, "cachesteer_c_values=nan is not allowed"),
        ({"cachesteer": "a", "cachesteer_c_keys": 10**400}, "cachesteer_c_keys=1000.* is not allowed"),
        ({"cachesteer": "a", "cachesteer_position": 0.5}, "cachesteer_position=0.5 is not allowed"),
        ({"cachesteer": "a", "cachesteer_layers": 10**12}, "cachesteer_layers=1000000000000 is not allowed"),
        ({"cachesteer": "a", "cachesteer_cached": 0}, "cachesteer_cached=0 is not allowed"),
        ({"cachesteer": "a", "cachesteer_offset": "\n"}, "cachesteer_offset=.* is not allowed"),
        ({"cachesteer": "a", "cachesteer_c_valeus": 6}, "did you mean 'cachesteer_c_values'"),
        ({"cachesteer_c_values": 6}, "cachesteer_c_values given without cachesteer"),
    ],
)
def test_what_is_refused(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        SteeringSettings.read(arguments)
