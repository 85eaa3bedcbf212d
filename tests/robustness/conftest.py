"""Fixtures for tests against hosts that do not behave."""

from __future__ import annotations

from tests.support.exports import image_directory

__all__ = ["image_directory"]
