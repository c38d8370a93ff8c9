package popagent

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// lastGood keeps the last snapshot that worked, in two slots of which the older
// is always the next to be replaced. A slot is a line
//
//	causeway-snapshot 1 SEQUENCE SHA256
//
// and then the snapshot file's bytes as they were. A slot that is damaged or
// half written does not match its sum and is passed over; the other one holds.
type lastGood struct{ dir string }

const slotMagic = "causeway-snapshot 1"

func (g lastGood) slot(n int) string {
	return filepath.Join(g.dir, fmt.Sprintf("last-good-%d", n))
}

// kept is the content of one slot.
type kept struct {
	sequence uint64
	data     []byte
	saved    time.Time
}

// save writes data to the older slot and returns when it is on disk.
func (g lastGood) save(data []byte) error {
	target, sequence := 0, uint64(1)
	first, err0 := g.read(0)
	second, err1 := g.read(1)
	switch {
	case err0 != nil && err1 != nil:
	case err0 != nil:
		target, sequence = 0, second.sequence+1
	case err1 != nil || first.sequence > second.sequence:
		target, sequence = 1, first.sequence+1
	default:
		target, sequence = 0, second.sequence+1
	}
	header := fmt.Sprintf("%s %d %x\n", slotMagic, sequence, sha256.Sum256(data))
	return writeWhole(g.slot(target), append([]byte(header), data...))
}

// load returns the newest slot that is whole.
func (g lastGood) load() ([]byte, time.Time, error) {
	first, err0 := g.read(0)
	second, err1 := g.read(1)
	switch {
	case err0 != nil && err1 != nil:
		if errors.Is(err0, fs.ErrNotExist) && errors.Is(err1, fs.ErrNotExist) {
			return nil, time.Time{}, fmt.Errorf("no snapshot was kept in %s", g.dir)
		}
		return nil, time.Time{}, errors.Join(err0, err1)
	case err0 != nil, err1 == nil && second.sequence > first.sequence:
		return second.data, second.saved, nil
	}
	return first.data, first.saved, nil
}

func (g lastGood) read(n int) (kept, error) {
	raw, err := os.ReadFile(g.slot(n))
	if err != nil {
		return kept{}, err
	}
	k, err := parseSlot(raw)
	if err != nil {
		return kept{}, fmt.Errorf("%s: %w", g.slot(n), err)
	}
	if info, err := os.Stat(g.slot(n)); err == nil {
		k.saved = info.ModTime()
	}
	return k, nil
}

func parseSlot(raw []byte) (kept, error) {
	header, data, _ := bytes.Cut(raw, []byte("\n"))
	var k kept
	var sum []byte
	if _, err := fmt.Sscanf(string(header), slotMagic+" %d %x", &k.sequence, &sum); err != nil {
		return kept{}, errors.New("not a kept snapshot")
	}
	if want := sha256.Sum256(data); !bytes.Equal(sum, want[:]) {
		return kept{}, errors.New("damaged: its checksum does not match")
	}
	k.data = data
	return k, nil
}

// writeWhole replaces a file so that after a crash at any moment it has its old
// content or the new one.
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
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
