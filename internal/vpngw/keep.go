package vpngw

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// keeper keeps the last snapshot that worked, in a file that only its owner can
// read, as there are secrets in it. The file is a line
//
//	causeway-gateway 1 SHA256
//
// and then the snapshot's bytes as they were.
type keeper struct{ dir string }

const keptMagic = "causeway-gateway 1"

func (k keeper) file() string { return filepath.Join(k.dir, "last-good") }

func (k keeper) save(data []byte) error {
	header := fmt.Sprintf("%s %x\n", keptMagic, sha256.Sum256(data))
	return writeWhole(k.file(), append([]byte(header), data...))
}

func (k keeper) load() (data []byte, saved time.Time, err error) {
	raw, err := os.ReadFile(k.file())
	if err != nil {
		return nil, time.Time{}, err
	}
	header, data, _ := bytes.Cut(raw, []byte("\n"))
	if want := fmt.Sprintf("%s %x", keptMagic, sha256.Sum256(data)); string(header) != want {
		return nil, time.Time{}, fmt.Errorf("%s is damaged: its checksum does not match", k.file())
	}
	if info, err := os.Stat(k.file()); err == nil {
		saved = info.ModTime()
	}
	return data, saved, nil
}

// writeWhole replaces a file so that after a crash at any moment it has its old
// content or the new one. Only its owner can read it.
func writeWhole(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails when all went well: then it has been renamed
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
