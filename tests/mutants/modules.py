"""Which tests are for which module: with them alone, a change is tried in seconds."""

from __future__ import annotations

_UNIT = "tests/unit/"
_COMMANDS = "tests/cli/commands/"
_ROBUSTNESS = "tests/robustness/"
_CONFIG = "tests/config/"

_MALFORMED = [
    f"{_ROBUSTNESS}test_malformed_responses.py::{test}"
    for test in (
        "test_malformed_response_is_an_error",
        "test_value_longer_than_its_content_length_is_cut_at_it",
        "test_unusual_but_valid_response_is_read",
        "test_every_status_but_200_is_an_error",
    )
]
"""Without the test that runs several commands for each response, which takes longer than all others."""
_RESPONSES = [*_MALFORMED, _ROBUSTNESS + "test_truncated_responses.py"]
_ENDLESS = [
    _ROBUSTNESS + f"test_endless_responses.py::{test}"
    for test in (
        "test_endless_head_is_rejected_after_its_limit[short headers-config get]",
        "test_endless_chunk_framing_is_rejected_after_its_limit[trailers-config get]",
        "test_endless_body_is_rejected_after_its_limit",
        "test_body_may_have_as_many_bytes_as_its_limit",
        "test_value_of_10_kib_in_small_chunks_is_read",
    )
]
_DOCUMENTS = [
    f"{_ROBUSTNESS}test_json_documents.py::test_command_prints_valid_json_or_one_error[state-{document}]"
    for document in ("NaN", "number that overflows", "deep list", "byte order mark", "single surrogate")
]
_UNAVAILABLE = (
    "tests/cli/test_retries.py::"
    "test_unavailable_host_is_retried_for_ten_seconds_and_a_silent_one_awaited_for_fifteen"
)
_SYNCED = (
    _CONFIG + "test_interruption.py::test_content_is_synced_before_the_rename_and_the_rename_before_the_end"
)
_RESUME_AFTER_RESTART = "test_export_is_resumed_after_a_restart_whatever_the_wait_of_the_client"
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
        *(_UNIT + f"test_{each}.py" for each in ("unsafe_names", "export_files", "export")),
        *(_CONFIG + f"test_replacement.py::Test{each}" for each in ("WhatIsAtThePath", "Failures")),
        _UNIT + "test_atomic_files.py",
    ],
    "devlxdctl/config/directory.py": [_CONFIG + "test_directory.py", _SYNCED],
    "devlxdctl/config/files.py": [
        _CONFIG + "test_client_files.py",
        "tests/cli/test_config_render.py::test_config_render_with_optional_prints_nothing_and_keeps_the_file",
        "tests/cli/test_config_render.py::test_config_render_names_all_keys_that_are_not_set",
        "tests/cli/test_config_save.py::TestWatch",
    ],
    "devlxdctl/http/endpoints.py": [
        *(_UNIT + f"test_{each}.py" for each in ("endpoints", "statuses", "retry_policy")),
        "tests/volumes/test_permissions.py",
        *(_COMMANDS + "test_pro.py", _COMMANDS + "test_query_response.py"),
    ],
    "devlxdctl/http/error_mapping.py": [
        *(_UNIT + "test_endpoints.py", _UNIT + "test_export_errors.py", _UNIT + "test_retry.py"),
        *(_UNIT + "test_retry_policy.py", _UNIT + "test_statuses.py", _UNAVAILABLE),
        *(*_RESPONSES, "tests/cli/test_host_errors.py", "tests/volumes/test_permissions.py"),
    ],
    "devlxdctl/http/limits.py": [_UNIT + "test_limits.py", *_RESPONSES, *_ENDLESS],
    "devlxdctl/http/messages.py": [
        _UNIT + "test_secrets.py::test_repr_and_str_show_no_secret",
        *(*_DOCUMENTS, _UNIT + "test_retry.py", _UNIT + "test_timeouts.py"),
        _UNIT + "test_export_resume.py::" + _RESUME_AFTER_RESTART,
    ],
    "devlxdctl/http/parallel.py": [_UNIT + f"test_{each}.py" for each in ("parallel", "keys", "client")],
    "devlxdctl/http/raw.py": [
        _UNIT + "test_secrets.py::test_repr_and_str_show_no_secret",
        _UNIT + "test_statuses.py::test_status_of_a_restart_is_retried",
        _UNIT + "test_client.py::test_closing_a_raw_response_closes_its_connection",
        *_QUERY,
    ],
    "devlxdctl/http/retry.py": [
        *(*_WAITING, _UNIT + "test_readiness.py", _UNIT + "test_export_resume.py"),
        "tests/contract/test_unavailable_hosts.py::test_wait_retries_403_of_an_api_that_is_being_switched_on",
        _COMMANDS + "test_wait.py::test_wait_host_reports_on_a_terminal_that_it_waits",
    ],
    "devlxdctl/http/session.py": [
        *(_UNIT + "test_client.py", _UNIT + "test_endpoints.py", *_WAITING),
        "tests/volumes/test_permissions.py",
        _UNIT + "test_secrets.py::test_failed_call_shows_no_secret_in_error_traceback_or_log",
        "tests/cli/test_host_errors.py::TestSocket",
    ],
    "devlxdctl/http/streaming.py": [
        *(_UNIT + "test_limits.py", *_RESPONSES, *_ENDLESS),
        *(_UNIT + "test_export_resume.py", _UNIT + "test_export.py", _UNIT + "test_timeouts.py"),
    ],
    "devlxdctl/http/tokens.py": [_UNIT + "test_tokens.py", _UNIT + "test_secrets.py"],
    "devlxdctl/http/transport.py": [
        *(_UNIT + "test_client.py", _UNIT + "test_statuses.py", *_MALFORMED),
        *("tests/cli/test_host_errors.py::TestSocket", _UNIT + "test_export.py", _UNIT + "test_threads.py"),
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
    "devlxdctl/config/replacement.py": [_CONFIG + "test_replacement.py", _SYNCED],
    "devlxdctl/config/template.py": [_CONFIG + "test_template.py"],
    "devlxdctl/config/bursts.py": [
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
    "devlxdctl/images/export.py": [*_EXPORTS, _COMMANDS + "test_image.py"],
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
