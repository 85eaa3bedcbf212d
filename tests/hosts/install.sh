#!/bin/sh
# Installs LXD, Incus and what else the tests can use, as root on Debian 12 or later. Nothing is started.
set -eu

fail() {
    echo "install.sh: $1" >&2
    exit 1
}

missing() {
    for package; do
        # shellcheck disable=SC2016 # dpkg-query expands it
        [ "$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null)" = 'install ok installed' ] || echo "$package"
    done
}

# The machine's own entry for the suite $1, with that changed into $2: so no server is named here.
add_suite() {
    for file in /etc/apt/sources.list.d/*.sources; do
        entry=$(awk -v suite="$1" -v other="$2" '
            BEGIN { RS = "" }
            $0 ~ "(^|\n)Suites:([^\n]*[ \t])?" suite "([ \t\n]|$)" && !/(^|\n)Enabled: *no/ {
                sub(/Suites:[^\n]*/, "Suites: " other)
                print
                exit
            }' "$file" 2>/dev/null) || continue
        if [ -n "$entry" ]; then
            echo "$entry" >"/etc/apt/sources.list.d/$2.sources"
            return
        fi
    done
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        entry=$(sed -nE "s/^(deb [^#]*) $1 /\1 $2 /p" "$file" 2>/dev/null | head -n 1)
        if [ -n "$entry" ]; then
            echo "$entry" >"/etc/apt/sources.list.d/$2.list"
            return
        fi
    done
    fail "no entry for $1 in /etc/apt to take the server of $2 from"
}

[ "$(id -u)" = 0 ] || fail 'this needs root'
[ -r /etc/os-release ] || fail 'this is not Debian'
# shellcheck source=/dev/null
. /etc/os-release
[ "${ID-}" = debian ] || fail "this is ${PRETTY_NAME-no Debian}, and it needs Debian"
release=${VERSION_ID:-999} # testing and unstable have no number
[ "$release" -ge 12 ] || fail "this is Debian $release, and it needs 12 or later"

# each host has its own content in place of these
touch /etc/subuid /etc/subgid

# LXD 5.0 ends at its start without iproute2, which is not among its dependencies
packages=$(missing lxd lxd-client iproute2 incus-base incus-client busybox jq python3-venv systemd cloud-init \
    bash-completion fish zsh man-db debootstrap strace locales)
[ -n "$packages" ] || exit 0

# keeps packages from starting services
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi

# Incus came to Debian in 13, and to 12 by its backports
backports=${VERSION_CODENAME-}-backports
if [ "$release" = 12 ] && ! cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list \
    /etc/apt/sources.list.d/*.sources 2>/dev/null | grep -q "^[^#]*\b$backports\b"; then
    add_suite "$VERSION_CODENAME" "$backports"
fi

export DEBIAN_FRONTEND=noninteractive
apt-get -q -o DPkg::Lock::Timeout=120 update
# shellcheck disable=SC2086 # a word a package
apt-get -q -o DPkg::Lock::Timeout=120 install -y --no-install-recommends $packages
