package popagent

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"causeway/internal/snapshot"
	"causeway/internal/strictyaml"
)

func TestReadSnapshotRefusesTooLargeAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "s")
	if err := os.WriteFile(file, bytes.Repeat([]byte("#"), strictyaml.MaxSize+10), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadSnapshot(file); err == nil || !strings.Contains(err.Error(), "at most 16777216 bytes") {
		t.Errorf("got %v", err)
	}
}

// FuzzSnapshot: any file is either refused with reasons, or is a snapshot that
// stays right when its defaults are filled in.
func FuzzSnapshot(f *testing.F) {
	f.Add([]byte("format: 1\npop: {name: a, label: 1}\n"))
	f.Add([]byte(fuzzSeed))
	f.Add([]byte(`{"format": 1, "pop": {"name": "a", "label": 1}, "limits": {"sessions": 5}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := parse("f", data)
		if err != nil {
			var content *strictyaml.Error
			if !errors.As(err, &content) || content.Error() == "" {
				t.Fatalf("refused without a reason: %#v", err)
			}
			return
		}
		if found := s.Consistent(); len(found) > 0 {
			t.Fatalf("taken, but with its defaults it is wrong: %v", found)
		}
		if again := snapshot.WithDefaults(s); !reflect.DeepEqual(again, s) {
			t.Fatalf("defaults filled twice differ:\n%+v\n%+v", s, again)
		}
		text, err := strictyaml.Encode(s)
		if err != nil {
			t.Fatal(err)
		}
		written, err := parse("f", text)
		if err != nil {
			t.Fatalf("written out again it is refused:\n%s\n%v", text, err)
		}
		if rewritten, _ := strictyaml.Encode(written); !bytes.Equal(text, rewritten) {
			t.Fatalf("written out twice it differs:\n%s\n%s", text, rewritten)
		}
	})
}

const fuzzSeed = `format: 1
version: 3
pop:
  name: shanghai
  label: 1
  overlay:
    - {name: ct, bind: 203.0.113.10:4600}
peers:
  - name: seoul
    label: 2
    public_key: AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
    wires: [{local: ct, remote: "203.0.113.20:4600"}]
    repair: {cap: 2.5, budget: 80ms}
routes:
  - {to: seoul, policy: fixed, candidates: [[]]}
listeners:
  - name: vpn
    addresses: [{bind: 203.0.113.11}]
    ports: [500, 4500]
    endpoint_group: seoul
    idle_timeout: 300s
    allow: [198.51.100.0/24]
endpoint_groups:
  - {name: seoul, pop: seoul}
  - name: here
    pop: shanghai
    egress_ip: {bind: 203.0.113.12}
    endpoints: [{address: 192.0.2.7, weight: 5}]
limits: {sessions: 1000}
`
