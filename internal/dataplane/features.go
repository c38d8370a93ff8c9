package dataplane

import (
	"log/slog"
	"slices"
	"sync"

	"causeway/internal/dataplane/segment/seal/aesgcm"
	"causeway/internal/dataplane/udpio"
)

// What a kernel or a processor may lack, by the names that status shows. Everything works
// without, only slower; Config.Without has it done without.
const (
	FeatureGRO      = "udp_gro"      // several datagrams of a flow are received as one
	FeatureGSO      = "udp_gso"      // several datagrams to one place are sent as one
	FeatureECN      = "ecn"          // DSCP and ECN marks are seen and passed on
	FeatureBatch    = "mmsg"         // many messages in a system call
	FeatureNanosec  = "epoll_pwait2" // sleeps are as short as they should be
	FeatureBusyPoll = "busy_poll"    // reads look into the device's queue themselves
	FeatureBuffers  = "buffers"      // sockets got the buffers they asked for
	FeatureWorkers  = "workers"      // several cores share the work
	FeatureWideAES  = "wide_aes"     // the processor seals many blocks at a time
	FeatureXDP      = "xdp"          // packets are taken from the device, past the kernel's stack
)

// FeatureNames are those that can be done without by demand.
var FeatureNames = []string{FeatureGRO, FeatureGSO, FeatureECN, FeatureBatch, FeatureNanosec, FeatureWideAES}

func (p *Plane) without(name string) bool { return slices.Contains(p.cfg.Without, name) }

// socketOptions are what every socket is opened with.
func (p *Plane) socketOptions() udpio.Options {
	return udpio.Options{
		NoGRO: p.without(FeatureGRO), NoGSO: p.without(FeatureGSO), NoTOS: p.without(FeatureECN), NoBatch: p.without(FeatureBatch),
	}
}

// features adds what the worker's sockets have: what one of them lacks counts as lacking.
func (w *worker) features(f map[string]bool) {
	set := func(name string, have bool) {
		old, known := f[name]
		f[name] = have && (old || !known)
	}
	for _, c := range w.conns {
		have := c.Features()
		set(FeatureGRO, have.GRO)
		set(FeatureGSO, have.GSO)
		set(FeatureECN, have.TOS)
		set(FeatureBatch, have.Batch)
		recv, send := c.BufferSizes()
		set(FeatureBuffers, min(recv, send) >= udpio.DefaultBuffer)
		if w.plane.cfg.BusyPoll > 0 {
			set(FeatureBusyPoll, c.BusyPolls())
		}
	}
	set(FeatureNanosec, w.poller.Nanoseconds())
	f[FeatureWideAES] = aesgcm.Wide() && !w.plane.without(FeatureWideAES)
	f[FeatureWorkers] = len(w.plane.workers) > 1
}

var bufferWarning sync.Once

// warnOfBuffers says once when the system's limits keep buffers small.
func (p *Plane) warnOfBuffers(c *udpio.Conn) {
	recv, send := c.BufferSizes()
	if min(recv, send) >= udpio.DefaultBuffer {
		return
	}
	bufferWarning.Do(func() {
		p.log.Warn("sockets have small buffers: bursts of packets will be lost; raise net.core.rmem_max and wmem_max, or run the PoP with CAP_NET_ADMIN",
			slog.Int("receive_bytes", recv), slog.Int("send_bytes", send), slog.Int("wanted_bytes", udpio.DefaultBuffer))
	})
}
