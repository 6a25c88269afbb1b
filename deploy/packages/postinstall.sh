#!/bin/sh
# After the files are unpacked, at the first installation and at upgrades; also on a machine, or in an image,
# where no systemd runs. It starts nothing that did not run: a gateway is enrolled first.
set -eu

# deb unpacks before the group is known on some systems, and the directory is no file of the package: its
# removal must not depend on the package manager.
chgrp iot-edge /etc/iot-edge/edge.env
if [ ! -d /var/lib/iot-edge ]; then
  mkdir -p /var/lib/iot-edge
  chmod 0750 /var/lib/iot-edge
  chown iot-edge:iot-edge /var/lib/iot-edge
fi

if [ -d /run/systemd/system ]; then
  systemctl daemon-reload || true
  # Once, and only a gateway that runs: devices wait for some seconds and send again.
  systemctl try-restart iot-edge.service || echo "iot-edge: the new version did not start, see journalctl -u iot-edge" >&2
elif [ -d /run/openrc ] && rc-service -q iot-edge status >/dev/null 2>&1; then
  rc-service iot-edge restart || echo "iot-edge: the new version did not start, see /var/log/messages" >&2
fi

if [ ! -e /var/lib/iot-edge/enrolment.json ] && ! grep -q '^EDGE_GATEWAY_ID=.' /etc/iot-edge/edge.env; then
  if [ -d /run/openrc ]; then start="rc-update add iot-edge && rc-service iot-edge start"; else start="systemctl enable --now iot-edge"; fi
  cat <<TEXT
iot-edge: this gateway is not enrolled yet. On this machine:
  edge enroll iotc_…          the claim is printed by "bridge gateway add"
  edge doctor                 examines disk, clock, hub, ports
  $start
TEXT
fi
