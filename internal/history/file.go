package history

import (
	"errors"
	"fmt"
	"os"
	"time"
)

// file is one series on disk. It is not safe for concurrent use.
type file struct {
	head
	f       *os.File
	folders []folder // of each tier, the slot that is open
	written time.Time
	buf     []byte
	rowBuf  []float64
}

// errOther is a file that is in order, but laid out otherwise or for another key.
var errOther = errors.New("it is laid out as another version does")

// openFile opens the file of a series, or makes it.
func openFile(path string, want head, now time.Time) (_ *file, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() == 0 {
		if err := errors.Join(f.Truncate(want.size()), writeAt(f, want.encode(), 0)); err != nil {
			return nil, err
		}
	}
	have, err := readHead(f)
	if err != nil {
		return nil, err
	}
	if !have.equal(&want) {
		return nil, errOther
	}
	if info.Size() != 0 && info.Size() != want.size() {
		return nil, fmt.Errorf("%w: it has %d bytes and should have %d", errHead, info.Size(), want.size())
	}
	out := &file{head: want, f: f, written: info.ModTime(), rowBuf: make([]float64, len(want.columns))}
	for range want.tiers {
		out.folders = append(out.folders, newFolder(Kind{Columns: want.columns}))
	}
	return out, out.resume(now)
}

func readHead(f *os.File) (head, error) {
	b := make([]byte, headSize)
	if _, err := f.ReadAt(b, 0); err != nil {
		return head{}, fmt.Errorf("%w: %w", errHead, err)
	}
	return parseHead(b)
}

func writeAt(f *os.File, b []byte, at int64) error {
	_, err := f.WriteAt(b, at)
	return err
}

// resume takes up the open slots of coarser tiers where a process that died left
// them: their finer slots are on disk.
func (f *file) resume(now time.Time) error {
	last := len(f.tiers) - 1
	if last == 0 {
		return nil
	}
	from := now.Add(-2 * f.tiers[last].Step).Truncate(f.tiers[last].Step).Unix() // whole slots: part of one must not replace it
	return f.scan(0, from, now.Unix(), func(at int64, row []float64) {
		for tier := 1; tier <= last; tier++ {
			f.fold(tier, at, row) // writing what is complete is harmless: it is the same again
		}
	})
}

// add takes in the values of an instant.
func (f *file) add(now time.Time, row []float64) error {
	f.written = now
	err := f.fold(0, now.Unix(), row)
	if err == nil {
		err = f.put(0) // the finest slot is on disk at once
	}
	for tier := 1; tier < len(f.tiers); tier++ {
		err = errors.Join(err, f.fold(tier, now.Unix(), row))
	}
	return err
}

// fold adds a row to the open slot of a tier, and writes that one first when it
// is over.
func (f *file) fold(tier int, at int64, row []float64) (err error) {
	o := &f.folders[tier]
	step := int64(f.tiers[tier].Step / time.Second)
	start := at - at%step
	if tier > 0 && o.any && start < o.at && o.at-start <= 2*step {
		return nil // late: that slot is written; a clock that was set back goes further
	}
	if start != o.at {
		if o.any && tier > 0 {
			err = f.put(tier)
		}
		o.begin(start)
	}
	o.add(row)
	return err
}

// put writes a tier's open slot.
func (f *file) put(tier int) error {
	o := &f.folders[tier]
	f.rowBuf = o.row(f.rowBuf[:0])
	f.buf = putSlot(f.buf[:0], tier, o.at, f.rowBuf)
	return writeAt(f.f, f.buf, f.offset(tier, f.slot(tier, o.at)))
}

func (f *file) slot(tier int, at int64) int64 {
	t := f.tiers[tier]
	return at / int64(t.Step/time.Second) % int64(t.Slots)
}

// scan calls each for the slots of a tier from and to, in seconds since 1970 and
// both included, that hold something, the oldest first. The row is used again.
func (f *file) scan(tier int, from, to int64, each func(at int64, row []float64)) error {
	t := f.tiers[tier]
	step := int64(t.Step / time.Second)
	from -= from % step
	from = max(from, to-to%step-int64(t.Slots-1)*step, step)
	record := f.record()
	row := make([]float64, len(f.columns))
	const batch = 1024
	buf := make([]byte, batch*record)
	for at := from; at <= to; {
		first := f.slot(tier, at)
		n := min((to-at)/step+1, batch, int64(t.Slots)-first)
		b := buf[:n*record]
		if _, err := f.f.ReadAt(b, f.offset(tier, first)); err != nil {
			return err
		}
		for i := range n {
			if parseSlot(b[i*record:(i+1)*record], tier, at+i*step, row) {
				each(at+i*step, row)
			}
		}
		at += n * step
	}
	return nil
}

// open returns the open slot of a tier, if it lies between from and to and is not on disk.
func (f *file) open(tier int, from, to int64, each func(at int64, row []float64)) {
	o := &f.folders[tier]
	if tier > 0 && o.any && o.at >= from && o.at <= to {
		each(o.at, o.row(nil))
	}
}

// flush writes the open slots.
func (f *file) flush() (err error) {
	for tier := range f.tiers {
		if f.folders[tier].any {
			err = errors.Join(err, f.put(tier))
		}
	}
	return err
}

func (f *file) close() error { return errors.Join(f.flush(), f.f.Close()) }
