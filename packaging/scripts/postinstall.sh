#!/bin/sh
# After unpacking: users for the services, and a restart of those that run, so
# that an upgrade takes effect. Sessions and ports outlive it (state folder).
set -e
if command -v systemd-sysusers >/dev/null 2>&1; then
  systemd-sysusers causeway.conf
else
  for u in causeway causeway-controller; do
    id "$u" >/dev/null 2>&1 && continue
    if command -v useradd >/dev/null 2>&1; then
      useradd --system --user-group --no-create-home --home-dir "/var/lib/$u" --shell /usr/sbin/nologin "$u"
    elif command -v adduser >/dev/null 2>&1; then
      addgroup -S "$u" && adduser -S -D -H -h "/var/lib/$u" -s /sbin/nologin -G "$u" "$u"
    fi
  done
fi
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload || true
  systemctl try-restart causeway-controller.service causeway-pop.service causeway-gateway.service || true
fi
