package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"causeway/internal/lab/gateway"
	"causeway/internal/lab/netns"
	"causeway/internal/lab/process"
	"causeway/internal/lab/report"
	"causeway/internal/wholefile"
)

// base is where the labs of this host keep their files, a directory each. It
// is gone after a reboot, as the namespaces are.
const base = "/run/causeway-lab"

// state is what is on disk about a lab: enough for another process to use it
// and to take it down.
type state struct {
	Lab       string           `json:"lab"`
	Scenario  string           `json:"scenario"`
	File      string           `json:"file"` // what the scenario was read from, for messages
	Seed      uint64           `json:"seed"`
	Created   time.Time        `json:"created"`
	Owner     process.Record   `json:"owner"` // the command that builds, runs or ends it
	Kept      bool             `json:"kept"`  // meant to stand when its owner has ended
	Backend   gateway.Backend  `json:"backend"`
	Processes []process.Record `json:"processes"`
	// Setup is how long each tunnel took to come up.
	Setup map[string]time.Duration `json:"setup,omitempty"`
	// Control is what the control plane was told; nil without one.
	Control *report.Control `json:"control,omitempty"`

	dir string
}

func dirOf(lab string) string { return filepath.Join(base, lab) }

// claim makes the directory of a new lab; no other process can have claimed it
// too. One left by a lab that nobody owns any more is cleaned up first.
func claim(lab string) (*state, error) {
	if err := netns.CheckLab(lab); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(base, 0o755); err != nil {
		return nil, fmt.Errorf("make a place for the lab's files: %w", err)
	}
	s := &state{Lab: lab, dir: dirOf(lab), Created: time.Now()}
	err := os.Mkdir(s.dir, 0o755)
	if errors.Is(err, fs.ErrExist) {
		if old, _ := readState(lab); !old.stale() {
			return nil, fail(conflict, "lab %s stands already (scenario %s, since %s); use it, take it down with `causeway lab down %s`, or give another name with --name",
				lab, old.Scenario, old.Created.Format(time.TimeOnly), lab)
		}
		if err := Down(lab); err != nil {
			return nil, fmt.Errorf("clean up what is left of an earlier lab %s: %w", lab, err)
		}
		err = os.Mkdir(s.dir, 0o755)
	}
	if err != nil {
		return nil, fmt.Errorf("claim the lab's name: %w", err)
	}
	if s.Owner, err = process.Self("lab"); err != nil {
		return nil, err
	}
	return s, s.save()
}

// freeName returns a lab name made of the scenario's that no lab has now.
func freeName(scenario string) string {
	stem := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, strings.ToLower(scenario))
	stem = stem[:min(len(stem), 14)]
	if stem == "" {
		stem = "lab"
	}
	for i := 1; ; i++ {
		name := stem
		if i > 1 {
			name = fmt.Sprintf("%s%d", stem, i)
		}
		s, err := readState(name)
		if errors.Is(err, fs.ErrNotExist) || err == nil && s.stale() {
			return name
		}
	}
}

// readState reads a lab's state. Where the directory stands but holds none, the
// lab is one whose builder died at once, or has only begun.
func readState(lab string) (*state, error) {
	s := &state{Lab: lab, dir: dirOf(lab)}
	info, err := os.Stat(s.dir)
	if err != nil {
		return s, err
	}
	s.Created = info.ModTime()
	data, err := os.ReadFile(filepath.Join(s.dir, "state.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err == nil {
		err = json.Unmarshal(data, s)
	}
	if err != nil {
		return s, fmt.Errorf("read the state of lab %s: %w", lab, err)
	}
	return s, nil
}

// stale reports whether nobody owns the lab and nobody meant it to stand alone.
func (s *state) stale() bool {
	switch {
	case s.Kept:
		return false
	case s.Owner.PID == 0:
		return time.Since(s.Created) > 10*time.Second
	}
	return !s.Owner.Alive()
}

// save writes the state so that a reader sees the old one or the new one whole.
func (s *state) save() error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err == nil {
		err = wholefile.Write(filepath.Join(s.dir, "state.json"), data, 0o644)
	}
	if err != nil {
		return fmt.Errorf("save the state of lab %s: %w", s.Lab, err)
	}
	return nil
}

// Standing is a lab as `lab list` shows it.
type Standing struct {
	Lab      string    `json:"lab"`
	Scenario string    `json:"scenario"`
	Since    time.Time `json:"since"`
	State    string    `json:"state"` // up, running, or stale (its owner is gone; `lab down` clears it)
}

// List returns the labs of this host.
func List() ([]Standing, error) {
	names, err := labNames()
	if err != nil {
		return nil, err
	}
	labs := []Standing{}
	for _, name := range names {
		s, err := readState(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		st := Standing{Lab: name, Scenario: s.Scenario, Since: s.Created, State: "running"}
		switch {
		case s.stale():
			st.State = "stale"
		case s.Kept:
			st.State = "up"
		}
		labs = append(labs, st)
	}
	return labs, nil
}

func labNames() ([]string, error) {
	entries, err := os.ReadDir(base)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list labs: %w", err)
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() && netns.CheckLab(e.Name()) == nil {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}
