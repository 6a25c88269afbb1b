#!/bin/sh
# Before the files are unpacked: the user that owns some of them.
set -eu

if ! getent group iot-edge >/dev/null 2>&1 && ! grep -q '^iot-edge:' /etc/group; then
  if command -v groupadd >/dev/null; then groupadd --system iot-edge; else addgroup -S iot-edge; fi
fi
if ! id iot-edge >/dev/null 2>&1; then
  if command -v useradd >/dev/null; then
    useradd --system --gid iot-edge --home-dir /var/lib/iot-edge --no-create-home --shell /usr/sbin/nologin iot-edge
  else
    adduser -S -D -H -G iot-edge -h /var/lib/iot-edge -s /sbin/nologin iot-edge
  fi
fi
