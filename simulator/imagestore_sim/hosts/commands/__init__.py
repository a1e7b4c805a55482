"""The commands of simulated hosts, one declaration each. To add one: a function in the module that it belongs to."""

from imagestore_sim.hosts.commands import builtin, files, identity, running, service, space, text
from imagestore_sim.hosts.commands.declare import COMMANDS, without
from imagestore_sim.hosts.commands.held import with_faults

__all__ = ["COMMANDS", "builtin", "files", "identity", "running", "service", "space", "text", "with_faults", "without"]
