"""Hypothesis strategies for texts of hosts and for environment variables."""

from __future__ import annotations

from hypothesis import strategies as st

decoded_texts = st.binary().map(lambda raw: raw.decode("utf-8", "surrogateescape")) | st.text(
    st.characters(exclude_categories=["Cs"])
)
"""Any text that bytes can be decoded to with surrogateescape."""

variable_values = decoded_texts.filter(lambda text: "\0" not in text)
"""Any value that an environment variable can have."""

variable_names = st.from_regex("[A-Z_][A-Z0-9_]{0,8}", fullmatch=True).map("X_{}".format)
"""Names of variables that no shell uses itself."""
