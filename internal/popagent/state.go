package popagent

import (
	"fmt"
	"sync"
	"time"

	"causeway/internal/report"
)

// state is what is known about snapshots: which one runs and which was refused.
type state struct {
	mu      sync.Mutex
	running *loaded
	since   time.Time
	refused *report.Refusal
}

// take records that l runs now.
func (s *state) take(l *loaded) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running, s.since = l, time.Now()
	if !l.kept {
		s.refused = nil
	}
}

// refuse records that the file was not taken. It reports whether that is news.
func (s *state) refuse(err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	news := s.refused == nil || s.refused.Reason != err.Error()
	s.refused = &report.Refusal{At: time.Now(), Reason: err.Error()}
	return news
}

// accept records that the file is all right again, without a change to what runs.
func (s *state) accept() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused = nil
}

// runs reports whether the file with this content is what runs.
func (s *state) runs(data []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running != nil && !s.running.kept && string(s.running.data) == string(data)
}

func (s *state) name() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running.snapshot.PoP.Name
}

func (s *state) version() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running.snapshot.Version
}

// sentence says it to systemd.
func (s *state) sentence() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := fmt.Sprintf("PoP %s runs snapshot %d", s.running.snapshot.PoP.Name, s.running.snapshot.Version)
	if s.running.kept {
		text += ", its last good one"
	}
	if s.refused != nil {
		text += "; the file is refused"
	}
	return text
}

// report adds what the agent knows to what the plane said.
func (s *state) report(p *report.PoP) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.Snapshot = report.Snapshot{Version: s.running.snapshot.Version, Since: s.since, Source: "file", File: s.running.file}
	if s.running.kept {
		p.Snapshot.Source = "last-good"
	}
	if s.refused != nil {
		refused := *s.refused
		p.Snapshot.Refused = &refused
	}
	if p.Name == "" {
		p.Name, p.Region, p.Label = s.running.snapshot.PoP.Name, s.running.snapshot.PoP.Region, uint16(s.running.snapshot.PoP.Label)
	}
}
