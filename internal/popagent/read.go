package popagent

import (
	"fmt"

	"causeway/internal/agent"
	"causeway/internal/problem"
	"causeway/internal/snapshot"
	"causeway/internal/strictyaml"
)

// ReadSnapshot reads and judges a snapshot file. What is wrong with its content
// comes back as *strictyaml.Error, with the place of each mistake. The snapshot
// returned has its defaults filled in.
func ReadSnapshot(file string) (snapshot.Snapshot, error) {
	data, err := agent.ReadFile(file)
	if err != nil {
		return snapshot.Snapshot{}, err
	}
	return parse(file, data)
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

// judge reads a snapshot and judges it, also against the PoP's own key.
func (a *runner) judge(data []byte) (snapshot.Snapshot, error) {
	s, err := parse(a.SnapshotFile, data)
	if err != nil {
		return s, err
	}
	refuse := func(p problem.Problem) (snapshot.Snapshot, error) {
		return s, strictyaml.Locate(a.SnapshotFile, data, problem.List{p})
	}
	own := a.key.Public().String()
	if s.PoP.PublicKey != "" && s.PoP.PublicKey != own {
		return refuse(problem.New("pop.public_key", s.PoP.PublicKey, own+", which belongs to "+a.KeyFile).
			WithFix("start PoP %s with its own key, or correct the snapshot", s.PoP.Name))
	}
	for i, p := range s.Peers {
		if p.PublicKey == own {
			return refuse(problem.New(fmt.Sprintf("peers[%d].public_key", i), own, "another PoP's key").
				WithFix("this is the key in %s, with which this PoP was started; use the one of %s", a.KeyFile, p.Name))
		}
	}
	return s, nil
}
