"""The commands of simulated hosts, one declaration each. To add one: a function in the module that it belongs to."""

from simulator.hosts.commands import builtin, files, identity, running, space
from simulator.hosts.commands.declare import COMMANDS, without

__all__ = ["COMMANDS", "builtin", "files", "identity", "running", "space", "without"]
