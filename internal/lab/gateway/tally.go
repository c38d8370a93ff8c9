package gateway

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strconv"
)

// Tally is what charon's log says that happened with a connection.
type Tally struct {
	Negotiations int // IKE_SA_INITs begun, each a tunnel built from nothing
	IKERekeys    int // IKE SAs replaced, from whichever end
	ChildRekeys  int // CHILD SAs replaced, from whichever end
	Fragments    int // most IKE fragments that one message was sent in
	Largest      int // bytes of the largest IKE packet sent
}

// LogSize is how long the log is now, for LogSince. It is 0 when there is none.
func (g Gateway) LogSize() int64 {
	info, err := os.Stat(g.Log())
	if err != nil {
		return 0
	}
	return info.Size()
}

// LogSince is what was logged since the log had that size.
func (g Gateway) LogSince(size int64) ([]byte, error) {
	data, err := os.ReadFile(g.Log())
	if err != nil {
		return nil, fmt.Errorf("read charon's log: %w", err)
	}
	return data[min(size, int64(len(data))):], nil
}

var (
	splits = regexp.MustCompile(`splitting IKE message (?:\(\d+ bytes\) )?into (\d+) fragments`)
	sends  = regexp.MustCompile(`sending packet: .*\((\d+) bytes\)`)
)

// TallyOf reads a log as strongSwan 5.9 writes it with ike_name = yes. It counts
// what this end began, and what both ends log.
func TallyOf(log []byte, connection string) Tally {
	var t Tally
	mark := []byte("<" + connection + "|")
	for line := range bytes.Lines(log) {
		if !bytes.Contains(line, mark) {
			continue
		}
		has := func(words string) bool { return bytes.Contains(line, []byte(words)) }
		switch {
		case has("generating IKE_SA_INIT request"):
			t.Negotiations++
		case has("rekeyed between"):
			t.IKERekeys++
		case has("outbound CHILD_SA " + connection + "{"): // a first child is not set up in two parts
			t.ChildRekeys++
		}
		if m := splits.FindSubmatch(line); m != nil {
			t.Fragments = max(t.Fragments, number(m[1]))
		}
		if m := sends.FindSubmatch(line); m != nil {
			t.Largest = max(t.Largest, number(m[1]))
		}
	}
	return t
}

func number(digits []byte) int {
	n, _ := strconv.Atoi(string(digits))
	return n
}

// With is what both ends of a connection say: each negotiation was begun by one
// of them, each rekey is in both logs.
func (t Tally) With(o Tally) Tally {
	return Tally{
		Negotiations: t.Negotiations + o.Negotiations,
		IKERekeys:    max(t.IKERekeys, o.IKERekeys), ChildRekeys: max(t.ChildRekeys, o.ChildRekeys),
		Fragments: max(t.Fragments, o.Fragments), Largest: max(t.Largest, o.Largest),
	}
}
