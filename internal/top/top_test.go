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

	tea "github.com/charmbracelet/bubbletea"

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

// keys drives a model as somebody at a keyboard does.
func keys(m tea.Model, names ...string) (tea.Model, tea.Cmd) {
	var cmd tea.Cmd
	for _, name := range names {
		key := tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune(name)}
		switch name {
		case "tab":
			key = tea.KeyMsg{Type: tea.KeyTab}
		case "down":
			key = tea.KeyMsg{Type: tea.KeyDown}
		case "up":
			key = tea.KeyMsg{Type: tea.KeyUp}
		case " ":
			key = tea.KeyMsg{Type: tea.KeySpace, Runes: []rune(" ")}
		}
		m, cmd = m.Update(key)
	}
	return m, cmd
}

func TestTheModelTakesKeysSizesAndAnswers(t *testing.T) {
	before, now := moments()
	answers := []answered{{pop: before}, {pop: now}, {err: errors.New("the socket is gone")}}
	asked := 0
	var m tea.Model = NewModel(func(context.Context) (report.PoP, error) {
		a := answers[asked]
		asked++
		return a.pop, a.err
	}, time.Millisecond, false)
	if !strings.Contains(m.View(), "waiting for the PoP") {
		t.Errorf("at first:\n%s", m.View())
	}
	next := m.(Model).Init()
	for range answers {
		m, next = m.Update(next()) // the answer, which makes it wait
		m, next = m.Update(next()) // the time is over, which makes it ask
	}
	if text := m.View(); !strings.Contains(text, "STALE") || !strings.Contains(text, "the socket is gone") || !strings.Contains(text, "10 Mb/s") {
		t.Errorf("after an answer that failed:\n%s", text)
	}
	m, _ = m.Update(tea.WindowSizeMsg{Width: 100, Height: 30})
	if n := strings.Count(m.View(), "\n") + 1; n != 30 {
		t.Errorf("%d lines of 30", n)
	}
	m, _ = keys(m, "tab")
	if !strings.Contains(m.View(), "198.51.100.7:4500") {
		t.Errorf("sessions:\n%s", m.View())
	}
	m, _ = keys(m, "3")
	if !strings.Contains(m.View(), "no_route") {
		t.Errorf("drops:\n%s", m.View())
	}
	m, _ = keys(m, "1", "down", "down", "up")
	if m.(Model).Scroll != 1 {
		t.Errorf("scrolled by %d", m.(Model).Scroll)
	}
	m, _ = m.Update(answered{pop: now})
	m, _ = keys(m, " ")
	m, _ = m.Update(answered{pop: before})
	if !m.(Model).Now.At.Equal(now.At) || !strings.Contains(m.View(), "PAUSED") {
		t.Errorf("paused:\n%s", m.View())
	}
	if _, cmd := keys(m, "q"); cmd == nil || cmd() != tea.Quit() {
		t.Error("q does not end it")
	}
}
