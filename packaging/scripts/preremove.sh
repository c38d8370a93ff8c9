#!/bin/sh
# Before removal, not before an upgrade: the services stop, and start no more.
set -e
case "$1" in
  upgrade | 1) exit 0 ;; # deb says "upgrade", rpm how many versions stay
esac
if [ -d /run/systemd/system ]; then
  systemctl disable --now causeway-pop.service causeway-gateway.service causeway-controller.service || true
fi
