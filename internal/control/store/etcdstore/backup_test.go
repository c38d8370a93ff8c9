package etcdstore

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"causeway/internal/control/store"
)

func TestARestoredStoreIsAsItWasSaved(t *testing.T) {
	dir := t.TempDir()
	s := open(t, filepath.Join(dir, "one"))
	for i := range 20 {
		if _, err := s.Commit(ctx, store.Txn{Do: []store.Write{{Key: fmt.Sprintf("k/%02d", i), Value: fmt.Append(nil, i)}, {Key: "gone"}}}); err != nil {
			t.Fatal(err)
		}
	}
	last, err := s.Commit(ctx, store.Txn{Do: []store.Write{{Key: "gone", Delete: true}}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "snapshot")
	info, err := s.SaveSnapshot(ctx, file)
	if err != nil || info.Revision != last || info.Keys != 20 {
		t.Fatalf("saved %+v, %v; want revision %d and 20 keys", info, err, last)
	}
	if stat, err := os.Stat(file); err != nil || stat.Mode().Perm() != 0o600 {
		t.Errorf("the snapshot has mode %v, %v", stat.Mode(), err)
	}
	if _, err := s.Commit(ctx, store.Txn{Do: []store.Write{{Key: "later"}}}); err != nil {
		t.Fatal(err)
	}

	folder := filepath.Join(dir, "two")
	if _, err := RestoreSnapshot(ctx, file, folder); err != nil {
		t.Fatal(err)
	}
	restored := open(t, folder)
	items, revision, err := restored.List(ctx, store.Range{}, 0)
	if err != nil || len(items) != 20 || revision != last {
		t.Fatalf("the restored store has %d keys at revision %d (%v), want 20 at %d", len(items), revision, err, last)
	}
	for i, item := range items {
		if item.Key != fmt.Sprintf("k/%02d", i) || string(item.Value) != fmt.Sprint(i) || item.Revision != last-20+int64(i) {
			t.Errorf("key %d came back as %+v", i, item)
		}
	}
	if next, err := restored.Commit(ctx, store.Txn{Do: []store.Write{{Key: "new"}}}); err != nil || next != last+1 {
		t.Errorf("the next revision is %d, %v; want %d", next, err, last+1)
	}
	if err := restored.Close(); err != nil {
		t.Fatal(err)
	}
	if _, found, _, err := open(t, folder).Get(ctx, "new", 0); !found || err != nil {
		t.Errorf("what was written after restoring is gone after a restart: %v", err)
	}
	if _, err := RestoreSnapshot(ctx, file, folder); err == nil || !strings.Contains(err.Error(), "a store already") {
		t.Errorf("restoring over a store: have %v", err)
	}
}

func TestADamagedSnapshotIsRefused(t *testing.T) {
	dir := t.TempDir()
	s := open(t, filepath.Join(dir, "data"))
	file := filepath.Join(dir, "snapshot")
	if _, err := s.SaveSnapshot(ctx, file); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	flipped := append([]byte(nil), whole...)
	flipped[len(flipped)/2] ^= 1
	for name, content := range map[string][]byte{"one bit is another": flipped, "the end is missing": whole[:len(whole)-7], "nothing is there": nil, "something else": []byte("hello")} {
		bad := filepath.Join(dir, "bad")
		if err := os.WriteFile(bad, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := InspectSnapshot(bad); err == nil {
			t.Errorf("%s: it is taken for a snapshot", name)
		}
		folder := filepath.Join(dir, "restored")
		if _, err := RestoreSnapshot(ctx, bad, folder); err == nil {
			t.Errorf("%s: it is restored", name)
		}
		if _, err := os.Stat(folder); err == nil {
			t.Errorf("%s: a folder was left behind", name)
		}
	}
}
