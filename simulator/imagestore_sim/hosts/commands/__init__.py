"""The commands of simulated hosts, one declaration each. To add one: a function in the module that it belongs to."""

from imagestore_sim.hosts.commands import builtin, files, identity, running, space
from imagestore_sim.hosts.commands.declare import COMMANDS, without

__all__ = ["COMMANDS", "builtin", "files", "identity", "running", "space", "without"]
