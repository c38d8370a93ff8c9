package top

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"causeway/internal/report"
)

// Ask returns a PoP's report.
type Ask func(ctx context.Context) (report.PoP, error)

// The terminal is driven by hand: the usual libraries ask it for its colours when
// a program starts, whatever the program is about to do, and wait for seconds
// where it does not answer.
const (
	enter = "\x1b[?1049h\x1b[?25l" // the alternate screen, without a cursor
	leave = "\x1b[?25h\x1b[?1049l"
)

// Run shows the model on a terminal, asking every so often, until somebody quits
// or ctx ends. It leaves the terminal as it was.
func Run(ctx context.Context, m *Model, ask Ask, every time.Duration, in, out *os.File) error {
	restore, err := raw(in)
	if err != nil {
		return fmt.Errorf("draw on the terminal: %w", err)
	}
	defer restore()
	if _, err := io.WriteString(out, enter); err != nil {
		return fmt.Errorf("draw on the terminal: %w", err)
	}
	defer func() { _, _ = io.WriteString(out, leave) }()
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, unix.SIGWINCH)
	defer signal.Stop(resized)
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	keys, answers := make(chan string), make(chan answer)
	running.Go(func() { readKeys(ctx, in, keys) })
	running.Go(func() { askOn(ctx, ask, every, answers) })
	for {
		m.measure(out)
		if err := draw(out, m.Look); err != nil {
			return fmt.Errorf("draw on the terminal: %w", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-resized:
		case a := <-answers:
			m.Answer(a.pop, a.err)
		case name, open := <-keys:
			if !open || m.Key(name) {
				return nil
			}
		}
	}
}

// answer is what came of asking.
type answer struct {
	pop report.PoP
	err error
}

func askOn(ctx context.Context, ask Ask, every time.Duration, answers chan<- answer) {
	for ctx.Err() == nil {
		p, err := ask(ctx)
		select {
		case answers <- answer{p, err}:
		case <-ctx.Done():
			return
		}
		select {
		case <-time.After(every):
		case <-ctx.Done():
		}
	}
}

// readKeys sends keys until ctx ends or the terminal is gone.
func readKeys(ctx context.Context, in *os.File, keys chan<- string) {
	defer close(keys)
	buf := make([]byte, 256)
	poll := []unix.PollFd{{Fd: int32(in.Fd()), Events: unix.POLLIN}}
	for ctx.Err() == nil {
		n, err := unix.Poll(poll, 100) // so that the end of ctx is noticed
		if n == 0 || errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return
		}
		read, err := unix.Read(int(in.Fd()), buf)
		if errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN) {
			continue
		}
		if read <= 0 {
			return
		}
		for _, name := range parseKeys(buf[:read]) {
			select {
			case keys <- name:
			case <-ctx.Done():
				return
			}
		}
	}
}

// draw overwrites what is there: no flicker.
func draw(out io.Writer, l Look) error {
	text := strings.ReplaceAll(View(l), "\n", "\x1b[K\r\n")
	_, err := io.WriteString(out, "\x1b[H"+text+"\x1b[K\x1b[J")
	return err
}

// measure takes the terminal's size.
func (m *Model) measure(out *os.File) {
	if size, err := unix.IoctlGetWinsize(int(out.Fd()), unix.TIOCGWINSZ); err == nil && size.Col > 0 && size.Row > 0 {
		m.Width, m.Height = int(size.Col), int(size.Row)
	}
}

// raw makes the terminal hand over each key as it is pressed, and returns what
// makes it as it was.
func raw(in *os.File) (restore func(), err error) {
	fd := int(in.Fd())
	was, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return nil, err
	}
	now := *was
	now.Iflag &^= unix.IXON | unix.ICRNL
	now.Lflag &^= unix.ECHO | unix.ICANON | unix.ISIG | unix.IEXTEN
	now.Cc[unix.VMIN], now.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, &now); err != nil {
		return nil, err
	}
	return func() { _ = unix.IoctlSetTermios(fd, unix.TCSETS, was) }, nil
}

// IsTerminal reports whether f is one.
func IsTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
