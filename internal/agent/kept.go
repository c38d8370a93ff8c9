package agent

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"causeway/internal/wholefile"
)

// Kept is the last snapshot that worked, in a folder, in two slots of which the
// older is always the next to be replaced. A slot is a line
//
//	causeway-snapshot 1 SEQUENCE SHA256
//
// and then the snapshot file's bytes as they were. A slot that is damaged or
// half written does not match its sum and is passed over; the other one holds.
// Only their owner can read them: there may be secrets in a snapshot.
type Kept struct{ Dir string }

const slotMagic = "causeway-snapshot 1"

func (k Kept) slot(n int) string { return filepath.Join(k.Dir, fmt.Sprintf("last-good-%d", n)) }

// slot is the content of one.
type slot struct {
	sequence uint64
	data     []byte
	saved    time.Time
}

// Save writes data to the older slot and returns when it is on disk.
func (k Kept) Save(data []byte) error {
	target, sequence := 0, uint64(1)
	first, err0 := k.read(0)
	second, err1 := k.read(1)
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
	return wholefile.Write(k.slot(target), append([]byte(header), data...), 0o600)
}

// Load returns the newest slot that is whole, and when it was written.
func (k Kept) Load() (data []byte, saved time.Time, err error) {
	first, err0 := k.read(0)
	second, err1 := k.read(1)
	switch {
	case err0 != nil && err1 != nil:
		if errors.Is(err0, fs.ErrNotExist) && errors.Is(err1, fs.ErrNotExist) {
			return nil, time.Time{}, fmt.Errorf("no snapshot was kept in %s", k.Dir)
		}
		return nil, time.Time{}, errors.Join(err0, err1)
	case err0 != nil, err1 == nil && second.sequence > first.sequence:
		return second.data, second.saved, nil
	}
	return first.data, first.saved, nil
}

func (k Kept) read(n int) (slot, error) {
	raw, err := os.ReadFile(k.slot(n))
	if err != nil {
		return slot{}, err
	}
	s, err := parseSlot(raw)
	if err != nil {
		return slot{}, fmt.Errorf("%s: %w", k.slot(n), err)
	}
	if info, err := os.Stat(k.slot(n)); err == nil {
		s.saved = info.ModTime()
	}
	return s, nil
}

func parseSlot(raw []byte) (slot, error) {
	header, data, _ := bytes.Cut(raw, []byte("\n"))
	var s slot
	var sum []byte
	if _, err := fmt.Sscanf(string(header), slotMagic+" %d %x", &s.sequence, &sum); err != nil {
		return slot{}, errors.New("not a kept snapshot")
	}
	if want := sha256.Sum256(data); !bytes.Equal(sum, want[:]) {
		return slot{}, errors.New("damaged: its checksum does not match")
	}
	s.data = data
	return s, nil
}
