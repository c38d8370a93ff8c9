package agent

import (
	"fmt"
	"time"

	"causeway/internal/report"
)

// This file is what is known about snapshots: which one runs and which was refused.

// took records that l runs now.
func (s *Snapshots[S]) took(l *Loaded[S]) {
	s.mu.Lock()
	s.running, s.since = l, time.Now()
	if !l.Kept {
		s.refused = nil
	}
	s.mu.Unlock()
	s.News()
}

// Refuse records that the newest snapshot was not taken, and why, until one is.
// It reports whether that is news.
func (s *Snapshots[S]) Refuse(err error) bool {
	s.mu.Lock()
	news := s.refused == nil || s.refused.Reason != err.Error()
	s.refused = &report.Refusal{At: time.Now(), Reason: err.Error()}
	s.mu.Unlock()
	s.News()
	return news
}

// accept records that the file is all right again, without a change to what runs.
func (s *Snapshots[S]) accept() {
	s.mu.Lock()
	s.refused = nil
	s.mu.Unlock()
	s.News()
}

// runs reports whether the file with this content is what runs.
func (s *Snapshots[S]) runs(data []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running != nil && !s.running.Kept && string(s.running.Data) == string(data)
}

// Running returns what runs; false: nothing does yet.
func (s *Snapshots[S]) Running() (running S, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running == nil {
		return running, false
	}
	return s.running.Snapshot, true
}

func (s *Snapshots[S]) version(l *Loaded[S]) uint64 {
	_, version := s.Name(l.Snapshot)
	return version
}

// runningVersion is 0 while nothing runs.
func (s *Snapshots[S]) runningVersion() uint64 {
	_, version := s.nameOf(s.Running())
	return version
}

func (s *Snapshots[S]) nameOf(running S, ok bool) (string, uint64) {
	if !ok {
		return "", 0
	}
	return s.Name(running)
}

// Sentence says in one how it is, for systemd. Something must run.
func (s *Snapshots[S]) Sentence() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	name, version := s.Name(s.running.Snapshot)
	text := fmt.Sprintf("%s %s runs snapshot %d", s.What, name, version)
	if s.running.Kept {
		text += ", its last good one"
	}
	if s.refused != nil {
		text += "; the file is refused"
	}
	return text
}

// Report says which snapshot runs, and which was refused. While nothing runs it
// has no version.
func (s *Snapshots[S]) Report() report.Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := report.Snapshot{Source: "file", File: s.File}
	if s.running != nil {
		r.Since = s.since
		_, r.Version = s.Name(s.running.Snapshot)
		if s.running.Kept {
			r.Source = "last-good"
		}
	}
	if s.refused != nil {
		refused := *s.refused
		r.Refused = &refused
	}
	return r
}
