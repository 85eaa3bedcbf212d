#!/bin/sh
# Fails if nginx cannot load the file that is the first argument as a part of its http section.
set -eu
config=$(mktemp)
trap 'rm -f "$config"' EXIT
printf 'events {}\nhttp {\n    include "%s";\n}\n' "$1" >"$config"
nginx -t -q -c "$config"
