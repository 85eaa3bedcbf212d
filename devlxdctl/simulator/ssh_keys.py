"""How LXD 6 adds the config keys `cloud-init.ssh-keys.*` to cloud-configs."""

from collections.abc import Mapping

import yaml

from devlxdctl.simulator.profiles import SSH_KEYS

_CLOUD_CONFIG_KEYS = frozenset(
    f"{namespace}.{name}" for namespace in ("cloud-init", "user") for name in ("user-data", "vendor-data")
)
_HEADER = "#cloud-config"
_COMMENT = "#lxd:cloud-init.ssh-keys"


def add_users(config: Mapping[str, str], key: str, value: str) -> str:
    """Return the value of a config key as the guest gets it: a cloud-config with users and SSH keys added.

    An entry `USER:gh:NAME` or `USER:lp:NAME` is an import, anything else a public key. Each is written
    under both spellings of cloud-init's key, as recorded from LXD 6.9 for imports.
    """
    entries = sorted(entry for name, entry in config.items() if name.startswith(SSH_KEYS))
    if key not in _CLOUD_CONFIG_KEYS or not entries or not value.startswith(_HEADER):
        return value
    document = _mapping(value)
    if document is None or "users" in document:
        # No recording shows how a host merges users into existing ones.
        return value
    # The host sorts the keys.
    before = _dump({name: item for name, item in document.items() if str(name) < "users"})
    after = _dump({name: item for name, item in document.items() if str(name) > "users"})
    return f"{_HEADER}\n{before}users:\n{''.join(_user(entry) for entry in entries)}{after}"


def _dump(part: Mapping[str, object]) -> str:
    return yaml.safe_dump(dict(part), default_flow_style=False) if part else ""


def _mapping(value: str) -> dict[str, object] | None:
    try:
        document = yaml.safe_load(value)
    except yaml.YAMLError:
        return None
    return document if isinstance(document, dict) else None


def _user(entry: str) -> str:
    user, _, source = entry.partition(":")
    imported = source.startswith(("gh:", "lp:"))
    names = ("ssh-import-id", "ssh_import_id") if imported else ("ssh-authorized-keys", "ssh_authorized_keys")
    lines = "".join(f"  {name}:\n  - {source} {_COMMENT}\n" for name in names)
    return f"- name: {user}\n{lines}"
