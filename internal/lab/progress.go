package lab

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Progress tells a person what goes on: a line for each step, with the time
// since the beginning, and on a terminal one last line that keeps changing. Its
// methods may be called from any goroutine; a nil Progress says nothing.
type Progress struct {
	mu    sync.Mutex
	out   io.Writer
	tty   bool
	begin time.Time
	live  bool      // the last line is the changing one
	said  time.Time // when the changing line was last printed where it cannot change
}

// NewProgress writes to f.
func NewProgress(f *os.File) *Progress {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return &Progress{out: f, tty: err == nil, begin: time.Now()}
}

// quietEvery is how often a log that is no terminal gets the changing line.
const quietEvery = 15 * time.Second

// Step prints a line that stays.
func (p *Progress) Step(format string, args ...any) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	fmt.Fprintf(p.out, "%6.1fs  %s\n", time.Since(p.begin).Seconds(), fmt.Sprintf(format, args...))
}

// Shell prints a command as a user would have typed it, how long it took (0: it
// goes on), and what it answered.
func (p *Progress) Shell(command string, took time.Duration, answer string) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	const indent = "         "
	fmt.Fprintf(p.out, "%s$ %s", indent, command)
	if took > 0 {
		fmt.Fprintf(p.out, "   # %d ms", took.Milliseconds())
	} else {
		fmt.Fprint(p.out, " &")
	}
	fmt.Fprintln(p.out)
	for line := range strings.Lines(strings.TrimRight(answer, "\n")) {
		fmt.Fprintf(p.out, "%s%s\n", indent, strings.TrimRight(line, "\n"))
	}
}

// Live prints the line that changes.
func (p *Progress) Live(format string, args ...any) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.tty {
		if time.Since(p.said) < quietEvery {
			return
		}
		p.said = time.Now()
		fmt.Fprintf(p.out, "%6.1fs  %s\n", time.Since(p.begin).Seconds(), fmt.Sprintf(format, args...))
		return
	}
	p.clear()
	fmt.Fprintf(p.out, "%6.1fs  %s", time.Since(p.begin).Seconds(), fmt.Sprintf(format, args...))
	p.live = true
}

// clear wipes the changing line; the caller holds mu.
func (p *Progress) clear() {
	if p.live {
		fmt.Fprint(p.out, "\r\x1b[K")
		p.live = false
	}
}

// Done wipes the changing line for good.
func (p *Progress) Done() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
}
