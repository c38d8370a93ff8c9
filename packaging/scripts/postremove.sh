#!/bin/sh
# After removal. A purge (deb) takes everything: configuration, state, users.
set -e
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload || true
fi
[ "$1" = purge ] || exit 0
rm -rf /etc/causeway /var/lib/causeway /var/lib/causeway-controller /var/lib/causeway-gateway /run/causeway /run/causeway-gateway
rm -f /etc/systemd/system/multi-user.target.wants/causeway-*.service
for u in causeway causeway-controller; do
  if id "$u" >/dev/null 2>&1; then
    userdel -f "$u" >/dev/null 2>&1 || deluser "$u" >/dev/null 2>&1 || true
  fi
  if getent group "$u" >/dev/null 2>&1; then
    groupdel "$u" 2>/dev/null || delgroup "$u" 2>/dev/null || true
  fi
done
