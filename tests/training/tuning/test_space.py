"""What a study searches."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn_cli.errors import ConfigError
from charrnn_cli.training.tuning.dimension import (
    RELATIVE,
    Dimension,
    Params,
    number_of_points,
    untried_point,
)
from charrnn_cli.training.tuning.space import (
    default_params,
    default_space,
    described,
    parse_space,
    settings_of,
    with_defaults,
)


def test_the_forms_of_set() -> None:
    """Values, ranges and logarithmic ranges are read, of numbers and of names."""
    typed = ["size=256,512", "dropout=0..0.6", "lr=1e-3..8e-3:log", "layers=1..3", "cell=lstm,gru"]
    size, dropout, lr, layers, cell = parse_space(typed, {}, is_warm=False)
    assert size.values == (256, 512)
    assert (dropout.low, dropout.high, dropout.is_log) == (0, 0.6, False)
    assert (lr.low, lr.high, lr.is_log) == (1e-3, 8e-3, True)
    assert (layers.low, layers.high, layers.is_integer) == (1, 3, True)
    assert cell.values == ("lstm", "gru")
    assert all(Dimension.from_json(each.to_json()) == each for each in (size, lr, cell))


@pytest.mark.parametrize(
    ("typed", "error"),
    [
        ("size", "--set cannot search 'size'"),
        ("sise=1", "--set cannot search 'sise=1'"),
        ("size=big", "--set cannot search 'size=big'"),
        ("lr=2e-3..1e-3", "--set cannot search 'lr=2e-3..1e-3'"),
        ("lr=0..1:log", "--set cannot search 'lr=0..1:log'"),
        ("layers=1.5..3", "--set cannot search 'layers=1.5..3'"),
        ("seed=1,2", "--set cannot search 'seed=1,2'"),
        ("max-steps=1..9", "--set cannot search 'max-steps=1..9'"),
        ("dropout=0..1.5", "dropout must be at least 0 and below 1; got 1.5"),
        ("cell=lstm,transformer", "--set cannot search 'cell=lstm,transformer'"),
    ],
)
def test_what_cannot_be_searched(typed: str, error: str) -> None:
    """A setting that is unknown or no part of the recipe, and an invalid value, are errors."""
    with pytest.raises(ConfigError) as raised:
        parse_space([typed], {}, is_warm=False)
    assert raised.value.message == error


def test_a_setting_has_one_place() -> None:
    """A setting cannot be searched twice, nor searched and fixed."""
    with pytest.raises(ConfigError, match="searched twice"):
        parse_space(["lr=1,2", "lr=3,4"], {}, is_warm=False)
    with pytest.raises(ConfigError, match="fixed and searched"):
        parse_space(["lr=1,2"], {"lr"}, is_warm=False)
    with pytest.raises(ConfigError, match="--init-from sets size"):
        parse_space(["size=16,32"], {}, is_warm=True)


def test_fixed_options_leave_the_space() -> None:
    """An option that is given is not searched; dropout stands for the relative one, too."""
    names = [each.name for each in default_space({"size", "dropout"}, is_warm=False)]
    assert names == ["layers", "lr", "weight_decay"]
    assert "size" not in [each.name for each in default_space({}, is_warm=True)]


def test_trial_0_is_the_default_recipe() -> None:
    """The default recipe's own values are in the usual space, and the nearest in a typed one."""
    defaults = {"size": 128, "layers": 1, "lr": 8e-3, "weight_decay": 0.5}
    space = with_defaults(default_space({}, is_warm=False), defaults)
    assert default_params(space, defaults) == {**defaults, RELATIVE: 0.0}
    typed = parse_space(["size=256,512", "lr=1e-3..2e-3"], {}, is_warm=False)
    assert default_params(typed, defaults) == {"size": 256, "lr": 2e-3}


def test_parameters_in_words() -> None:
    """What differs from the default recipe is named; the relative dropout is no setting."""
    default = {"size": 256, RELATIVE: 0.0, "lr": 0.003}
    assert described(default, default) == "default"
    other = {"size": 512, RELATIVE: -0.123, "lr": 0.00123456}
    assert described(other, default) == "size 512, dropout auto -0.12, lr 0.00123"
    assert settings_of(other) == {"size": 512, "lr": 0.00123456}


@given(st.integers(1, 4), st.integers(1, 4), st.data())
def test_every_point_is_found_once(sizes: int, layers: int, data: st.DataObject) -> None:
    """From wherever the search begins, it ends with all points of a finite space."""
    typed = [f"size={','.join(map(str, range(8, 8 + sizes)))}", f"layers=1..{layers + 1}"]
    space = parse_space(typed, {}, is_warm=False)
    tried: list[Params] = []
    total = number_of_points(space)
    assert total == sizes * (layers + 1)
    for _ in range(int(total)):
        first = data.draw(st.integers(0, 99))
        point = untried_point(space, tried, first)
        assert point is not None
        assert point not in tried
        tried.append(point)
    assert untried_point(space, tried, 0) is None


def test_a_range_of_numbers_has_no_end() -> None:
    """A range of integers is finite, one of numbers is not, and a value typed twice is one."""
    (twice,) = parse_space(["size=16,16,32"], {}, is_warm=False)
    assert (twice.values, number_of_points((twice,))) == ((16, 32), 2)
    assert number_of_points(parse_space(["size=8..9", "lr=1e-3..8e-3"], {}, is_warm=False)) > 1e9
