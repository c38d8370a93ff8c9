// Package flowlog writes records of flows to disk, one JSON object a line, in
// files that are bounded: a file that has grown to its size makes room for a new one, and
// the oldest goes. It never holds up who makes the records: they come through a
// channel that its owner fills without waiting.
//
// What stands in a record is report.Flow; docs/reference/flow-log.md explains it.
package flowlog

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"causeway/internal/report"
)

// Config says where and how much.
type Config struct {
	Dir   string // made with the first record
	Bytes int64  // that a file may have; default 64 MiB
	Files int    // that are kept, the one that is written included, at least 2; default 8
	Log   *slog.Logger

	retry time.Duration // after a failure of the disk; tests have less patience
}

// Name is the file that is written; older ones have .1 (the newest), .2, … behind it.
const Name = "flows.jsonl"

const (
	defaultBytes = 64 << 20
	defaultFiles = 8
	flushEvery   = time.Second
	retryEvery   = 5 * time.Second
)

// Writer writes what comes through a channel. Its methods but Run may be called
// from any goroutine.
type Writer struct {
	Config
	written, lost atomic.Uint64

	file    *os.File
	out     *bufio.Writer
	size    int64
	failing bool
	tryAt   time.Time
}

// New returns a Writer. Nothing is made on disk before there is something to write.
func New(c Config) *Writer {
	if c.Bytes <= 0 {
		c.Bytes = defaultBytes
	}
	if c.Files == 0 {
		c.Files = defaultFiles
	}
	c.Files = max(c.Files, 2)
	if c.retry == 0 {
		c.retry = retryEvery
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Writer{Config: c}
}

// Counts is how many records were written, and how many the disk did not take.
func (w *Writer) Counts() (written, lost uint64) { return w.written.Load(), w.lost.Load() }

// Run writes records until stop is closed, and then those that wait. It does not
// fail: what cannot be written is counted and said in the log, once.
func (w *Writer) Run(records <-chan report.Flow, stop <-chan struct{}) {
	defer w.close()
	flush := time.NewTicker(flushEvery)
	defer flush.Stop()
	for {
		select {
		case r := <-records:
			w.write(&r)
		case <-flush.C:
			w.flush()
		case <-stop:
			for {
				select {
				case r := <-records:
					w.write(&r)
				default:
					return
				}
			}
		}
	}
}

func (w *Writer) write(r *report.Flow) {
	line, err := json.Marshal(r)
	if err == nil {
		err = w.append(append(line, '\n'))
	}
	if err != nil {
		w.lost.Add(1)
		w.fail(err)
		return
	}
	w.written.Add(1)
}

func (w *Writer) append(line []byte) error {
	if w.failing && time.Now().Before(w.tryAt) {
		return errWaiting
	}
	if w.file != nil && w.size > 0 && w.size+int64(len(line)) > w.Bytes {
		if err := w.rotate(); err != nil {
			return err
		}
	}
	if w.file == nil {
		if err := w.open(); err != nil {
			return err
		}
		if w.size > 0 && w.size+int64(len(line)) > w.Bytes {
			if err := w.rotate(); err != nil {
				return err
			}
			if err := w.open(); err != nil {
				return err
			}
		}
	}
	n, err := w.out.Write(line)
	w.size += int64(n)
	if err != nil {
		return err
	}
	if w.failing {
		w.failing = false
		w.Log.Info("flow log is written again", "dir", w.Dir)
	}
	return nil
}

var errWaiting = errors.New("waiting before the next try")

// open goes on with the file there is. A line that a crash cut in two is ended, so
// that no other is lost with it.
func (w *Writer) open() error {
	if err := os.MkdirAll(w.Dir, 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(w.Dir, Name), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return err
	}
	w.file, w.out, w.size = f, bufio.NewWriterSize(f, 64<<10), info.Size()
	last := make([]byte, 1)
	if w.size > 0 {
		if _, err := f.ReadAt(last, w.size-1); err == nil && last[0] != '\n' {
			_ = w.out.WriteByte('\n')
			w.size++
		}
	}
	return nil
}

// rotate makes every file one older; the oldest goes.
func (w *Writer) rotate() error {
	w.close()
	at := func(n int) string {
		if n == 0 {
			return filepath.Join(w.Dir, Name)
		}
		return filepath.Join(w.Dir, fmt.Sprintf("%s.%d", Name, n))
	}
	for n := w.Files - 1; n > 0; n-- {
		if err := os.Rename(at(n-1), at(n)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (w *Writer) flush() {
	if w.out == nil {
		return
	}
	if err := w.out.Flush(); err != nil {
		w.fail(err)
	}
}

// fail gives up the file until the next try; what it still held is lost.
func (w *Writer) fail(err error) {
	if errors.Is(err, errWaiting) {
		return
	}
	if !w.failing {
		w.Log.Error("flow log cannot be written; records are lost until it can", "dir", w.Dir, "err", err)
	}
	w.failing, w.tryAt = true, time.Now().Add(w.retry)
	if w.file != nil {
		w.file.Close()
	}
	w.file, w.out, w.size = nil, nil, 0
}

func (w *Writer) close() {
	if w.file == nil {
		return
	}
	if err := errors.Join(w.out.Flush(), w.file.Close()); err != nil {
		w.Log.Error("close flow log", "dir", w.Dir, "err", err)
	}
	w.file, w.out, w.size = nil, nil, 0
}
