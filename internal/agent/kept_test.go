package agent

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

func TestKeptKeepsTheNewestOfTwo(t *testing.T) {
	g := Kept{t.TempDir()}
	if _, _, err := g.Load(); err == nil {
		t.Error("something was kept before anything was saved")
	}
	for _, text := range []string{"one", "two", "three", "", "five\nlines\n"} {
		if err := g.Save([]byte(text)); err != nil {
			t.Fatal(err)
		}
		data, saved, err := g.Load()
		if err != nil || string(data) != text || saved.IsZero() {
			t.Errorf("saved %q, got %q, %v, %v", text, data, saved, err)
		}
	}
	files, _ := os.ReadDir(g.Dir)
	if len(files) != 2 {
		t.Errorf("left %v", files)
	}
	for _, f := range files {
		if info, err := f.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v; want mode 0600, as there may be secrets in it", info, err)
		}
	}
}

// A crash may leave any prefix of the slot that was being written, had it not
// been renamed into place; the other slot must hold in any case.
func TestKeptSurvivesADamagedSlot(t *testing.T) {
	for n := range 2 {
		g := Kept{t.TempDir()}
		for _, text := range []string{"older", "newer"} {
			if err := g.Save([]byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		whole, err := os.ReadFile(g.slot(n))
		if err != nil {
			t.Fatal(err)
		}
		other, err := g.read(1 - n)
		if err != nil {
			t.Fatal(err)
		}
		for cut := range whole {
			if err := os.WriteFile(g.slot(n), whole[:cut], 0o600); err != nil {
				t.Fatal(err)
			}
			if data, _, err := g.Load(); err != nil || !bytes.Equal(data, other.data) {
				t.Fatalf("slot %d cut to %d bytes: got %q, %v", n, cut, data, err)
			}
		}
		if err := g.Save([]byte("newest")); err != nil {
			t.Fatal(err)
		}
		if data, _, err := g.Load(); err != nil || string(data) != "newest" {
			t.Errorf("got %q, %v", data, err)
		}
		if err := os.WriteFile(g.slot(0), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(g.slot(1), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := g.Load(); err == nil || !strings.Contains(err.Error(), "not a kept snapshot") {
			t.Errorf("both damaged: %v", err)
		}
	}
}
