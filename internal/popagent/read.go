package popagent

import (
	"fmt"
	"io"
	"os"
	"time"

	"causeway/internal/problem"
	"causeway/internal/snapshot"
	"causeway/internal/strictyaml"
)

// loaded is a snapshot that was read and judged, and the bytes it was made of.
type loaded struct {
	file     string // where snapshots are read from, also when this one is a kept copy
	data     []byte
	snapshot snapshot.Snapshot // with its defaults
	kept     bool              // from our own copy
	saved    time.Time         // when that copy was written
}

// ReadSnapshot reads and judges a snapshot file. What is wrong with its content
// comes back as *strictyaml.Error, with the place of each mistake. The snapshot
// returned has its defaults filled in.
func ReadSnapshot(file string) (snapshot.Snapshot, error) {
	data, err := readFile(file)
	if err != nil {
		return snapshot.Snapshot{}, err
	}
	return parse(file, data)
}

func readFile(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("read snapshot: %w", err)
	}
	defer f.Close()
	// One byte more than is allowed, so that the parser refuses what is too large.
	data, err := io.ReadAll(io.LimitReader(f, strictyaml.MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("read snapshot: %w", err)
	}
	return data, nil
}

func parse(file string, data []byte) (snapshot.Snapshot, error) {
	var s snapshot.Snapshot
	if err := strictyaml.Decode(file, data, &s); err != nil {
		return snapshot.Snapshot{}, err
	}
	if err := strictyaml.Locate(file, data, s.Consistent()); err != nil {
		return snapshot.Snapshot{}, err
	}
	return snapshot.WithDefaults(s), nil
}

// read reads the agent's file and judges it, also against its own key.
func (a *agent) read() (*loaded, error) {
	a.seen = look(a.SnapshotFile)
	data, err := readFile(a.SnapshotFile)
	if err != nil {
		return nil, err
	}
	return a.judge(&loaded{file: a.SnapshotFile, data: data})
}

// readKept reads the last good snapshot.
func (a *agent) readKept() (*loaded, error) {
	data, saved, err := a.kept.load()
	if err != nil {
		return nil, err
	}
	return a.judge(&loaded{file: a.SnapshotFile, data: data, kept: true, saved: saved})
}

func (a *agent) judge(l *loaded) (*loaded, error) {
	s, err := parse(l.file, l.data)
	if err != nil {
		return nil, err
	}
	own := a.key.Public().String()
	if s.PoP.PublicKey != "" && s.PoP.PublicKey != own {
		p := problem.New("pop.public_key", s.PoP.PublicKey, own+", which belongs to "+a.KeyFile).
			WithFix("start PoP %s with its own key, or correct the snapshot", s.PoP.Name)
		return nil, strictyaml.Locate(l.file, l.data, problem.List{p})
	}
	for i, p := range s.Peers {
		if p.PublicKey == own {
			p := problem.New(fmt.Sprintf("peers[%d].public_key", i), own, "another PoP's key").
				WithFix("this is the key in %s, with which this PoP was started; use the one of %s", a.KeyFile, p.Name)
			return nil, strictyaml.Locate(l.file, l.data, problem.List{p})
		}
	}
	l.snapshot = s
	return l, nil
}
