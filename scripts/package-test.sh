#!/usr/bin/env bash
# Tries the packages as a user would: in a fresh Debian made by debootstrap,
# install, run a controller and a PoP as the services' users, upgrade, purge; and
# builds them twice, to see that the same source gives the same bytes.
#
#   scripts/package-test.sh          everything; needs root
set -euo pipefail
cd "$(dirname "$0")/.."

die() {
  echo "package-test: $1" >&2
  exit 1
}
say() { echo "package-test: $*"; }

scripts/setup.sh packages
work=$(mktemp -d)
root=$work/root
ns=cw-packages-$$
pids=()
cleanup() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
  ip netns del "$ns" 2>/dev/null || true
  mountpoint -q "$root/proc" && umount "$root/proc"
  rm -rf "$work"
}
trap cleanup EXIT

say "the same source twice"
PACKAGES=$work/one scripts/package.sh >/dev/null
PACKAGES=$work/two scripts/package.sh >/dev/null
diff "$work/one/SHA256SUMS" "$work/two/SHA256SUMS" || die "two builds of the same source differ"
rm -rf "$work/two"
VERSION=9.9.9 PACKAGES=$work/newer scripts/package.sh >/dev/null

say "what systemd thinks of the services"
for unit in pop:2.5 gateway:2.5 controller:1.5; do
  score=$(systemd-analyze security --offline=true "packaging/systemd/causeway-${unit%:*}.service" | sed -n 's/.*Overall exposure level for [^:]*: \([0-9.]*\).*/\1/p')
  say "  causeway-${unit%:*}: $score, at most ${unit#*:}"
  awk -v have="$score" -v most="${unit#*:}" 'BEGIN { exit !(have != "" && have <= most) }' || die "the exposure of causeway-${unit%:*} is $score"
done

say "a fresh Debian"
. /etc/os-release
mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null |
  sed -n 's/^deb \(\[[^]]*\] \)\?\([^ ]*\) .*/\2/p; s/^URIs: *\([^ ]*\).*/\1/p' | head -n 1) || true
debootstrap --variant=minbase "$VERSION_CODENAME" "$root" "$mirror" >"$work/debootstrap.log" 2>&1 || {
  tail -5 "$work/debootstrap.log" >&2
  die "debootstrap failed; check the network"
}
mount -t proc proc "$root/proc"
files() { (cd "$root" && find . -path ./proc -prune -o -path ./var/log -prune -o -path ./var/lib/dpkg -prune -o -path ./tmp -prune -o -path ./run -prune -o -path ./var/cache -prune -o -print | LC_ALL=C sort); }
in_root() { chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive LC_ALL=C "$@"; }
files >"$work/before"
cp "$root/etc/passwd" "$work/passwd"

deb=$(basename "$work"/one/*.deb)
cp "$work/one/$deb" "$root/tmp/"
say "install"
in_root dpkg -i "/tmp/$deb" >/dev/null
in_root causeway version
for f in /usr/share/man/man1/causeway.1.gz /usr/share/man/man1/causeway-pop-status.1.gz /usr/share/bash-completion/completions/causeway /usr/lib/systemd/system/causeway-pop.service \
  /usr/share/doc/causeway/sbom.cdx.json /usr/share/doc/causeway/copyright; do
  [ -s "$root$f" ] || die "$f is missing or empty"
done
for user in causeway causeway-controller; do grep -q "^$user:" "$root/etc/passwd" || die "there is no user $user"; done
in_root bash -n /usr/share/bash-completion/completions/causeway

say "a controller and a PoP, as their services run them"
ip netns add "$ns"
ip -n "$ns" link set lo up
ip -n "$ns" address add 198.51.100.10/32 dev lo
ip -n "$ns" address add 198.51.100.11/32 dev lo
# As a service's user, with its capabilities, and its folders as systemd makes them.
as() {
  local user=$1 caps=$2
  shift 2
  ip netns exec "$ns" chroot "$root" setpriv --reuid "$user" --regid "$user" --clear-groups --inh-caps "$caps" --ambient-caps "$caps" --bounding-set "$caps" --no-new-privs "$@"
}
in_root install -d -m 700 -o causeway-controller -g causeway-controller /var/lib/causeway-controller
in_root install -d -m 700 -o causeway -g causeway /var/lib/causeway
in_root install -d -m 755 -o causeway -g causeway /run/causeway
as causeway-controller -all causeway controller --listen 127.0.0.1:4640 --metrics-listen '' >"$work/controller.log" 2>&1 &
pids+=($!)
cli() { ip netns exec "$ns" chroot "$root" causeway "$@"; }
for _ in $(seq 100); do cli region list >/dev/null 2>&1 && break; sleep 0.2; done
cli region create kr-seoul >/dev/null || { tail -5 "$work/controller.log" >&2; die "the controller does not answer"; }
cli pop create seoul --region kr-seoul --overlay 198.51.100.10:4600 --address 198.51.100.11 >/dev/null
token=$(cli token create --pop seoul -q)
echo "$token" | ip netns exec "$ns" chroot "$root" causeway pop join https://127.0.0.1:4640 - --start=false >/dev/null
flags=$(sed -n 's/^CAUSEWAY_POP_FLAGS=//p' "$root/etc/causeway/pop.env")
start_pop() {
  # shellcheck disable=SC2086 # flags, as systemd splits them
  as causeway -all,+net_bind_service,+net_admin,+net_raw causeway pop $flags --metrics-listen '' >>"$work/pop.log" 2>&1 &
  pids+=($!)
  for _ in $(seq 150); do cli pop get seoul 2>/dev/null | grep -q connected && return; sleep 0.2; done
  tail -5 "$work/pop.log" >&2
  die "the PoP is not connected"
}
start_pop
cli accelerator create office >/dev/null
cli ip-set create near --accelerator office --region kr-seoul >/dev/null
say "  connected, as the user causeway"

say "upgrade"
newer=$(basename "$work"/newer/*.deb)
cp "$work/newer/$newer" "$root/tmp/"
in_root dpkg -i "/tmp/$newer" >/dev/null
in_root causeway version | grep -q 9.9.9 || die "the newer version is not installed"
[ -s "$root/var/lib/causeway/link/agent.json" ] || die "the upgrade lost the PoP's state"
[ -s "$root/etc/causeway/pop.env" ] || die "the upgrade lost the PoP's configuration"
kill "${pids[1]}" && wait "${pids[1]}" 2>/dev/null || true
start_pop # enrolled as before: its token was used up

say "purge"
for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
wait 2>/dev/null || true
pids=()
in_root dpkg --purge causeway >/dev/null 2>&1 || die "purge failed"
rm -f "$root"/tmp/*.deb
files >"$work/after"
# Backups of the user databases are the only thing that making a user leaves.
diff "$work/before" "$work/after" | grep '^>' | grep -Ev '^> \./etc/(passwd|shadow|group|gshadow|subuid|subgid)-?$' && die "purge left something behind"
diff "$work/passwd" "$root/etc/passwd" || die "purge left a user behind"

say "rpm and apk hold the same program"
for kind in rpm apk; do [ -s "$work"/one/*."$kind" ] || die "there is no $kind"; done
listed=$(tar -tzf "$work"/one/*.apk --ignore-zeros 2>/dev/null) # several archives, one behind the other
grep -qx usr/bin/causeway <<<"$listed" || die "the apk has no program"
if command -v rpm >/dev/null 2>&1; then grep -qx /usr/bin/causeway <<<"$(rpm -qlp "$work"/one/*.rpm 2>/dev/null)" || die "the rpm has no program"; fi
grep -q manifest.json <<<"$(tar -tf "$work"/one/*.oci.tar)" || die "the image has no manifest"
say "all well"
