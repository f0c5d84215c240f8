"""The table of commands: a module declares what its line says, and a new command costs a module and a line."""

import argparse
import json

import pytest

from control.cli.main import build, main
from control.cli.parser import Commands
from control.cli.table import COMMANDS
from tests.control.stand_in import StandIn


def declared(parser: argparse.ArgumentParser) -> list[str]:
    (commands,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return list(commands.choices)


@pytest.mark.parametrize("module", COMMANDS)
def test_a_module_declares_the_commands_of_its_line(module: str) -> None:
    commands = Commands([])
    __import__(module, fromlist=["add"]).add(commands)
    assert declared(commands.parser) == list(COMMANDS[module])


def test_a_new_command_costs_a_module_and_a_line(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(COMMANDS, "tests.control.cli.toy_command", ("count",))
    home = ["-H", str(stand_in.home)]
    assert main([*home, "count"]) == 0
    assert capsys.readouterr().out == "versions  2\n"
    assert main([*home, "count", "--times", "3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"versions": 6}
    assert "count" in declared(build())
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "count versions" in capsys.readouterr().out
