#!/bin/sh
# After the files are gone. Data stays, also when settings are purged: the buffer may hold readings that are
# nowhere else, and the gateway's key.
set -eu

case ${1:-} in
  upgrade | failed-upgrade | abort-install | abort-upgrade | disappear | 1 | 2) exit 0 ;;
esac

if [ -d /run/systemd/system ]; then systemctl daemon-reload || true; fi
# Fails, and leaves it, unless it is empty.
rmdir /var/lib/iot-edge 2>/dev/null || true
if [ -d /var/lib/iot-edge ]; then
  echo "iot-edge: kept /var/lib/iot-edge: readings that the hub has not taken yet, and the key of the gateway, are nowhere else. Remove it by hand once they are not needed."
fi
