"""The facts of the life cycle: what a backup storage does in ZStack, and the tests that check each fact.

`make docs` writes them to docs/life-cycle.md.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).parents[1]
LIFECYCLE, TRACKER = "backup_storage/test_lifecycle.py", "backup_storage/test_ping_tracker.py"
CAPACITY, RULES, HOOKS = (
    "backup_storage/test_capacity_store.py",
    "backup_storage/test_address_rules.py",
    "api/test_web_hook.py",
)
STORAGE, STORE = "api/test_backup_storage.py", "api/test_image_store.py"
SUM, OPTIONS, IMAGE = "api/test_capacity.py", "api/test_global_config.py", "api/test_image.py"
SFTP, EVENTS = "api/test_sftp_backup_storage.py", "lab_api/test_events.py"


@dataclass(frozen=True)
class Row:
    """A fact, and the names of the tests that check it, without `test_`."""

    what: str
    file: str
    tests: tuple[str, ...]


def row(what: str, file: str, *tests: str) -> Row:
    return Row(what, file, tests)


SECTIONS = {
    "State, set by the administrator": (
        row("A new storage is Enabled", LIFECYCLE, "a_new_storage_is_enabled"),
        row("All four changes of state are legal, and none causes an event", LIFECYCLE,
            "every_change_of_state_is_legal_and_is_no_event"),
        row("An unknown stateEvent is SYS.1007", STORAGE, "an_unknown_state_event_is_an_invalid_argument"),
        row("A Disabled storage is pinged and reconnected like any other", TRACKER,
            "a_disabled_storage_is_pinged_and_reconnected_all_the_same"),
        row("A Disabled storage can be reconnected, updated, attached, detached and deleted", LIFECYCLE,
            "a_disabled_storage_can_be_reconnected_updated_attached_detached_and_deleted"),
        row("A Disabled storage accepts no image", IMAGE, "a_disabled_storage_cannot_proceed"),
    ),
    "Status, the connection to the host": (
        row("A new storage is Connecting, without capacity, and there is no event of that", LIFECYCLE,
            "a_new_storage_is_connecting_without_an_event"),
        row("A storage is Connected when the connect has succeeded", LIFECYCLE,
            "an_added_storage_goes_from_connecting_to_connected"),
        row("An add that fails removes the row, and is never Disconnected", LIFECYCLE,
            "a_failed_add_leaves_neither_row_nor_event", "the_hostname_and_the_uuid_of_a_failed_add_are_free_again"),
        row("Any reconnect sets it Connecting, whatever it was", LIFECYCLE,
            "a_reconnect_is_connecting_while_it_lasts_whatever_it_was_before"),
        row("A failed reconnect sets it Disconnected, with the event only if it was Connected", LIFECYCLE,
            "a_failed_reconnect_disconnects_and_keeps_the_last_known_capacity",
            "a_failed_reconnect_has_a_disconnection_event_only_if_it_was_connected"),
        row("A failed ping sets it Disconnected", TRACKER,
            "one_failed_ping_disconnects_and_keeps_the_last_capacity"),
        row("A failed ping during a connect counts as a failed attempt", TRACKER,
            "a_ping_that_fails_while_a_connect_is_under_way_counts_as_a_failed_attempt"),
        row("A successful ping never sets it Connected", TRACKER,
            "a_successful_ping_never_connects_but_has_it_reconnected"),
        row("Events are posted to web hooks, with the inventory, and retried", HOOKS,
            "a_hook_gets_a_change_of_status_with_the_inventory",
            "a_hook_that_refuses_is_tried_five_times_more_a_second_apart"),
        row("An event carries the uuid of the job that caused it", EVENTS,
            "events_of_a_probe_carry_the_uuid_of_its_job"),
    ),
    "Add": (
        row("Errors are reported in the order parameter, hostname, duplicate, url, other type",
            LIFECYCLE,
            "errors_of_a_new_storage_are_reported_in_this_order"),
        row("Hostnames: IPv4 or plain labels", RULES,
            "an_ipv4_address_or_a_name_of_plain_labels_passes", "any_other_hostname_is_refused"),
        row("Urls: absolute, not in /dev, /proc or /sys", RULES,
            "an_absolute_path_passes", "any_other_url_is_refused_in_zstack_s_order",
            "an_sftp_storage_s_url_has_texts_of_its_own"),
        row("Two storages may have one name and url, but not one hostname, whatever the port",
            LIFECYCLE,
            "two_storages_may_have_one_name_and_one_url_but_not_one_hostname"),
        row("One host holds one storage, whatever its type", SFTP,
            "an_image_store_cannot_use_the_host_of_an_sftp_storage"),
        row("A failed add reports its reason through the job", STORE,
            "an_add_that_breaks_a_rule_fails_through_its_job",
            "a_wrong_password_fails_the_job_with_its_reason_and_no_row_stays"),
        row("Its folders are created by the add, and by no reconnect", LIFECYCLE,
            "an_add_makes_the_folders_and_a_reconnect_makes_none"),
        row("A storage that is being added shows as Connecting", STORE,
            "a_storage_that_is_being_added_shows_as_connecting_without_capacity"),
        row("A cancelled add leaves nothing behind", LIFECYCLE, "an_add_that_is_cancelled_takes_its_row_with_it"),
    ),
    "Connect, reconnect and update": (
        row("The connects of one storage are queued, and none is refused", LIFECYCLE,
            "connects_of_one_storage_are_queued_not_refused"),
        row("A reconnect measures the capacity again", LIFECYCLE,
            "a_reconnect_passes_through_connecting_and_measures_again"),
        row("A reconnect fails when registry and export are both missing", LIFECYCLE,
            "an_unmounted_disk_is_detected_at_reconnect"),
        row("An update writes the record, and reconnects nothing", LIFECYCLE,
            "an_update_moves_nothing_until_the_next_connect"),
        row("New credentials show at the next connect", STORE, "new_credentials_show_at_the_next_connect"),
        row("An update to a hostname in use is an internal error", STORE,
            "an_update_to_a_hostname_in_use_is_an_internal_error"),
        row("ReconnectSftp does not queue, and its failure leaves the status alone", SFTP,
            "reconnect_sftp_goes_past_connecting_and_a_failure_leaves_the_status"),
        row("A node reconnects all storages when it starts, also Connected ones", LIFECYCLE,
            "a_node_that_starts_reconnects_even_what_is_connected"),
    ),
    "The ping tracker": (
        row("The first tick comes after the interval and a seeded jitter", TRACKER,
            "the_first_tick_comes_after_the_interval_and_a_jitter_that_the_seed_gives"),
        row("Ticks come at a fixed rate", TRACKER, "ticks_come_at_a_fixed_rate_whatever_a_ping_takes"),
        row("Each storage has one ping at a time, and a hung one blocks no other storage", TRACKER,
            "a_ping_that_takes_longer_than_the_interval_skips_ticks_and_piles_nothing_up"),
        row("At most ping.parallelismDegree storages are pinged at once", TRACKER,
            "no_more_than_the_degree_of_parallelism_are_pinged_at_once"),
        row("A changed interval restarts the timer", TRACKER, "a_changed_interval_restarts_the_timer"),
        row("A storage is tracked from its add to its deletion", TRACKER,
            "a_storage_that_is_added_is_pinged_from_the_next_tick_on",
            "a_deleted_storage_is_neither_pinged_nor_reconnected"),
        row("ping.maxFailure and ping.sleepPeriodAfterFailure are honoured", TRACKER,
            "a_ping_fails_after_max_failure_failed_tries_in_a_row"),
        row("Reconnects begin one interval after the failed ping, and repeat until one succeeds", TRACKER,
            "reconnects_begin_one_interval_after_the_failed_ping_and_repeat_each_interval"),
        row("Without autoReconnectOnError a host that came back stays Disconnected", TRACKER,
            "without_automatic_reconnect_a_host_that_came_back_stays_disconnected_until_asked",
            "turning_automatic_reconnect_off_cancels_one_that_is_pending_at_the_next_ping"),
        row("After maxAttemptsNum failures none is tried any more, but pings continue", TRACKER,
            "after_the_maximum_of_failed_attempts_only_pings_continue",
            "each_failed_connect_counts_once_until_one_succeeds"),
        row("The tracker does the same in real time", TRACKER, "it_is_the_same_in_real_time"),
    ),
    "Global configuration": (
        row("Every option has ZStack's default", OPTIONS, "every_option_has_its_default"),
        row("A value that is too low or of the wrong type is SYS.1007", OPTIONS,
            "a_number_below_its_least_value_is_an_invalid_argument", "an_invalid_value_is_an_invalid_argument"),
        row("A valid value takes effect at once", OPTIONS, "a_valid_value_takes_effect_at_once"),
    ),
    "Capacity": (
        row("A report overwrites both numbers, whether they grow or shrink", CAPACITY,
            "a_report_overwrites_total_and_available_whether_they_grow_or_shrink"),
        row("The capacity is measured by connects and pings", TRACKER, "a_ping_writes_a_changed_capacity"),
        row("A failure keeps the last known capacity", CAPACITY, "a_failure_keeps_what_was_known_last"),
        row("Reserved bytes are taken off and given back, up to the total", CAPACITY,
            "reserved_bytes_are_taken_off_and_given_back_up_to_the_total"),
        row("reservedCapacity counts when space is allocated, and is not deducted from what is reported", CAPACITY,
            "more_has_to_be_left_than_is_asked_for",
            "a_storage_has_no_capacity_until_it_is_connected_and_its_host_s_own_then"),
        row("A full disk stays Connected", LIFECYCLE, "a_full_disk_stays_connected_with_nothing_available"),
        row("Capacities are summed, a storage once for each zone in the request", SUM, "capacities_add_up"),
        row("A request without any storage is SYS.1007, one for an unknown storage is SYS.1003", SUM,
            "a_call_without_a_storage_is_an_invalid_argument", "a_missing_storage_is_refused"),
    ),
    "Delete, attach, detach, zones": (
        row("A storage is deleted in any status, and its host is left as it is", LIFECYCLE,
            "a_storage_is_deleted_in_whatever_status_and_its_host_is_left_as_it_is"),
        row("A storage deleted during a connect, an add or a ping stays deleted", LIFECYCLE,
            "a_storage_deleted_while_it_connects_stays_deleted",
            "a_storage_deleted_while_it_is_being_added_stays_deleted",
            "a_storage_deleted_while_it_is_pinged_stays_deleted"),
        row("Permissive and Enforcing delete, which frees the hostname; another mode is an internal error", STORAGE,
            "a_deleted_storage_is_gone_and_its_hostname_free", "an_unknown_delete_mode_is_an_internal_error"),
        row("Deleting an unknown storage succeeds", STORAGE, "deleting_a_missing_storage_succeeds"),
        row("An image is deleted with the last storage that it is on", IMAGE,
            "an_image_is_deleted_with_its_last_storage"),
        row("A storage is attached once to each of many zones, and detached", STORAGE,
            "a_storage_is_attached_once_to_each_of_many_zones_in_order",
            "a_storage_is_detached_and_stays_connected"),
        row("A storage survives the deletion of its zone", STORAGE, "a_storage_survives_its_zone"),
    ),
}  # fmt: skip


def missing() -> Iterator[str]:
    """Yield the tests that the table names and no file has."""
    for rows in SECTIONS.values():
        for one in rows:
            there = _tests_in(TESTS / one.file)
            yield from (f"{one.file}: test_{name}" for name in one.tests if f"test_{name}" not in there)


def _tests_in(file: Path) -> set[str]:
    nodes = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


HEAD = """# The life cycle of a backup storage, and the tests that compare it with ZStack's

What changes status, state and capacity, and when, in ZStack; the tests in each row check it here. How hosts fail, and
how a storage reacts, is in [failures.md](failures.md).

`make docs` writes this page; a test checks it.
"""


def render() -> str:
    """Return the text of docs/life-cycle.md."""
    lines = [HEAD.rstrip()]
    for title, rows in SECTIONS.items():
        lines += ["", f"## {title}", "", "| in ZStack | checked by |", "| --- | --- |"]
        lines += [f"| {one.what} | {_cell(one)} |" for one in rows]
    return "\n".join(lines) + "\n"


def _cell(one: Row) -> str:
    names = "<br>".join(name.replace("_", " ") for name in one.tests)
    return f"`{one.file}`:<br>{names}"
