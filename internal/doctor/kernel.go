package doctor

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Capabilities that a PoP uses, by number (linux/capability.h).
const (
	capNetBindService = 10
	capNetAdmin       = 12
	capNetRaw         = 13
)

// What the kernel is and may.
var kernelChecks = []Check{
	{"kernel", "kernel version", func(_ context.Context, t *Target) outcome {
		release, there := t.text("/proc/sys/kernel/osrelease")
		major, minor, ok2 := version(release)
		switch {
		case !there || !ok2:
			return skip("the kernel does not say its version")
		case major < 4 || major == 4 && minor < 18:
			return fail("Linux "+release+" has no UDP segmentation offload; packets cost several times as much", "use Linux 5.10 or newer, as Debian 11, Ubuntu 22.04 and RHEL 9 have")
		case major < 5 || major == 5 && minor < 10:
			return warn("Linux "+release+" is old; some offloads are missing", "use Linux 5.10 or newer")
		}
		return ok("Linux %s", release)
	}},
	{"clock", "clock is right and kept right", func(_ context.Context, t *Target) outcome {
		offset, synchronized, err := t.System.ClockOffset()
		switch {
		case err != nil:
			return skip("the kernel does not tell: %v", err)
		case !synchronized:
			return warn("nothing keeps the clock right; certificates and logs need it", "install and start chrony or systemd-timesyncd: apt-get install -y chrony")
		case offset.Abs() > time.Second:
			return fail(fmt.Sprintf("the clock is off by %v", offset.Round(time.Millisecond)), "chronyc makestep, and see why it cannot follow: chronyc sources")
		}
		return ok("kept right, off by %v", offset.Round(time.Microsecond))
	}},
	{"clock-sane", "clock is not in the past", func(_ context.Context, t *Target) outcome {
		if now := t.System.Now(); now.Year() < 2025 {
			return fail("the clock says "+now.UTC().Format(time.DateTime)+"; certificates are not good yet then", "set it: date -s, or start chrony")
		}
		return ok("%s", t.System.Now().UTC().Format(time.DateTime))
	}},
	{"timer", "timers fire when they should", func(_ context.Context, t *Target) outcome {
		source, there := t.text("/sys/devices/system/clocksource/clocksource0/current_clocksource")
		switch {
		case !there:
			return skip("the kernel does not say its clock source")
		case source == "acpi_pm" || source == "hpet" || source == "jiffies":
			return warn("the clock source is "+source+": asking the time is slow", "echo tsc > /sys/devices/system/clocksource/clocksource0/current_clocksource, if it is listed in available_clocksource; on a virtual machine choose a type with an invariant TSC")
		}
		return ok("clock source %s", source)
	}},
	{"tun", "TUN devices can be made", func(_ context.Context, t *Target) outcome {
		if _, err := t.System.Stat("/dev/net/tun"); err != nil {
			return warn("/dev/net/tun is not there; the lab, and IPsec in user space, need it", "modprobe tun; in a container, give it the device /dev/net/tun")
		}
		return ok("/dev/net/tun is there")
	}},
	{"xfrm", "kernel has IPsec", func(_ context.Context, t *Target) outcome {
		if _, there := t.text("/proc/net/xfrm_stat"); !there {
			if t.Gateway {
				return warn("the kernel has no IPsec (XFRM); strongSwan must do ESP in user space, which is slow", "modprobe xfrm_user esp4, or use a kernel with CONFIG_XFRM_USER")
			}
			return ok("not there, and a PoP needs none: IPsec only passes through")
		}
		return ok("XFRM is there")
	}},
	{"bpf", "kernel has BPF", func(_ context.Context, t *Target) outcome {
		if _, err := t.System.Stat("/sys/fs/bpf"); err != nil {
			return warn("BPF is not mounted; several workers cannot be steered to, and XDP cannot be used", "mount -t bpf bpf /sys/fs/bpf, or use a kernel with CONFIG_BPF_SYSCALL")
		}
		return ok("/sys/fs/bpf is there")
	}},
	capability("cap-bind", "may bind ports 500 and 4500", capNetBindService, "CAP_NET_BIND_SERVICE", "listeners on ports below 1024 cannot be bound", Fail),
	capability("cap-raw", "may ask plain paths", capNetRaw, "CAP_NET_RAW", "plain paths cannot be asked, so that reports have no 'before'", Warn),
	capability("cap-admin", "may enlarge socket buffers", capNetAdmin, "CAP_NET_ADMIN", "socket buffers cannot be made larger than net.core.rmem_max, nor XDP used", Warn),
	{"cpu-steal", "processor is ours", func(_ context.Context, t *Target) outcome {
		stat, there := t.text("/proc/stat")
		share, ok2 := stolen(stat)
		switch {
		case !there || !ok2:
			return skip("the kernel does not tell")
		case share > .05:
			return warn(fmt.Sprintf("%.0f %% of the processor's time went to other virtual machines since the start", 100*share), "choose a type of instance with processors of its own; burstable ones run out of credit")
		}
		return ok("%.1f %% taken by other virtual machines", 100*share)
	}},
	{"aes", "processor has AES instructions", func(_ context.Context, t *Target) outcome {
		info, there := t.text("/proc/cpuinfo")
		switch {
		case !there:
			return skip("/proc/cpuinfo is not there")
		case !strings.Contains(info, " aes") && !strings.Contains(info, " pmull"):
			return warn("the processor, or the hypervisor, has no AES instructions; sealing takes several times as long", "choose a type of instance that passes AES-NI on")
		}
		return ok("it has")
	}},
	{"conntrack", "connection tracking has room", func(_ context.Context, t *Target) outcome {
		most, there := t.number("net.netfilter.nf_conntrack_max")
		now, there2 := t.number("net.netfilter.nf_conntrack_count")
		switch {
		case !there || !there2 || most == 0:
			return ok("the kernel tracks no connections")
		case now*10 > most*8:
			return fail(fmt.Sprintf("%d of %d entries are in use; when they run out, packets are dropped", now, most),
				"take the PoP's ports out of tracking (nft: udp dport { 500, 4500, 4600 } notrack, in a raw prerouting and an output chain), or raise net.netfilter.nf_conntrack_max")
		}
		return ok("%d of %d entries in use", now, most)
	}},
}

func capability(name, about string, bit uint, called, consequence, verdict string) Check {
	return Check{name, about, func(_ context.Context, t *Target) outcome {
		mask, err := t.System.Capabilities()
		switch {
		case err != nil:
			return skip("the kernel does not tell: %v", err)
		case mask&(1<<bit) == 0:
			return outcome{verdict, "this user has no " + called + ": " + consequence, "run it as the user the PoP runs as; give its service AmbientCapabilities=" + called}
		}
		return ok("%s is there", called)
	}}
}

func version(release string) (major, minor int, ok bool) {
	parts := strings.SplitN(release, ".", 3)
	if len(parts) < 2 {
		return 0, 0, false
	}
	major, err := strconv.Atoi(parts[0])
	minor, err2 := strconv.Atoi(strings.TrimRight(parts[1], "-abcdefghijklmnopqrstuvwxyz+"))
	return major, minor, err == nil && err2 == nil
}

// stolen is the share of time that the hypervisor gave to others, by /proc/stat.
func stolen(stat string) (share float64, ok bool) {
	line, _, _ := strings.Cut(stat, "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return 0, false
	}
	total := 0.0
	for i, f := range fields[1:9] {
		n, err := strconv.ParseFloat(f, 64)
		if err != nil {
			return 0, false
		}
		total += n
		if i == 7 {
			share = n
		}
	}
	if total == 0 {
		return 0, false
	}
	return share / total, true
}
