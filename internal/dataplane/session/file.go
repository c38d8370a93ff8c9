package session

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

// File is a Store in a memory-mapped file: a write is a copy into the page
// cache, which outlives the process however it dies. Power loss may cost the
// last seconds; the kernel writes back in its own time and Close syncs.
type File struct {
	f     *os.File
	b     []byte // the mapping: a header, then slots
	slots int

	Lost uint64 // records that could not be written or read: no room, or the disk is full
}

const (
	fileMagic  = "cwsessn1"
	fileHeader = 64
)

// OpenFile opens or makes the session file at path with room for slots
// sessions. A file of another format is set aside as path.old and a new one
// begun; setAside tells so. The file is sparse: unused slots take no disk.
func OpenFile(path string, slots int) (f *File, setAside bool, err error) {
	size := int64(fileHeader) + int64(slots)*RecordLen
	h, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, false, fmt.Errorf("open session file: %w", err)
	}
	var header [fileHeader]byte
	n, _ := h.ReadAt(header[:], 0)
	if n > 0 && !ours(header[:]) {
		h.Close()
		if err := os.Rename(path, path+".old"); err != nil {
			return nil, false, fmt.Errorf("set aside session file of another format: %w", err)
		}
		f, _, err := OpenFile(path, slots)
		return f, true, err
	}
	if st, err := h.Stat(); err == nil && st.Size() > size {
		size = st.Size() - (st.Size()-fileHeader)%RecordLen
	}
	if err := h.Truncate(size); err != nil {
		h.Close()
		return nil, false, fmt.Errorf("size session file: %w", err)
	}
	b, err := unix.Mmap(int(h.Fd()), 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		h.Close()
		return nil, false, fmt.Errorf("map session file %s: %w", path, err)
	}
	copy(b, fileMagic)
	binary.BigEndian.PutUint32(b[8:], RecordLen)
	return &File{f: h, b: b, slots: int((size - fileHeader) / RecordLen)}, false, nil
}

// ours reports whether a file that begins with header is one of this format.
func ours(header []byte) bool {
	return string(header[:8]) == fileMagic && binary.BigEndian.Uint32(header[8:]) == RecordLen
}

// Write implements Store. A slot beyond the file's room is not kept, nor one
// that the disk has no space for: Lost counts those.
func (f *File) Write(slot int, rec []byte) {
	if r := f.record(slot); r != nil {
		f.careful(func() { copy(r, rec) })
	} else {
		f.Lost++
	}
}

// Missed is how many records could not be written or read; see Lost.
func (f *File) Missed() uint64 { return f.Lost }

// Erase implements Store.
func (f *File) Erase(slot int) {
	if r := f.record(slot); r != nil {
		f.careful(func() { clear(r) })
	}
}

// careful touches the mapping. Where the disk is full, or the file was cut
// short by another program, the kernel answers with a signal (SIGBUS) that would
// end the process: what is kept on disk is not worth that.
func (f *File) careful(touch func()) (ok bool) {
	old := debug.SetPanicOnFault(true)
	defer func() {
		debug.SetPanicOnFault(old)
		if recover() != nil {
			f.Lost++
			ok = false
		}
	}()
	touch()
	return true
}

// Records implements Store. It looks only where the file has data: a file of a
// million empty slots is read at once.
func (f *File) Records(each func(int, []byte)) {
	const batch = 256
	buf := make([]byte, batch*RecordLen)
	for slot := f.nextData(0); slot < f.slots; {
		n := min(batch, f.slots-slot)
		if f.read(buf, slot, n) == 0 {
			slot = f.nextData(slot + n)
			continue
		}
		for i := range n {
			if rec := buf[i*RecordLen : (i+1)*RecordLen]; !empty(rec) {
				each(slot+i, rec)
			}
		}
		slot += n
	}
}

// read copies n slots and returns how many of them are not empty. What cannot be
// read counts as empty.
func (f *File) read(buf []byte, slot, n int) (full int) {
	at := fileHeader + slot*RecordLen
	clear(buf)
	if !f.careful(func() { copy(buf, f.b[at:at+n*RecordLen]) }) && n > 1 {
		for i := range n { // some of them can be read
			full += f.read(buf[i*RecordLen:(i+1)*RecordLen], slot+i, 1)
		}
		return full
	}
	for i := range n {
		if !empty(buf[i*RecordLen:]) {
			full++
		}
	}
	return full
}

func empty(rec []byte) bool { return rec[0] == 0 && rec[1] == 0 }

// nextData is the first slot from slot on that may not be empty.
func (f *File) nextData(slot int) int {
	at, err := unix.Seek(int(f.f.Fd()), int64(fileHeader+slot*RecordLen), unix.SEEK_DATA)
	switch {
	case errors.Is(err, unix.ENXIO): // nothing but a hole
		return f.slots
	case err != nil: // the file system cannot tell
		return slot
	}
	return max(slot, (int(at)-fileHeader)/RecordLen)
}

// Close writes everything to disk and unmaps the file.
func (f *File) Close() error {
	err := errors.Join(unix.Msync(f.b, unix.MS_SYNC), unix.Munmap(f.b), f.f.Close())
	f.b = nil
	return err
}

func (f *File) record(slot int) []byte {
	if slot < 0 || slot >= f.slots {
		return nil
	}
	at := fileHeader + slot*RecordLen
	return f.b[at : at+RecordLen]
}
