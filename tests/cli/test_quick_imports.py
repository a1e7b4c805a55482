"""Imports of libraries without what they do at once, and that nothing is missing afterwards."""

from __future__ import annotations

import ctypes.util
import ssl

from imagestore_sim.cli.quick_imports import quick_imports


def test_a_context_that_is_made_in_the_block_reads_the_certificates_at_its_first_connection() -> None:
    usual = ssl.create_default_context()
    with quick_imports():
        late = ssl.create_default_context()
    same = ("verify_mode", "check_hostname", "options", "minimum_version", "verify_flags")
    assert [getattr(late, name) for name in same] == [getattr(usual, name) for name in same]
    assert late.cert_store_stats()["x509"] == 0
    late.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="example.com")
    assert late.cert_store_stats() == usual.cert_store_stats()


def test_after_the_block_libraries_find_what_they_look_for() -> None:
    before = ssl.create_default_context, ctypes.util.find_library
    with quick_imports():
        assert ctypes.util.find_library("c") is None
    assert (ssl.create_default_context, ctypes.util.find_library) == before
