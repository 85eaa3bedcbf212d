#!/bin/sh
# Creates a storage volume, attaches it to this instance, detaches and deletes it. Needs LXD 6.6 or later and jq.
#
# On the host, once:
#   lxc config set INSTANCE security.devlxd.management.volumes=true
#   lxc auth identity create devlxd/NAME --group GROUP
#   lxc auth identity token issue devlxd/NAME
# In the guest, DEVLXD_BEARER_TOKEN contains the token.
set -eu

pool=/1.0/storage-pools/default
self=/1.0/instances/$(devlxdctl metadata | sed -n 's/^local-hostname: //p')

finish() { # waits for an operation, which is given as JSON
    id=$(printf %s "$1" | jq -r .id)
    devlxdctl query "/1.0/operations/$id/wait?timeout=60" | jq -e '.status == "Success"' >/dev/null
}

operation=$(devlxdctl query -d '{"name":"data","type":"custom","config":{"size":"1GiB"}}' "$pool/volumes")
finish "$operation"
devlxdctl query -X PATCH "$self" \
    -d '{"devices":{"data":{"type":"disk","pool":"default","source":"data","path":"/srv/data"}}}'
devlxdctl devices data

devlxdctl query -X PATCH "$self" -d '{"devices":{"data":null}}'
operation=$(devlxdctl query -X DELETE "$pool/volumes/custom/data")
finish "$operation"
