package netns

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Sysctl sets a kernel parameter of the namespace, named with dots as sysctl(8)
// does: net.ipv4.ip_forward. (Device names with dots in them need slashes.)
func (ns *NS) Sysctl(key, value string) error {
	path := filepath.Join("/proc/sys", strings.ReplaceAll(key, ".", "/"))
	err := ns.Do(func() error { return os.WriteFile(path, []byte(value), 0) })
	return ns.failed(err, "sysctl %s=%s", key, value)
}

// Host sets what every host of the lab needs: ICMP errors and replies without
// rate limit (the kernel's default makes traceroute show loss that is none), no
// reverse path filter, no redirects. Hosts without ipv6 get none, and so send no
// router solicitations into the network under test.
func (ns *NS) Host(ipv6 bool) error {
	settings := [][2]string{
		{"net.ipv4.icmp_ratelimit", "0"},
		{"net.ipv4.conf.all.rp_filter", "0"},
		{"net.ipv4.conf.default.rp_filter", "0"},
		{"net.ipv4.conf.all.send_redirects", "0"},
		{"net.ipv4.conf.default.send_redirects", "0"},
	}
	if ipv6 {
		settings = append(settings, [][2]string{
			{"net.ipv6.icmp.ratelimit", "0"},
			{"net.ipv6.conf.all.accept_ra", "0"},
			{"net.ipv6.conf.default.accept_ra", "0"},
			{"net.ipv6.conf.default.router_solicitations", "0"},
			{"net.ipv6.conf.default.dad_transmits", "0"},
		}...)
	} else if _, err := os.Stat("/proc/sys/net/ipv6"); err == nil {
		settings = append(settings, [][2]string{
			{"net.ipv6.conf.all.disable_ipv6", "1"},
			{"net.ipv6.conf.default.disable_ipv6", "1"},
		}...)
	}
	if err := ns.sysctls(settings); err != nil {
		return err
	}
	// Before Linux 6.13 this limit is the whole machine's and not here to set.
	err := ns.Sysctl("net.ipv4.icmp_msgs_per_sec", "100000")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Router makes the host forward packets (IPv6 too, where it has it). Call it after Host.
func (ns *NS) Router(ipv6 bool) error {
	settings := [][2]string{{"net.ipv4.ip_forward", "1"}}
	if ipv6 {
		settings = append(settings, [2]string{"net.ipv6.conf.all.forwarding", "1"})
	}
	return ns.sysctls(settings)
}

func (ns *NS) sysctls(settings [][2]string) error {
	for _, s := range settings {
		if err := ns.Sysctl(s[0], s[1]); err != nil {
			return err
		}
	}
	return nil
}
