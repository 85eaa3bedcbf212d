#!/bin/sh
# Create a volume, attach it to this instance, take a snapshot, and undo all of it. Needs LXD 6.6 or later.
#
# On the host, once: see docs/volumes.md. In the guest, the token is in DEVLXD_BEARER_TOKEN.
set -eu

devlxdctl volume create default data --size 1GiB --description 'an example'
devlxdctl volume attach default data /srv/data
devlxdctl volume snapshot create default data before-the-upgrade
devlxdctl volume set default data --size 2GiB

devlxdctl volume detach data
devlxdctl volume delete default data
