package top

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"causeway/internal/report"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

// moments are two reports of a PoP, a second apart.
func moments() (before, now report.PoP) {
	at := time.Date(2026, 11, 22, 15, 4, 5, 0, time.UTC)
	make := func(n uint64) report.PoP {
		return report.PoP{
			Name: "sh1", Region: "cn-shanghai", At: at.Add(time.Duration(n) * time.Second), Started: at.Add(-time.Hour), Uptime: 3600, Snapshot: report.Snapshot{Version: 7},
			Sessions: report.Sessions{Confirmed: 12, List: []report.Session{{Client: netip.MustParseAddrPort("198.51.100.7:4500"), Accelerated: netip.MustParseAddrPort("203.0.113.11:4500"),
				Listener: "vpn", State: "confirmed", Kinds: []string{"ike", "esp"}, ToClient: report.Counter{Bytes: 1_500_000}, ToEndpoint: report.Counter{Bytes: 900}}}},
			Runtime: report.Runtime{CPUSeconds: 10 + .25*float64(n), RSSBytes: 81_000_000},
			Segments: []report.Segment{
				{Peer: "se1", Up: true, State: "up", RTT: 61.4, Traffic: report.Traffic{BytesToPeer: n * 1_250_000, BytesFromPeer: n * 125_000},
					Repair: report.Repair{ToPeer: report.RepairCost{Overhead: 2.31}, ToHere: report.RepairResult{RawLoss: .503, ResidualLoss: .0004}}},
				{Peer: "tk1", State: "handshaking"},
			},
			Routes: []report.Route{
				{To: "se1", Up: true, Chosen: []string{}, Reason: "best by 12 ms", Candidates: []report.Candidate{{Chosen: true, RTT: 61.4, Loss: .503}}},
				{To: "tk1", Reason: "no way is alive"},
			},
			Paths:     []report.Path{{To: "se1", Plain: report.PathSide{Sent: 60, Loss: .5, RTT: 62}, Accelerated: report.PathSide{Sent: 60, RTT: 63.1}}},
			Listeners: []report.Listener{{Name: "vpn", Accelerator: "office", Sessions: 12, Traffic: report.Traffic{BytesFromPeer: n * 1000}}},
			Egresses:  []report.Egress{{EndpointGroup: "seoul", Endpoints: []report.Endpoint{{Address: netip.MustParseAddr("198.51.100.9"), Health: "up", RTT: 2.1}}}},
			Drops:     map[string]uint64{"no_route": 5 * n, "stranger": 4},
		}
	}
	return make(1), make(2)
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := "testdata/" + name + ".txt"
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || string(want) != got {
		t.Errorf("%s (%v): go test ./internal/top -update, and look at the difference; got\n%s", path, err, got)
	}
}

func TestEverythingFitsAnOldTerminal(t *testing.T) {
	before, now := moments()
	for page, name := range Pages {
		golden(t, name, View(Look{Before: before, Now: now, Width: 80, Height: 24, Page: page}))
	}
	golden(t, "plain", Plain(Look{Before: before, Now: now}))
	golden(t, "waiting", View(Look{Width: 80, Height: 24, Problem: "the PoP does not answer"}))
	golden(t, "small", View(Look{Before: before, Now: now, Width: 40, Height: 10, Problem: "no answer"}))
}

// Whatever the size and whatever the report, no line is too long and none too many.
func TestNothingRunsOverTheEdge(t *testing.T) {
	before, now := moments()
	for i := range 300 {
		now.Segments = append(now.Segments, report.Segment{Peer: fmt.Sprint("a-very-long-name-of-a-pop-", i), State: "down"})
		now.Alarms = append(now.Alarms, report.Alarm{Text: strings.Repeat("alarm ", 40)})
	}
	now.Snapshot.Refused = &report.Refusal{Reason: "wrong\nand more"}
	for _, size := range [][2]int{{80, 24}, {40, 10}, {200, 60}, {1, 1}, {0, 0}} {
		for page := range len(Pages) + 1 {
			for _, scroll := range []int{0, 5, 100_000, -3} {
				text := View(Look{Before: before, Now: now, Width: size[0], Height: size[1], Page: page, Scroll: scroll, Problem: "x"})
				lines := strings.Split(text, "\n")
				if len(lines) > max(size[1], leastHeight) {
					t.Errorf("%v: %d lines", size, len(lines))
				}
				for _, one := range lines {
					if utf8.RuneCountInString(one) > max(size[0], leastWidth) {
						t.Errorf("%v: %q", size, one)
					}
				}
			}
		}
	}
}

func TestNamesCannotDriveTheTerminal(t *testing.T) {
	before, now := moments()
	now.Name, now.Segments[0].Peer, now.Routes[0].Reason = "\x1b]0;x\a", "\x1b[2J", "\u009b31m\r\n"
	for page := range Pages {
		if text := View(Look{Before: before, Now: now, Width: 80, Height: 24, Page: page}); strings.ContainsAny(text, "\x1b\a\r\u009b") {
			t.Errorf("%q", text)
		}
	}
	if text := View(Look{Before: before, Now: now, Width: 80, Height: 24, Colour: true}); !strings.Contains(text, "\x1b[1m") {
		t.Error("colour is not drawn")
	}
}

func TestRatesOfARestartedPoPAreNotMadeUp(t *testing.T) {
	before, now := moments()
	now.Started = now.Started.Add(time.Second)
	l := Look{Before: before, Now: now}
	if in, out := l.clientRates(); in != 0 || out != 0 || l.cpu() != 0 {
		t.Errorf("%v %v %v", in, out, l.cpu())
	}
}

func TestTheModelTakesKeysAndAnswers(t *testing.T) {
	before, now := moments()
	m := NewModel(false)
	keys := func(bytes string) (quit bool) {
		for _, name := range parseKeys([]byte(bytes)) {
			quit = m.Key(name) || quit
		}
		return quit
	}
	if !strings.Contains(View(m.Look), "waiting for the PoP") {
		t.Errorf("at first:\n%s", View(m.Look))
	}
	m.Answer(before, nil)
	m.Answer(now, nil)
	m.Answer(report.PoP{}, errors.New("the socket is gone"))
	if text := View(m.Look); !strings.Contains(text, "STALE") || !strings.Contains(text, "the socket is gone") || !strings.Contains(text, "10 Mb/s") {
		t.Errorf("after an answer that failed:\n%s", text)
	}
	for _, step := range []struct{ bytes, shows string }{
		{"\t", "198.51.100.7:4500"}, {"3", "no_route"}, {"\x1b[Z", "198.51.100.7:4500"}, {"\x1b[C\x1b[C", "SEGMENT"}, {"\x1b[D", "no_route"}, {"1", "SEGMENT"},
		{" ", "PAUSED"}, {"x\x1b[200~y", "PAUSED"}, {" ", "SEGMENT"},
	} {
		m.Answer(now, nil)
		if keys(step.bytes) || !strings.Contains(View(m.Look), step.shows) {
			t.Errorf("after %q there is no %s:\n%s", step.bytes, step.shows, View(m.Look))
		}
	}
	keys("jj\x1b[B\x1bOA")
	if m.Scroll != 2 {
		t.Errorf("scrolled by %d", m.Scroll)
	}
	keys("\x1b[6~\x1b[5~\x1b[H")
	if m.Scroll != 0 {
		t.Errorf("scrolled by %d", m.Scroll)
	}
	keys(" ")
	m.Answer(before, nil)
	if !m.Now.At.Equal(now.At) {
		t.Error("a paused view went on")
	}
	for _, bytes := range []string{"q", "\x1b", "\x03"} {
		if !keys(bytes) {
			t.Errorf("%q does not end it", bytes)
		}
	}
}

// Whatever a terminal sends, nothing breaks.
func FuzzKeys(f *testing.F) {
	for _, seed := range []string{"q", "\x1b[", "\x1b[1;5A", "\x1b\x1b[Z", "\x1bO", "\x1b]11;rgb:0/0/0\x07"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m := NewModel(false)
		for _, name := range parseKeys(b) {
			m.Key(name)
		}
		View(m.Look)
	})
}

// On a terminal of its own, it draws, takes keys, and leaves the terminal as it was.
func TestOnATerminal(t *testing.T) {
	in, out := terminal(t)
	was, err := unix.IoctlGetTermios(int(out.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	before, now := moments()
	asked := 0
	ended := make(chan error, 1)
	go func() {
		ended <- Run(t.Context(), NewModel(true), func(context.Context) (report.PoP, error) {
			if asked++; asked == 1 {
				return before, nil
			}
			return now, nil
		}, time.Millisecond, out, out)
	}()
	screen := &strings.Builder{}
	until := func(text string) {
		t.Helper()
		buf := make([]byte, 65536)
		for !strings.Contains(screen.String(), text) {
			if err := in.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
				t.Fatal(err)
			}
			n, err := in.Read(buf)
			if err != nil {
				t.Fatalf("waited for %q: %v; there is\n%s", text, err, screen)
			}
			screen.Write(buf[:n])
		}
	}
	until(enter)
	until("10 Mb/s")
	if _, err := in.WriteString("\t"); err != nil {
		t.Fatal(err)
	}
	until("198.51.100.7:4500")
	if _, err := in.WriteString("q"); err != nil {
		t.Fatal(err)
	}
	until(leave)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if is, err := unix.IoctlGetTermios(int(out.Fd()), unix.TCGETS); err != nil || *is != *was {
		t.Errorf("the terminal is left as %+v, was %+v, %v", is, was, err)
	}
	if IsTerminal(in) && !IsTerminal(out) {
		t.Error("a terminal is not known as one")
	}
}

// terminal opens a pseudo terminal: what a person has, and what a program has.
func terminal(t *testing.T) (person, program *os.File) {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Skipf("this machine has no pseudo terminals: %v", err)
	}
	person = os.NewFile(uintptr(fd), "ptmx")
	t.Cleanup(func() { person.Close() })
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Skipf("this machine has no pseudo terminals: %v", err)
	}
	if program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Skipf("this machine has no pseudo terminals: %v", err)
	}
	t.Cleanup(func() { program.Close() })
	_ = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80})
	return person, program
}
