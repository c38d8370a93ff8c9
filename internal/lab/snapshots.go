package lab

import (
	"fmt"

	"causeway/internal/keys"
	"causeway/internal/lab/scenario"
	"causeway/internal/snapshot"
	"causeway/internal/wholefile"
)

// makeKeys gives each PoP a private key in a file of its directory and returns
// the public ones.
func (l *Lab) makeKeys() (map[string]string, error) {
	public := map[string]string{}
	for name := range l.Scenario.PoPs {
		key, err := keys.Generate()
		if err != nil {
			return nil, fmt.Errorf("make a key for PoP %s: %w", name, err)
		}
		if err := l.makePoPDir(name); err != nil {
			return nil, err
		}
		if err := key.WriteFile(l.path(name, "key")); err != nil {
			return nil, err
		}
		public[name] = key.Public().String()
	}
	return public, nil
}

// writeSnapshot writes a PoP's snapshot as the YAML file a person would write.
func (l *Lab) writeSnapshot(shot snapshot.Snapshot) error {
	l.versions[shot.PoP.Name] = shot.Version
	text := fmt.Sprintf("# What PoP %s is told; written by the lab from scenario %s.\n%s", shot.PoP.Name, l.Scenario.Name, toYAML(shot))
	if err := wholefile.Write(l.path(shot.PoP.Name, "snapshot.yaml"), []byte(text), 0o644); err != nil {
		return fmt.Errorf("write the snapshot of PoP %s: %w", shot.PoP.Name, err)
	}
	return nil
}

// reloaded is a PoP's snapshot as an event of the script changes it.
func (l *Lab) reloaded(r *scenario.Reload) (snapshot.Snapshot, error) {
	public, err := l.publicKeys()
	if err != nil {
		return snapshot.Snapshot{}, err
	}
	shot := r.Changed(l.Scenario.Snapshots(public)[r.PoP])
	shot.Version = l.versions[r.PoP] + 1
	return shot, nil
}

func (l *Lab) publicKeys() (map[string]string, error) {
	public := map[string]string{}
	for name := range l.Scenario.PoPs {
		key, err := keys.LoadFile(l.path(name, "key"))
		if err != nil {
			return nil, err
		}
		public[name] = key.Public().String()
	}
	return public, nil
}
