package sim

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"causeway/internal/dataplane"
	"causeway/internal/keys"
	"causeway/internal/report"
	"causeway/internal/snapshot"
)

// PoP is one PoP of a World. Its disk outlives its process.
type PoP struct {
	Key      keys.PrivateKey
	Snapshot snapshot.Snapshot

	world  *World
	disk   memory
	engine *dataplane.Engine // nil: the process is not running
	starts uint64
}

// PoP adds a PoP with a key of its own; it does not run yet.
func (w *World) PoP() *PoP {
	p := &PoP{world: w, disk: memory{}}
	var seed [32]byte
	for i := range seed {
		seed[i] = byte(w.rng.Uint32())
	}
	p.Key, _ = keys.GenerateFrom(rand.NewChaCha8(seed))
	w.pops = append(w.pops, p)
	return p
}

// Start runs the PoP's process with its snapshot.
func (p *PoP) Start() error {
	p.starts++
	rng := rand.New(rand.NewPCG(p.world.rng.Uint64(), p.starts))
	p.engine = dataplane.NewEngine(dataplane.EngineConfig{
		Key: p.Key, Network: p, Store: p.disk, Log: discard, Random: rng.Uint64,
		Wall: func() time.Time { return time.Unix(1_700_000_000, int64(p.world.Now)) },
	})
	return p.Apply(p.Snapshot)
}

// Apply gives the running PoP a snapshot.
func (p *PoP) Apply(s snapshot.Snapshot) error {
	if err := p.engine.Apply(p.world.Now, s); err != nil {
		return err
	}
	p.Snapshot = s
	p.engine.Due(p.world.Now)
	p.engine.Flush(p.world.Now)
	return nil
}

// Kill ends the PoP's process without a word, as kill -9 does.
func (p *PoP) Kill() {
	p.engine = nil
	for addr, b := range p.world.binds {
		if b.pop == p {
			delete(p.world.binds, addr)
		}
	}
}

// WipeDisk makes the PoP forget what it kept.
func (p *PoP) WipeDisk() { clear(p.disk) }

// Running reports whether the process runs.
func (p *PoP) Running() bool { return p.engine != nil }

// Report is the running PoP's report.
func (p *PoP) Report() report.PoP {
	return p.engine.Report(p.world.Now, time.Unix(1_700_000_000, int64(p.world.Now)))
}

// Listen implements dataplane.Network.
func (p *PoP) Listen(addr netip.AddrPort, use dataplane.Use, token uint64) (dataplane.Socket, error) {
	if p.world.binds[addr] != nil {
		return nil, fmt.Errorf("listen on %v: address already in use", addr)
	}
	p.world.binds[addr] = &bind{pop: p, token: token}
	return &socket{world: p.world, addr: addr, use: use}, nil
}
