"""What this node forgives though ZStack refuses it, because a widely used client needs it (docs/fidelity.md)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Leniency:
    """Every leniency there is. All of them hold unless the node is strict, and then none does."""

    empty_resource_uuid: bool = True
    """`resourceUuid: ""` means that none is chosen: older Go SDKs always send it."""
    zero_is_unset: bool = True
    """A number of 0 means unset where a rule says so: the Go SDK sends `sshPort: 0`."""
    empty_delete_mode: bool = True
    """`deleteMode=` means the default: the Go SDK sends an empty one."""
    any_time_zone: bool = True
    """The Date of a signed request may be the wall clock of any time zone, not of the node's own alone: the Go and the
    Java SDK write their own machine's."""
    raw_query: bool = True
    """A query string may hold characters that must be percent-encoded, as in `q=totalCapacity>5`: curl, and scripts
    around it, send them as they are typed."""
    no_context: bool = True
    """Paths may begin with `/v1` instead of `/zstack/v1`: the Java SDK's default has no context path."""
    undeclared_utf8: bool = True
    """A body whose character set is not declared is UTF-8, as curl and most HTTP libraries send it."""
    paid_apis: bool = True
    """An API of ZStack's paid editions that is not emulated says so; Terraform and the Go SDK call some of them. On a
    strict node there is no such path, nor an ImageStore among the types of storages, as in ZStack's open half."""
    implied_type: bool = True
    """A simulator storage needs no `type`: the one that its path names is meant, as the Python SDK's users expect."""
    any_receiver: bool = True
    """A web hook's receiver may be `localhost` or a name of a test network, which ZStack takes for no host."""


LENIENT = Leniency()
STRICT = Leniency(**dict.fromkeys(Leniency.__dataclass_fields__, False))
