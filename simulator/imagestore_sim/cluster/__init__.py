"""Several management nodes over one store: who is a member, who owns what, and whose writes count (docs/cluster.md)."""

from imagestore_sim.cluster.alone import Alone
from imagestore_sim.cluster.bus import Bus
from imagestore_sim.cluster.errors import CallBroken, NodeGone, NodeLeft, OtherMode, PastOwner, TooManyCalls
from imagestore_sim.cluster.fence import CAPACITY, JOB, STATUS, WRITES, Fence
from imagestore_sim.cluster.followed_state import FollowedState
from imagestore_sim.cluster.leaving import Leaving
from imagestore_sim.cluster.links import Link, Links
from imagestore_sim.cluster.membership import LIFECYCLE, EventLog, Membership
from imagestore_sim.cluster.modes import FAITHFUL, MODES, QUICK, Mode
from imagestore_sim.cluster.node_clock import NodeClock
from imagestore_sim.cluster.orphans import has_left, is_orphan
from imagestore_sim.cluster.peers import Peers
from imagestore_sim.cluster.ring import Ring
from imagestore_sim.cluster.rows import JOINING, RUNNING, Member, MemberRows

__all__ = [
    "CAPACITY",
    "FAITHFUL",
    "JOB",
    "JOINING",
    "LIFECYCLE",
    "MODES",
    "QUICK",
    "RUNNING",
    "STATUS",
    "WRITES",
    "Alone",
    "Bus",
    "CallBroken",
    "EventLog",
    "Fence",
    "FollowedState",
    "Leaving",
    "Link",
    "Links",
    "Member",
    "MemberRows",
    "Membership",
    "Mode",
    "NodeClock",
    "NodeGone",
    "NodeLeft",
    "OtherMode",
    "PastOwner",
    "Peers",
    "Ring",
    "TooManyCalls",
    "has_left",
    "is_orphan",
]
