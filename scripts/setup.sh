#!/usr/bin/env bash
# Installs what Causeway's lab and tests need, says what and why, and does
# nothing when all is there (so it works without a network then).
#
#   scripts/setup.sh        everything
#   scripts/setup.sh go     only check Go and fetch modules: enough to build
#   scripts/setup.sh packages  what trying the packages needs besides
#   scripts/setup.sh web    what the web console's tests need besides
set -euo pipefail
cd "$(dirname "$0")/.."

say() { echo "setup: $*"; }
die() {
  echo "setup: $1" >&2
  echo "  fix: $2" >&2
  exit 2
}

# --- Go -----------------------------------------------------------------------

check_go() {
  local want have
  want=$(awk '$1 == "go" { print $2; exit }' go.mod)
  command -v go >/dev/null 2>&1 ||
    die "Go is not installed; Causeway is built with Go $want or newer" \
      "install it from https://go.dev/dl/ and put its bin folder into PATH"
  # What this go would build with here: with GOTOOLCHAIN=auto an older one
  # fetches what go.mod wants, and says so itself when it cannot.
  have=$(go env GOVERSION 2>/dev/null || true)
  have=${have#go}
  have=${have%% *}
  if [ -z "$have" ] || [ "$(printf '%s\n%s\n' "$want" "$have" | sort -V | head -n 1)" != "$want" ]; then
    die "found Go ${have:-of an unknown version}; Causeway needs Go $want or newer" \
      "install it from https://go.dev/dl/, or let go fetch it: go env -w GOTOOLCHAIN=auto"
  fi
}

fetch_modules() {
  # Answers from the module cache alone when everything is there.
  if GOFLAGS=-mod=readonly GOPROXY=off go list -deps -test ./... >/dev/null 2>&1; then
    return
  fi
  say "fetching Go modules (go.sum says exactly which)"
  go mod download || die "could not fetch Go modules" "check the network and GOPROXY, then run it again"
}

# --- Debian packages ----------------------------------------------------------

# package | the file that shows that it is there | why
packages() {
  if [ "$mode" = packages ]; then
    echo "debootstrap|/usr/sbin/debootstrap|a fresh Debian to try the packages in"
    return
  fi
  if [ "$mode" = web ]; then
    echo "chromium|/usr/bin/chromium|the browser that the web console is tested in"
    return
  fi
  cat <<'LIST'
charon-systemd|/usr/sbin/charon-systemd|strongSwan's IKE daemon, for the lab's VPN gateways
strongswan-swanctl|/usr/sbin/swanctl|drives that daemon
libstrongswan-standard-plugins|/usr/lib/ipsec/plugins/libstrongswan-openssl.so|strongSwan's cryptography
libcharon-extra-plugins|/usr/lib/ipsec/plugins/libstrongswan-kernel-libipsec.so|ESP in user space, where the kernel has none
iproute2|ip|shows and sets addresses and routes
nftables|nft|the lab's NAT routers, and the kernel NAT that benchmarks compare with
iperf3|iperf3|throughput through the tunnels
mtr-tiny|mtr|what the lab's own prober is checked against
prometheus|promtool|checks the metrics, and the alert rules in packaging/prometheus
LIST
}

present() {
  case $1 in
  /*) [ -e "$1" ] ;;
  *) PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null 2>&1 ;;
  esac
}

install_packages() {
  local missing=() package shows why
  while IFS='|' read -r package shows why; do
    present "$shows" && continue
    say "needs $package: $why"
    missing+=("$package")
  done < <(packages)
  [ ${#missing[@]} -gt 0 ] || return 0

  command -v apt-get >/dev/null 2>&1 ||
    die "this machine has no apt-get; the packages above have other names on it" \
      "install strongSwan with swanctl and kernel-libipsec, nftables, iperf3 and mtr, and run it again"
  local root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null 2>&1 || die "installing packages needs root" "run it as root"
    root=(sudo)
  fi

  # A package that brings a service starts it. The lab runs daemons of its own,
  # so nothing may start, now or at the next boot, that was not there before.
  local had_service=no policy=/usr/sbin/policy-rc.d wrote_policy=no
  [ -e /lib/systemd/system/strongswan.service ] && had_service=yes
  local had_prometheus=no
  [ -e /lib/systemd/system/prometheus.service ] && had_prometheus=yes
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | "${root[@]}" tee "$policy" >/dev/null
    "${root[@]}" chmod 755 "$policy"
    wrote_policy=yes
    # shellcheck disable=SC2064 # the values of now are meant
    trap "${root[*]} rm -f $policy" EXIT
  fi
  say "installing ${missing[*]}"
  install_all() {
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive \
      apt-get install -y -qq --no-install-recommends "${missing[@]}"
  }
  if ! install_all >/dev/null 2>&1; then
    say "refreshing the package lists first"
    "${root[@]}" apt-get update -qq || die "could not refresh the package lists" "check the network, then run it again"
    install_all >/dev/null || die "apt-get could not install ${missing[*]}" "see its message above"
  fi
  if [ "$wrote_policy" = yes ]; then
    "${root[@]}" rm -f "$policy"
    trap - EXIT
  fi
  if [ "$had_service" = no ] && command -v systemctl >/dev/null 2>&1; then
    "${root[@]}" systemctl disable strongswan.service >/dev/null 2>&1 || true
  fi
  if [ "$had_prometheus" = no ] && command -v systemctl >/dev/null 2>&1; then
    "${root[@]}" systemctl disable prometheus.service >/dev/null 2>&1 || true
  fi
  say "done"
}

check_node() {
  local have
  have=$(node --version 2>/dev/null || true)
  have=${have#v}
  [ -n "$have" ] && [ "$(printf '%s\n%s\n' 20.11 "$have" | sort -V | head -n 1)" = 20.11 ] ||
    die "found ${have:-no} Node.js; the web console's tests need 20.11 or newer, with npm" "install it from https://nodejs.org/ or your distribution"
}

# libreswan, the second IKE daemon that device configurations are tried with,
# cannot be installed beside strongSwan. So it is unpacked into .cache and run from there.
unpack_libreswan() {
  local into=.cache/libreswan package
  [ ! -x $into/usr/libexec/ipsec/pluto ] || return 0
  command -v apt-get >/dev/null 2>&1 || return 0
  say "unpacking libreswan into $into, for the tests of device configurations"
  mkdir -p $into
  if ! (cd $into && apt-get download -qq libreswan libldns3 libunbound8 libevent-2.1-7 libevent-core-2.1-7 libevent-pthreads-2.1-7 libnss3 libnspr4 libnss3-tools >/dev/null 2>&1); then
    say "libreswan cannot be fetched here: the tests that need it are skipped"
    return 0
  fi
  for package in "$into"/*.deb; do dpkg-deb -x "$package" $into && rm "$package"; done
}

mode=${1:-all}
check_go
[ "$mode" != web ] || check_node
[ "$mode" = go ] || install_packages
[ "$mode" = go ] || unpack_libreswan
fetch_modules
