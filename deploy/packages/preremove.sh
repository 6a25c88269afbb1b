#!/bin/sh
# Before the files go: stops the gateway at a removal. At an upgrade it keeps running until the new version
# is in place.
set -eu

# deb: remove or upgrade; rpm: how many versions stay; apk has a script of its own for upgrades.
case ${1:-} in
  upgrade | failed-upgrade | deconfigure | 1 | 2) exit 0 ;;
esac

if [ -d /run/systemd/system ]; then
  systemctl disable --now iot-edge.service || true
elif [ -d /run/openrc ]; then
  rc-service iot-edge stop || true
  rc-update del iot-edge || true
fi
