package history

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Whatever a head is, it is refused, or it is read as what it was written from.
func FuzzHead(f *testing.F) {
	f.Add(headBytes(seoul))
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := parseHead(b)
		if err != nil {
			return
		}
		if back, err := parseHead(h.encode()); err != nil || !back.equal(&h) {
			t.Errorf("%+v came back as %+v, %v", h, back, err)
		}
	})
}

// Whatever a file is, the store opens and goes on writing and reading.
func FuzzFile(f *testing.F) {
	f.Add([]byte("x"), uint16(0))
	f.Add(headBytes(seoul)[:40], uint16(12))
	f.Add(putSlot(nil, 0, noon.Unix(), probe(30)), uint16(headSize))
	f.Fuzz(func(t *testing.T, garbage []byte, at uint16) {
		if len(garbage) > 4096 {
			return
		}
		k, c, dir := Key{"p", "pop", ""}, &clock{noon}, t.TempDir()
		path := filepath.Join(dir, fileName(k))
		h := headOf(k)
		if err := os.WriteFile(path, h.encode(), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, h.size()); err != nil {
			t.Fatal(err)
		}
		if err := patch(path, int64(at), garbage); err != nil {
			t.Fatal(err)
		}
		s, err := Open(dir, Options{Now: c.Now})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		row := []float64{1, 2, 3, 4, 5}
		if err := s.Add(k, noon, row); err != nil {
			t.Fatal(err)
		}
		for _, points := range []int{0, 100, 10} {
			got, err := s.Read(Query{Key: k, From: noon, To: noon.Add(time.Second), Points: points})
			if err != nil || len(got.Times) != 1 || got.Values[0][0] != 1 {
				t.Fatalf("%d points: %+v, %v", points, got, err)
			}
		}
	})
}
