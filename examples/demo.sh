#!/bin/sh
# The main commands of devlxdctl. `make demo` runs this in a simulated guest; it runs in a real guest, too.

if [ -t 1 ]; then bold=$(printf '\033[1m') plain=$(printf '\033[0m'); else bold='' plain=''; fi

show() {
    printf '\n%s$ %s%s\n' "$bold" "$1" "$plain"
    sh -c "$1"
}

show 'devlxdctl state'
show 'devlxdctl config ls --values'
show 'devlxdctl config get user.role'
show "devlxdctl config env 'user.*'"
show "devlxdctl config run 'user.*' --prefix APP_ -- sh -c 'echo \"\$APP_DOMAIN, port \$APP_PORT\"'"
show 'devlxdctl devices'
show 'devlxdctl ready && devlxdctl state state'
show 'devlxdctl config get user.rol; echo "exit status $?"'
if command -v jq >/dev/null; then
    show "devlxdctl -f json devices | jq -c 'map_values(.type)'"
fi
