package auth

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"causeway/internal/resource"
)

func TestRolesIncludeTheOnesBefore(t *testing.T) {
	for _, c := range []struct {
		role, need resource.Role
		may        bool
	}{
		{resource.Admin, resource.Reader, true}, {resource.Admin, resource.Admin, true}, {resource.Operator, resource.Reader, true},
		{resource.Operator, resource.Admin, false}, {resource.Reader, resource.Operator, false}, {"", resource.Reader, false}, {"root", resource.Reader, false},
		{Agent, Agent, true}, {Agent, resource.Reader, false}, {resource.Admin, Agent, false}, {"", Anyone, true}, {"", "", false},
	} {
		if Includes(c.role, c.need) != c.may {
			t.Errorf("%q may do what needs %q: want %v", c.role, c.need, c.may)
		}
	}
}

func TestWhatIsNotInTheTableIsRefusedToEverybody(t *testing.T) {
	if err := Authorize(Local, "FormatDisk"); resource.CodeOf(err) != resource.CodeDenied {
		t.Errorf("have %v", err)
	}
}

func TestReadersReadAndAdminsEnrol(t *testing.T) {
	for method, need := range Table {
		reads := strings.HasPrefix(method, "Get") || strings.HasPrefix(method, "List")
		switch {
		case strings.Contains(method, "AccessKey") || strings.Contains(method, "Token"):
			if need != resource.Admin {
				t.Errorf("%s deals with keys or tokens, and %s may call it", method, need)
			}
		case reads && need != resource.Reader:
			t.Errorf("%s only reads, and needs %s", method, need)
		case (strings.HasPrefix(method, "Create") || strings.HasPrefix(method, "Update") || strings.HasPrefix(method, "Delete")) && need == resource.Reader:
			t.Errorf("%s changes things, and a reader may call it", method)
		}
	}
}

func newSealer(t *testing.T, fill byte) *Sealer {
	t.Helper()
	s, err := NewSealer(bytes.Repeat([]byte{fill}, SealKeySize))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSealedSecretsOpenWithTheSameKeyForTheSameThing(t *testing.T) {
	s := newSealer(t, 1)
	sealed := s.Seal([]byte("open sesame"), "key-1")
	if bytes.Contains(sealed, []byte("sesame")) {
		t.Error("the secret can be read")
	}
	if plain, err := s.Open(sealed, "key-1"); err != nil || string(plain) != "open sesame" {
		t.Errorf("have %q, %v", plain, err)
	}
	if bytes.Equal(sealed, s.Seal([]byte("open sesame"), "key-1")) {
		t.Error("the same secret is sealed alike twice")
	}
	if _, err := s.Open(sealed, "key-2"); err == nil {
		t.Error("it opens for something else")
	}
	if _, err := newSealer(t, 2).Open(sealed, "key-1"); err == nil || strings.Contains(err.Error(), "sesame") {
		t.Errorf("with another key: %v", err)
	}
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		if _, err := s.Open(bad, "key-1"); err == nil {
			t.Fatalf("it opens although byte %d is another", i)
		}
	}
	if _, err := s.Open(nil, "key-1"); err == nil {
		t.Error("nothing opens")
	}
}

func TestTheSealKeyIsMadeOnceAndIsItsOwnersAlone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "seal.key")
	sealers := make([]*Sealer, 8)
	var group sync.WaitGroup
	for i := range sealers {
		group.Go(func() {
			var err error
			if sealers[i], err = LoadSealer(file); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if t.Failed() {
		return
	}
	sealed := sealers[0].Seal([]byte("x"), "y")
	for _, s := range sealers {
		if _, err := s.Open(sealed, "y"); err != nil {
			t.Fatal("processes that start together have different keys")
		}
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file has mode %v, %v", info.Mode(), err)
	}
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadSealer(file); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a key that others may read: %v", err)
	}
	if err := os.WriteFile(file, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadSealer(file); err == nil {
		t.Error("a key of five bytes is taken")
	}
}
