"""What a node accepts although ZStack refuses it, because a widely used client sends it.

`docs/fidelity.md` lists every leniency, with the text below its declaration.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Leniency:
    """Every leniency. All of them hold, or on a strict node none."""

    empty_resource_uuid: bool = True
    """`resourceUuid: ""` means unset: older Go SDKs always send it."""
    zero_is_unset: bool = True
    """The number 0 means unset where a rule says so: the Go SDK sends `sshPort: 0`."""
    empty_delete_mode: bool = True
    """An empty `deleteMode=` means the default: the Go SDK sends it."""
    any_time_zone: bool = True
    """The Date of a signed request may be the wall clock time of any time zone, not only of the node's: the Go and the
    Java SDK write that of their own machine."""
    date_of_pages: bool = True
    """A signed request without a Date may carry it as `X-Date`: no web page may set the header Date, so the explorer
    signs with this one."""
    raw_query: bool = True
    """A query string may hold characters that must be percent-encoded, as in `q=totalCapacity>5`: curl, and scripts
    that call it, send them unencoded."""
    no_context: bool = True
    """Paths may begin with `/v1` instead of `/zstack/v1`: the Java SDK has no context path by default."""
    undeclared_utf8: bool = True
    """A body that declares no character set is UTF-8: curl and most HTTP libraries send it so."""
    paid_apis: bool = True
    """An API of ZStack's paid editions that is not emulated answers that it is not; Terraform and the Go SDK call some
    of them. A strict node has no such path, and no ImageStore among the types of storages, like ZStack's open half."""
    implied_type: bool = True
    """A simulator storage needs no `type`: its path implies it, as users of the Python SDK expect."""
    any_receiver: bool = True
    """The receiver of a web hook may be `localhost` or a name of a test network, which ZStack refuses as no host."""
    silent_image_urls: bool = True
    """The web server of an image need not answer: ZStack asks it for the length of every image that an account other
    than admin adds, and refuses the image if it is not told."""
    any_volume: bool = True
    """A lab has no volumes and no snapshots: where the storages that can hold an image of one are asked for, any uuid
    stands for one that is in every zone."""


LENIENT = Leniency()
STRICT = Leniency(**dict.fromkeys(Leniency.__dataclass_fields__, False))
