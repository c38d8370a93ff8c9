package telemetry

import (
	"context"
	"sync"
	"time"

	"causeway/internal/report"
)

// Sampler asks a PoP for its report about once a second, and keeps the newest.
// The report of a PoP with very many sessions takes its packet loop a while, so
// that sampling never takes more than a two-hundredth of its time.
type Sampler struct {
	// Each is called for every report, one at a time.
	Each []func(report.PoP)

	every time.Duration // 0: a second; tests have less patience
	mu    sync.Mutex
	last  report.PoP
	have  bool
}

const share = 200

// Run samples until ctx ends. After that there is no newest report.
func (s *Sampler) Run(ctx context.Context, ask func() report.PoP) {
	every := s.every
	if every == 0 {
		every = time.Second
	}
	defer s.forget()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		began := time.Now()
		p := ask()
		took := time.Since(began)
		if ctx.Err() != nil {
			return
		}
		s.mu.Lock()
		s.last, s.have = p, true
		s.mu.Unlock()
		for _, f := range s.Each {
			f(p)
		}
		// On the grid of whole periods, so that each second gets one sample.
		wait := max(every, share*took)
		now := time.Now()
		timer.Reset(now.Truncate(wait).Add(wait + wait/10).Sub(now))
	}
}

func (s *Sampler) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last, s.have = report.PoP{}, false
}

// Latest returns the newest report; false while the PoP does not run.
func (s *Sampler) Latest() (report.PoP, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last, s.have
}
