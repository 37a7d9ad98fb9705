from pathlib import Path

import pytest
from support.cli import run_cli

from colorcli.errors import UsageError
from colorcli.train.config import Config, DataConfig, Phase, load_config, to_toml


def test_round_trip(tmp_path: Path) -> None:
    config = Config(
        name='quo"te',
        data=DataConfig(short_side=99),
        phases=(Phase("a", 16), Phase("b", 20, adversarial=0.5)),
    )
    path = tmp_path / "c.toml"
    path.write_text(to_toml(config))
    assert load_config(path) == config


def test_whole_numbers_stand_for_fractions(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text("perceptual = 2")
    assert load_config(path).perceptual == 2.0


@pytest.mark.parametrize(
    "text",
    [
        "nonsense = 1", "blend = 0.5", "seed = 'x'", "held_out = true", "[data]\nshort = 1", "data = 3",
        "[[phases]]\nsize = 1", "phases = 3", "phases = []", "phases = ['a']", "not toml", "\xff",
        "seed = -1", "held_out = 0", "checkpoint_every = 0", "perceptual = nan", "ema_decay = 1.5",
        "[data]\nshort_side = 0", "[[phases]]\nname = 'a'\ncrops = 8\nbatch = 16",
    ],
)  # fmt: skip
def test_unknown_settings_wrong_types_and_ranges_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "c.toml"
    path.write_text(text, "latin-1")
    with pytest.raises(UsageError, match=r"c\.toml"):
        load_config(path)


def test_a_slip_of_the_pen_is_named(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("percptual = 2")
    with pytest.raises(UsageError, match="unknown setting percptual; did you mean perceptual"):
        load_config(tmp_path / "c.toml")


def test_the_settings_are_printed_as_a_file(tmp_path: Path) -> None:
    """Defaults, and those of a file with what it leaves out."""
    (tmp_path / "c.toml").write_text("seed = 7")
    for arguments, config in (((), Config()), (("--config", tmp_path / "c.toml"), Config(seed=7))):
        printed = run_cli("train", "--print-config", *arguments)
        (tmp_path / "printed.toml").write_bytes(printed.stdout)
        assert load_config(tmp_path / "printed.toml") == config
    assert run_cli("train", tmp_path).returncode == 2


def test_the_shipped_configuration_is_valid() -> None:
    shipped = load_config(Path("default"))
    assert any(phase.adversarial for phase in shipped.phases)
