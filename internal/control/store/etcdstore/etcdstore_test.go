package etcdstore

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"causeway/internal/control/store"
	"causeway/internal/control/store/storetest"
)

var ctx = context.Background()

func open(t testing.TB, folder string) *Store {
	t.Helper()
	s, err := OpenEmbedded(ctx, Embedded{Folder: folder, NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestAnEmbeddedEtcdIsAStore(t *testing.T) {
	shared := open(t, filepath.Join(t.TempDir(), "data"))
	n := 0
	storetest.Run(t, func(t testing.TB) store.Store {
		// Starting an etcd takes a while: all tests but those that end it share
		// one, each with a prefix of its own.
		n++
		return newStore(shared.client, "/"+strings.Repeat("x", n)+"/", func() error { return nil })
	})
}

func TestWhatWasWrittenIsThereAfterARestart(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "data")
	s := open(t, folder)
	revision, err := s.Commit(ctx, store.Txn{Do: []store.Write{{Key: "a", Value: []byte("1")}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	item, found, _, err := open(t, folder).Get(ctx, "a", 0)
	if err != nil || !found || string(item.Value) != "1" || item.Revision != revision {
		t.Errorf("have %+v, %v, %v; want the value 1 of revision %d", item, found, err, revision)
	}
}

func TestTheDataFolderIsItsOwnersAlone(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "data")
	open(t, folder)
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("others may read %s, mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	wide := t.TempDir()
	if err := os.Chmod(wide, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenEmbedded(ctx, Embedded{Folder: wide}); err == nil || !strings.Contains(err.Error(), "chmod 700") {
		t.Errorf("a folder that others may enter: have %v, want a refusal that says what to do", err)
	}
}

func TestASecondProcessIsTurnedAway(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "data")
	open(t, folder)
	if _, err := OpenEmbedded(ctx, Embedded{Folder: folder}); err == nil || !strings.Contains(err.Error(), "another process uses it") {
		t.Errorf("have %v", err)
	}
}

func TestTooMuchAtOnceIsRefusedAndNothingIsDone(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "data"))
	var many store.Txn
	for i := range maxTxnOps + 1 {
		many.Do = append(many.Do, store.Write{Key: strings.Repeat("k", i%100) + string(rune('a'+i%26)) + string(rune(0x100+i))})
	}
	large := store.Txn{Do: []store.Write{{Key: "large", Value: make([]byte, maxRequest+1)}}}
	for name, txn := range map[string]store.Txn{"writes": many, "bytes": large} {
		if _, err := s.Commit(ctx, txn); !errors.Is(err, store.ErrTooLarge) {
			t.Errorf("too many %s: have %v", name, err)
		}
	}
	if items, _, _ := s.List(ctx, store.Range{}, 0); len(items) > 0 {
		t.Errorf("%d keys were written", len(items))
	}
}

func TestAFullStoreSaysSoAndTakesMoreWhenItWasTidied(t *testing.T) {
	s, err := OpenEmbedded(ctx, Embedded{Folder: filepath.Join(t.TempDir(), "data"), Quota: 1 << 20, NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for range 1000 { // its size is measured a little later
		if _, err = s.Commit(ctx, store.Txn{Do: []store.Write{{Key: "a", Value: make([]byte, 64<<10)}}}); err != nil {
			break
		}
	}
	if !errors.Is(err, store.ErrFull) {
		t.Fatalf("have %v", err)
	}
	_, _, revision, err := s.Get(ctx, "a", 0)
	if err = errors.Join(err, s.Compact(ctx, revision), s.Defragment(ctx)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Commit(ctx, store.Txn{Do: []store.Write{{Key: "b"}}}); err != nil {
		t.Errorf("after it was compacted and defragmented: %v", err)
	}
}
