"""Which tests are for which module: with them alone, a change is tried in seconds."""

from __future__ import annotations

_UNIT = "tests/unit/"
_COMMANDS = "tests/cli/commands/"
_ROBUSTNESS = "tests/robustness/"
_CONFIG = "tests/config/"

_RESPONSES = [
    _ROBUSTNESS + "test_malformed_responses.py",
    _ROBUSTNESS + "test_truncated_responses.py",
    *(
        f"{_ROBUSTNESS}test_damaged_responses.py::{test}[{end}-/1.0/config/{{key}}]"
        for test in (
            "test_response_that_ends_at_any_byte_is_an_error_without_output",
            "test_response_with_another_byte_in_its_head_is_an_error_or_means_the_same",
        )
        for end in ("close", "reset")
    ),
]
"""Without the same tests of all other endpoints and commands, which take minutes."""
_ENDLESS = [
    _ROBUSTNESS + f"test_endless_responses.py::{test}"
    for test in (
        "test_endless_head_is_rejected_after_its_limit[short headers-config get]",
        "test_endless_chunk_framing_is_rejected_after_its_limit[trailers-config get]",
        "test_endless_chunk_framing_is_rejected_after_its_limit[one-byte chunks-config get]",
        "test_endless_body_is_rejected_after_its_limit",
        "test_value_of_10_kib_in_small_chunks_is_read",
        "test_response_that_arrives_byte_by_byte_times_out",
    )
]
_WAITING = [_UNIT + f"test_{each}.py" for each in ("retry_policy", "statuses", "timeouts", "retry")]
_EXPORTS = [_UNIT + f"test_export{each}.py" for each in ("", "_errors", "_files", "_resume")]
_QUERY = [_COMMANDS + "test_query_request.py", _COMMANDS + "test_query_response.py"]
_WATCH = [
    _UNIT + "test_watch.py",
    *_WAITING[1:3],
    _COMMANDS + "test_config_watch.py",
    _COMMANDS + "test_wait.py",
]

GUARDED = {
    "devlxdctl/atomic_files.py": [
        *(_UNIT + f"test_{each}.py" for each in ("unsafe_names", "export_files", "atomic_files")),
        _UNIT + "test_export.py",
        *(_CONFIG + f"test_replacement.py::Test{each}" for each in ("WhatIsAtThePath", "Failures")),
    ],
    "devlxdctl/config/directory.py": [_CONFIG + "test_directory.py", _CONFIG + "test_replacement.py"],
    "devlxdctl/config/files.py": [_CONFIG + "test_client_files.py", "tests/cli/test_config_render.py"],
    "devlxdctl/http/endpoints.py": [
        *(_UNIT + "test_endpoints.py", _UNIT + "test_statuses.py", _UNIT + "test_export_errors.py"),
        *("tests/cli/test_host_errors.py", "tests/volumes/test_permissions.py"),
    ],
    "devlxdctl/http/error_mapping.py": [
        *(_UNIT + "test_endpoints.py", _UNIT + "test_statuses.py", _UNIT + "test_export_errors.py"),
        *("tests/cli/test_host_errors.py", _UNIT + "test_retry.py", *_RESPONSES),
    ],
    "devlxdctl/http/limits.py": [_UNIT + "test_limits.py", *_RESPONSES, *_ENDLESS],
    "devlxdctl/http/messages.py": [
        *(_ROBUSTNESS + "test_json_documents.py", _UNIT + "test_secrets.py", _UNIT + "test_statuses.py"),
        *(_UNIT + "test_export_resume.py", _UNIT + "test_timeouts.py"),
    ],
    "devlxdctl/http/parallel.py": [
        _UNIT + "test_threads.py",
        _UNIT + "test_keys.py",
        _UNIT + "test_client.py",
    ],
    "devlxdctl/http/raw.py": [*_QUERY, _UNIT + "test_statuses.py", _UNIT + "test_secrets.py"],
    "devlxdctl/http/retry.py": [
        *(*_WAITING, _UNIT + "test_readiness.py", _UNIT + "test_export_resume.py"),
        "tests/contract/test_unavailable_hosts.py::test_wait_retries_403_of_an_api_that_is_being_switched_on",
        _COMMANDS + "test_wait.py::test_wait_host_reports_on_a_terminal_that_it_waits",
    ],
    "devlxdctl/http/session.py": [
        *(_UNIT + "test_client.py", _UNIT + "test_endpoints.py", *_WAITING, _UNIT + "test_secrets.py"),
        *("tests/cli/test_host_errors.py", "tests/volumes/test_permissions.py"),
    ],
    "devlxdctl/http/streaming.py": [
        _UNIT + "test_export_resume.py",
        _UNIT + "test_timeouts.py",
        *_RESPONSES,
        *_ENDLESS,
    ],
    "devlxdctl/http/tokens.py": [_UNIT + "test_tokens.py", _UNIT + "test_secrets.py"],
    "devlxdctl/http/transport.py": [
        *(_UNIT + "test_client.py", _UNIT + "test_threads.py", _UNIT + "test_statuses.py"),
        *(_UNIT + "test_export.py", _ROBUSTNESS + "test_malformed_responses.py"),
    ],
}
"""Modules that handle responses, files, tokens and retries."""

OTHERS = {
    "devlxdctl/client.py": [_UNIT + "test_client.py", _COMMANDS + "test_pro.py", *_WAITING],
    "devlxdctl/errors.py": [_UNIT + "test_errors.py"],
    "devlxdctl/guest.py": [_UNIT + "test_guest.py", _UNIT + "test_nodes.py", _UNIT + "test_unsafe_names.py"],
    "devlxdctl/config/environment.py": [_UNIT + "test_environment.py", "tests/cli/test_config_env_file.py"],
    "devlxdctl/config/keys.py": [
        _UNIT + "test_keys.py",
        _COMMANDS + "test_config.py",
        _UNIT + "test_watch.py",
    ],
    "devlxdctl/config/replacement.py": [_CONFIG + "test_replacement.py", _CONFIG + "test_interruption.py"],
    "devlxdctl/config/template.py": [_CONFIG + "test_template.py"],
    "devlxdctl/events/bursts.py": [
        "tests/cli/test_config_watch_commands.py",
        _CONFIG + "test_client_files.py",
    ],
    "devlxdctl/events/nodes.py": [_UNIT + "test_nodes.py"],
    "devlxdctl/events/readiness.py": [_UNIT + "test_readiness.py", _UNIT + "test_statuses.py"],
    "devlxdctl/events/stream.py": [
        *(_UNIT + "test_stream.py", _COMMANDS + "test_events.py", _ROBUSTNESS + "test_websocket.py"),
    ],
    "devlxdctl/events/watch.py": _WATCH,
    "devlxdctl/events/websocket.py": [
        _UNIT + "test_stream.py",
        _UNIT + "test_timeouts.py",
        _ROBUSTNESS + "test_websocket.py",
    ],
    "devlxdctl/images/export.py": _EXPORTS,
    "devlxdctl/images/hashing.py": _EXPORTS,
    "devlxdctl/images/multipart.py": _EXPORTS,
    "devlxdctl/volumes/names.py": ["tests/volumes"],
    "devlxdctl/cli/hooks.py": ["tests/cli/test_hooks.py", "tests/cli/test_config_watch_commands.py"],
    "devlxdctl/cli/signals.py": ["tests/cli/test_signals.py", _ROBUSTNESS + "test_signals.py"],
    "devlxdctl/cli/supervisor.py": ["tests/cli/test_config_run_watch.py", _COMMANDS + "test_config_run.py"],
    "devlxdctl/cli/output/logs.py": ["tests/cli/output/test_logs.py"],
    "devlxdctl/cli/output/progress.py": ["tests/cli/output", _COMMANDS + "test_image.py"],
    "devlxdctl/cli/output/render.py": ["tests/cli/output"],
    "devlxdctl/cli/output/stdio.py": ["tests/cli/output", _UNIT + "test_escaping.py"],
    "devlxdctl/cli/commands/query.py": _QUERY,
    "devlxdctl/cli/commands/wait.py": [_COMMANDS + "test_wait.py"],
}
"""The other modules of the library and of the command line."""

TESTS = {**GUARDED, **OTHERS}
