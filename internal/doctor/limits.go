package doctor

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// What this process and sockets may use.
var limitChecks = []Check{
	atLeast("rmem", "receive buffers can be large", "net.core.rmem_max", 4<<20, "bursts are lost in the socket"),
	atLeast("wmem", "send buffers can be large", "net.core.wmem_max", 4<<20, "bursts are lost in the socket"),
	atLeast("backlog", "queue of received packets is long", "net.core.netdev_max_backlog", 1000, "bursts are lost between the device and the socket"),
	{"open-files", "may open enough files", func(_ context.Context, t *Target) outcome {
		limits, there := t.text("/proc/self/limits")
		m := regexp.MustCompile(`Max open files\s+(\S+)\s+(\S+)`).FindStringSubmatch(limits)
		if !there || m == nil {
			return skip("the kernel does not tell")
		}
		hard, err := strconv.Atoi(m[2])
		if err == nil && hard < 16384 {
			return warn(fmt.Sprintf("at most %d files may be open; each egress port and each series of history is one", hard), "LimitNOFILE=1048576 in the service, or ulimit -Hn")
		}
		return ok("at most %s", m[2])
	}},
	{"memory", "there is memory", func(_ context.Context, t *Target) outcome {
		available, total, there := memory(t)
		switch {
		case !there:
			return skip("the kernel does not tell")
		case available < 128<<20:
			return fail(fmt.Sprintf("%d MiB are available", available>>20), "stop something else, or give the machine more memory: a PoP takes 100 MiB, and 1 KiB a session")
		case total < 400<<20:
			return warn(fmt.Sprintf("the machine has %d MiB", total>>20), "a PoP works with 512 MiB, a controller wants 1 GiB")
		}
		return ok("%d of %d MiB available", available>>20, total>>20)
	}},
	{"swap", "machine does not swap", func(_ context.Context, t *Target) outcome {
		stat, there := t.text("/proc/meminfo")
		if !there {
			return skip("the kernel does not tell")
		}
		if used := meminfo(stat, "SwapTotal") - meminfo(stat, "SwapFree"); used > 64<<20 {
			return warn(fmt.Sprintf("%d MiB are in swap; a packet that waits for a disk is late", used>>20), "give the machine more memory, or MemorySwapMax=0 to the service")
		}
		return ok("hardly anything is in swap")
	}},
	{"processors", "there are processors for the packet loop", func(_ context.Context, t *Target) outcome {
		info, there := t.text("/proc/cpuinfo")
		n := strings.Count("\n"+info, "\nprocessor")
		switch {
		case !there || n == 0:
			return skip("the kernel does not tell")
		case n < 2:
			return warn("there is one processor: packets wait while anything else runs", "choose a machine with two")
		}
		return ok("%d processors", n)
	}},
	{"load", "machine is not overloaded", func(_ context.Context, t *Target) outcome {
		text, there := t.text("/proc/loadavg")
		info, there2 := t.text("/proc/cpuinfo")
		n := strings.Count("\n"+info, "\nprocessor")
		fields := strings.Fields(text)
		if !there || !there2 || n == 0 || len(fields) < 2 {
			return skip("the kernel does not tell")
		}
		load, err := strconv.ParseFloat(fields[1], 64)
		if err == nil && load > 1.5*float64(n) {
			return warn(fmt.Sprintf("%.1f programs want %d processors, over five minutes", load, n), "see which: top; a PoP wants a processor for itself")
		}
		return ok("%s over five minutes, %d processors", fields[1], n)
	}},
}

func memory(t *Target) (available, total int64, there bool) {
	text, there := t.text("/proc/meminfo")
	return meminfo(text, "MemAvailable"), meminfo(text, "MemTotal"), there && strings.Contains(text, "MemTotal")
}

// meminfo is a line of /proc/meminfo in bytes.
func meminfo(text, name string) int64 {
	m := regexp.MustCompile(`(?m)^` + name + `:\s+(\d+) kB`).FindStringSubmatch(text)
	if m == nil {
		return 0
	}
	n, _ := strconv.ParseInt(m[1], 10, 64)
	return n << 10
}
