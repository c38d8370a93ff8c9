package resequence

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"causeway/internal/mono"
)

// stage runs a script against one Buffer. Its lines:
//
//	push SEQ[,SEQ...] [spi=N] [at=MS] [by=MS]   packets come; by is their deadline
//	run FROM TO [spi=N] [at=MS] [step=US]       one packet after another
//	due at=MS                                   time passes, all that is due leaves
//	raw BYTES                                   a payload that is not ESP, as text
//
// and returns what left for each line, SPI 1 unmarked.
type stage struct {
	b    Buffer
	pool *Pool
	now  mono.Time
	out  []string
}

func newStage(c Config, limit int) *stage {
	s := &stage{pool: NewPool(limit), now: epoch}
	s.b = New(&c, s.pool, true)
	return s
}

func (s *stage) emit(p []byte) {
	if p[0] == 0 && p[1] == 0 && p[2] == 0x20 {
		text := fmt.Sprint(seqOf(p))
		if p[3] != 1 {
			text += fmt.Sprintf("/%d", p[3])
		}
		s.out = append(s.out, text)
		return
	}
	s.out = append(s.out, string(p))
}

func (s *stage) line(t *testing.T, line string) string {
	t.Helper()
	s.out = nil
	var spi, at, by, step, from, to int
	spi, at = 1, int(s.now.Sub(epoch)/time.Millisecond)
	word := strings.Fields(line)
	for _, w := range word[1:] {
		fmt.Sscanf(w, "spi=%d", &spi)
		fmt.Sscanf(w, "at=%d", &at)
		fmt.Sscanf(w, "by=%d", &by)
		fmt.Sscanf(w, "step=%d", &step)
	}
	s.now = epoch.Add(time.Duration(at) * time.Millisecond)
	var deadline mono.Time
	if by != 0 {
		deadline = epoch.Add(time.Duration(by) * time.Millisecond)
	}
	push := func(seq int) { s.b.Push(s.now, esp(0x2000+uint32(spi), uint32(seq), 100), deadline, s.emit) }
	switch word[0] {
	case "push":
		for _, n := range strings.Split(word[1], ",") {
			var seq int
			fmt.Sscan(n, &seq)
			push(seq)
		}
	case "run":
		fmt.Sscan(word[1], &from)
		fmt.Sscan(word[2], &to)
		for seq := from; seq <= to; seq++ {
			push(seq)
			s.now = s.now.Add(time.Duration(step) * time.Microsecond)
		}
		if len(s.out) > 8 {
			return fmt.Sprintf("%d packets", len(s.out))
		}
	case "due":
		s.b.Due(s.now, s.emit)
	case "raw":
		s.b.Push(s.now, []byte(word[1]), deadline, s.emit)
	default:
		t.Fatalf("the script says %q", line)
	}
	return strings.Join(s.out, " ")
}

func TestBuffer(t *testing.T) {
	tests := []struct {
		name   string
		config Config
		script []string // line, what leaves, line, what leaves ...
		want   func(n Counts) bool
	}{
		{"what comes in order leaves at once", Config{}, []string{"push 1,2,3", "1 2 3"}, nil},
		{"a packet behind a hole waits for it", Config{}, []string{
			"push 1,3,4", "1", "push 2", "2 3 4"}, nil},
		{"a hole is given up when the first packet behind it must leave", Config{}, []string{
			"push 1", "1", "push 3 at=0 by=20", "", "push 5 at=5 by=30", "", "due at=19", "", "due at=20", "3", "due at=30", "5"}, nil},
		{"waits do not stack: a later hole gives way with its own packet, not after the first", Config{}, []string{
			"push 1", "1", "push 3,5,7,9 at=0 by=20", "", "due at=20", "3 5 7 9"}, nil},
		{"a packet that must leave earlier takes those before it along", Config{}, []string{
			"push 1", "1", "push 3 at=0 by=90", "", "push 5 at=0 by=20", "", "due at=20", "3 5"}, nil},
		{"the hold limits the wait when there is no deadline", Config{Hold: 30 * time.Millisecond}, []string{
			"push 1,3 at=0", "1", "due at=29", "", "due at=30", "3"}, nil},
		{"a packet whose deadline has passed does not wait", Config{}, []string{
			"push 1,3 at=50 by=60", "1", "push 5 at=50 by=10", "3 5"}, nil},
		{"a packet that comes after its hole was given up leaves while the peer accepts it", Config{}, []string{
			"push 1", "1", "push 3 by=10", "", "due at=10", "3", "run 4 26", "23 packets", "push 2", ""},
			func(n Counts) bool { return n.LateReplay == 1 }},
		{"one packet earlier it still leaves", Config{}, []string{
			"push 1", "1", "push 3 by=10", "", "due at=10", "3", "run 4 25", "22 packets", "push 2", "2"},
			func(n Counts) bool { return n.LateReplay == 0 }},
		{"a wider window accepts what is later", Config{Window: 64}, []string{
			"push 1", "1", "push 3 by=10", "", "due at=10", "3", "run 4 57", "54 packets", "push 2", "2"}, nil},
		{"a duplicate of what left does not leave again", Config{}, []string{
			"push 1,2,2,1,3", "1 2 3"}, func(n Counts) bool { return n.Duplicates == 2 }},
		{"a duplicate of what waits does not leave again", Config{}, []string{
			"push 1,3,3,2,3", "1 2 3"}, func(n Counts) bool { return n.Duplicates == 2 }},
		{"a duplicate of what came late does not leave again", Config{}, []string{
			"push 1", "1", "push 3 by=10", "", "due at=10", "3", "push 2,2", "2"}, func(n Counts) bool { return n.Duplicates == 1 }},
		{"duplicates far behind are told from late packets", Config{}, []string{
			"run 1 3000", "3000 packets", "push 5", "", "run 3002 3100 by=1", "", "due at=200", seqs(3002, 3100), "push 3001,2000", ""},
			func(n Counts) bool { return n.Duplicates == 2 && n.LateReplay == 1 }},

		{"windowed: packets within half the window of the hole leave at once", Config{Mode: Windowed}, []string{
			"push 1,3,4,17", "1 3 4 17", "push 18", "", "push 2", "2 18", "push 5", "5"}, nil},
		{"windowed: filling the hole lets go of what has come within reach", Config{Mode: Windowed}, []string{
			"push 1,3,18,19,20", "1 3", "push 2", "2 18 19"}, nil},
		{"windowed: a hole is given up when the first packet behind it, gone long ago, is due", Config{Mode: Windowed}, []string{
			"push 1", "1", "push 3 at=0 by=20", "3", "run 4 18 at=1 by=90", "14 packets", "due at=20", "18"}, nil},

		{"off: nothing waits", Config{Mode: Off}, []string{"push 1,5,3,2,9", "1 5 3 2 9"}, nil},
		{"what left 4096 numbers ago is not mistaken for what is missing now", Config{Mode: Off}, []string{
			"run 1 2000", "2000 packets", "run 2002 4100", "2099 packets", "push 4102", "4102", "push 4101,4101", "4101"}, nil},
		{"off: duplicates do not leave", Config{Mode: Off}, []string{"push 1,5,3,3,5,1", "1 5 3"}, nil},
		{"off: what the peer would refuse does not leave", Config{Mode: Off}, []string{"push 1,40,17,16", "1 40 17"},
			func(n Counts) bool { return n.LateReplay == 1 }},

		{"IKE and keepalives pass what waits", Config{}, []string{
			"push 1,3", "1", "raw \xff", "\xff", "raw \x00\x00\x00\x00ike", "\x00\x00\x00\x00ike", "push 2", "2 3"}, nil},
		{"SPIs do not wait for one another", Config{}, []string{
			"push 1,3", "1", "push 7,8,10 spi=2", "7/2 8/2", "push 2", "2 3", "push 9 spi=2", "9/2 10/2"}, nil},
		{"what waits in a ninth-oldest SPI leaves when its place is needed", Config{SPIs: 2}, []string{
			"push 1,3", "1", "push 1 spi=2 at=1", "1/2", "push 1 spi=3 at=2", "3 1/3", "push 2 spi=2", "2/2"}, nil},
		{"a stream begins with whatever comes first", Config{}, []string{
			"push 4000000000,4000000001", "4000000000 4000000001"}, nil},
		{"what came just before the first still leaves", Config{}, []string{
			"push 100,98,99,98,101", "100 98 99 101"}, nil},
		{"the counter's wrap is nothing special", Config{}, []string{
			"push 4294967294,4294967295,1,0,2", "4294967294 4294967295 0 1 2"}, nil},

		{"a lone packet thousands ahead leaves at its time and changes nothing", Config{}, []string{
			"push 1,2", "1 2", "push 9000 at=0 by=50", "", "push 3", "3", "due at=50", "9000", "push 4,6,5", "4 5 6", "push 9000", ""},
			func(n Counts) bool { return n.Strays == 1 && n.Duplicates == 1 && n.Restarts == 0 }},
		{"a run thousands ahead is believed", Config{}, []string{
			"push 1,2", "1 2", "run 9000 9004 by=50", "", "due at=50", seqs(9000, 9004), "push 9006,9005", "9005 9006"}, nil},
		{"a trickle thousands ahead is believed at its fourth packet", Config{}, []string{
			"push 1,2", "1 2", "push 9000 by=50", "", "due at=50", "9000", "push 9001 at=100 by=150", "", "due at=150", "9001",
			"push 9002 at=200 by=250", "", "due at=250", "9002", "push 9003 at=300 by=350", "", "due at=350", "9003", "push 9004 at=400", "9004", "push 9001", ""},
			func(n Counts) bool { return n.Strays == 3 && n.Duplicates == 1 }},
		{"numbers beyond any span pass at once, and are believed at the fourth", Config{}, []string{
			"push 1,2", "1 2", "push 900000", "900000", "push 3,5", "3", "push 900001,900001,900002,900003", "900001 900002 900003",
			"push 900005,900004", "900004 900005", "push 900001", ""},
			func(n Counts) bool { return n.Restarts == 1 && n.Duplicates == 2 }},
		{"one forged number beyond any span costs the others nothing", Config{}, []string{
			"push 1,2", "1 2", "push 2000000000", "2000000000", "push 3,5,4", "3 4 5"}, nil},
		{"a sender that begins again after a silence is followed at its fourth packet", Config{}, []string{
			"run 500 600", "101 packets", "run 1 6 at=2500", "4 5 6"}, func(n Counts) bool { return n.Restarts == 1 && n.LateReplay == 3 }},
		{"old numbers without a silence are late, however many", Config{}, []string{
			"run 5000 5001", "5000 5001", "run 1 50 at=1000", ""}, func(n Counts) bool { return n.Restarts == 0 && n.LateReplay == 50 }},
		{"a big jump back with traffic going on stalls nothing", Config{}, []string{
			"run 90000 90003", "90000 90001 90002 90003", "push 5", "", "push 90004", "90004", "push 90006,90005", "90005 90006"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(tt.config, 1<<20)
			for i := 0; i < len(tt.script); i += 2 {
				if got := s.line(t, tt.script[i]); got != tt.script[i+1] {
					t.Fatalf("line %d, %q: left %q, want %q; counts %+v", i/2+1, tt.script[i], got, tt.script[i+1], s.pool.Count)
				}
			}
			if tt.want != nil && !tt.want(s.pool.Count) {
				t.Errorf("counts %+v", s.pool.Count)
			}
		})
	}
}

func seqs(from, to int) string {
	var all []string
	for i := from; i <= to; i++ {
		all = append(all, fmt.Sprint(i))
	}
	return strings.Join(all, " ")
}

func TestAFullPoolReleasesRatherThanDrops(t *testing.T) {
	for _, limit := range []int{0, 2 << 10, 4 << 10} {
		s := newStage(Config{}, limit)
		var left []string
		for _, seq := range []int{1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25} {
			s.line(t, fmt.Sprintf("push %d", seq))
			left = append(left, s.out...)
		}
		s.line(t, "due at=1000")
		left = append(left, s.out...)
		if len(left) != 13 || !slices.IsSortedFunc(left, func(a, b string) int { return len(a)*10000 - len(b)*10000 + strings.Compare(a, b) }) {
			t.Errorf("limit %d: left %v", limit, left)
		}
		if s.pool.Count.PoolFull == 0 || s.pool.InUse() > limit {
			t.Errorf("limit %d: %d bytes in use, counts %+v", limit, s.pool.InUse(), s.pool.Count)
		}
	}
}

func TestFreeMemoryOfOneSizeServesAnother(t *testing.T) {
	p := NewPool(40 << 10)
	var small []*packet
	for k := p.keep(make([]byte, 100), 1); k != nil; k = p.keep(make([]byte, 100), 1) {
		small = append(small, k)
	}
	if p.keep(make([]byte, 9000), 1) != nil {
		t.Fatal("there was room beyond the limit")
	}
	for _, k := range small {
		p.drop(k)
	}
	if p.keep(make([]byte, 9000), 1) == nil {
		t.Error("no room although all is free")
	}
}

func TestTheLargestPacketCanWait(t *testing.T) {
	pool, c := NewPool(1<<20), Config{}
	b := New(&c, pool, true)
	var sizes []int
	emit := func(p []byte) { sizes = append(sizes, len(p)) }
	for _, seq := range []uint32{1, 3, 2} {
		b.Push(epoch, esp(0x3000, seq, 65507), 0, emit)
	}
	if !slices.Equal(sizes, []int{65507, 65507, 65507}) || pool.Count.Waited != 1 {
		t.Errorf("left %v, counts %+v", sizes, pool.Count)
	}
}

func TestWithoutNATTEverythingPasses(t *testing.T) {
	c := Config{}
	b := New(&c, NewPool(1<<20), false)
	n := 0
	for _, seq := range []uint32{1, 5, 5, 2} {
		b.Push(epoch, esp(0x3000, seq, 50), 0, func([]byte) { n++ })
	}
	if n != 4 || !b.Next().IsZero() {
		t.Errorf("%d of 4 left", n)
	}
}

func TestFlushEmitsWhatWaitsAndForgetsTheRest(t *testing.T) {
	s := newStage(Config{}, 1<<20)
	s.line(t, "push 1,3,5,4")
	s.out = nil
	s.b.Flush(s.emit)
	if got := strings.Join(s.out, " "); got != "3 4 5" || s.b.Held() != 0 || !s.b.Next().IsZero() {
		t.Errorf("left %q, %d held, next %d", got, s.b.Held(), s.b.Next())
	}
	if got := s.line(t, "push 1,3"); got != "1" {
		t.Errorf("after Flush: left %q", got)
	}
	s.b.Flush(nil)
	if s.b.Held() != 0 {
		t.Error("Flush(nil) kept something")
	}
}

func TestConfigCheckSaysWhatIsAllowed(t *testing.T) {
	for _, tt := range []struct {
		c    Config
		want string
	}{
		{Config{}, ""},
		{Config{Mode: Off, Window: 4096, Hold: time.Second, SPIs: 64}, ""},
		{Config{Mode: 3}, "ordered, windowed or off"},
		{Config{Window: 4097}, "1 to 4096"},
		{Config{Window: -1}, "1 to 4096"},
		{Config{Hold: 2 * time.Second}, "up to 1s"},
		{Config{SPIs: 65}, "1 to 64"},
	} {
		err := tt.c.Check()
		if (err == nil) != (tt.want == "") || (err != nil && !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%+v: %v, want %q", tt.c, err, tt.want)
		}
	}
	for _, text := range []string{"", "ordered", "windowed", "off"} {
		if m, err := ParseMode(text); err != nil || (text != "" && m.String() != text) {
			t.Errorf("ParseMode(%q) = %v, %v", text, m, err)
		}
	}
	if _, err := ParseMode("sorted"); err == nil {
		t.Error("ParseMode took sorted")
	}
}

// Sessions are many and mostly idle; what they take counts.
func TestAnIdleSessionIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(Buffer{}); n > 56 {
		t.Errorf("a Buffer takes %d bytes", n)
	}
	if n := unsafe.Sizeof(stream{}); n > 72 {
		t.Errorf("a stream takes %d bytes", n)
	}
	c, pool := Config{}, NewPool(1<<20)
	sessions := make([]Buffer, 1000)
	packets := [][]byte{esp(0x1000, 1, 100), esp(0x1000, 2, 100), esp(0x1000, 4, 100), esp(0x1000, 3, 100)}
	allocs := testing.AllocsPerRun(1, func() {
		for i := range sessions {
			sessions[i] = New(&c, pool, true)
			for _, p := range packets {
				sessions[i].Push(epoch, p, 0, func([]byte) {})
			}
		}
	})
	if allocs > 1100 { // one stream each, and the pool's own few
		t.Errorf("%v allocations for 1000 sessions", allocs)
	}
	for i := range sessions {
		if s := &sessions[i].streams[0]; s.seen != nil || s.ring != nil {
			t.Fatal("a session without losses keeps a ring or a seen")
		}
	}
}

func TestSeenMemoryIsGivenBackWhenNothingIsMissing(t *testing.T) {
	s := newStage(Config{Mode: Off}, 1<<20)
	s.line(t, "push 1,3")
	if s.b.streams[0].seen == nil {
		t.Fatal("a hole is not remembered")
	}
	s.line(t, "run 4 4200")
	if s.b.streams[0].seen != nil || len(s.pool.seen) != 1 {
		t.Error("after 4096 packets without a hole it is still remembered")
	}
	s.line(t, "push 3000")
	if s.pool.Count.Duplicates != 1 {
		t.Error("and duplicates are not known any more")
	}
}

// disturbed returns a packet order with one in five late by a hundred packets and one in
// two hundred lost.
func disturbed(n int) []uint32 {
	var order []uint32
	late := map[int][]uint32{}
	for i := range n {
		order = append(order, late[i]...)
		switch {
		case i%200 == 77:
		case i%5 == 2:
			late[i+100] = append(late[i+100], uint32(i))
		default:
			order = append(order, uint32(i))
		}
	}
	return order
}

func TestNoAllocationsOnceTrafficHasFoundItsLevel(t *testing.T) {
	order := disturbed(2000)
	for _, mode := range []Mode{Ordered, Windowed, Off} {
		c := Config{Mode: mode}
		b := New(&c, NewPool(1<<22), true)
		payload, now, base := esp(0x1000, 0, 1400), epoch, uint32(0)
		emit := func([]byte) {}
		round := func() {
			for _, seq := range order {
				now = now.Add(time.Millisecond)
				payload[4], payload[5], payload[6], payload[7] = byte((base+seq)>>24), byte((base+seq)>>16), byte((base+seq)>>8), byte(base+seq)
				b.Push(now, payload, now.Add(120*time.Millisecond), emit)
				b.Due(now, emit)
			}
			base += 2000
		}
		round()
		if n := testing.AllocsPerRun(5, round); n != 0 {
			t.Errorf("%v: %v allocations in %d packets", mode, n, len(order))
		}
	}
}

func BenchmarkPush(b *testing.B) {
	for _, bb := range []struct {
		name  string
		order []uint32
	}{{"in-order", seqNumbers(2000)}, {"a-fifth-late", disturbed(2000)}} {
		for _, mode := range []Mode{Ordered, Windowed, Off} {
			b.Run(bb.name+"/"+mode.String(), func(b *testing.B) {
				b.ReportAllocs()
				c := Config{Mode: mode}
				buffer := New(&c, NewPool(1<<22), true)
				payload, now, base := esp(0x1000, 0, 1400), epoch, uint32(0)
				emit := func([]byte) {}
				for i := 0; b.Loop(); i++ {
					if i == len(bb.order) {
						i, base = 0, base+2000
					}
					seq := base + bb.order[i]
					now = now.Add(time.Millisecond)
					payload[4], payload[5], payload[6], payload[7] = byte(seq>>24), byte(seq>>16), byte(seq>>8), byte(seq)
					buffer.Push(now, payload, now.Add(120*time.Millisecond), emit)
					buffer.Due(now, emit)
				}
			})
		}
	}
}

func seqNumbers(n int) (all []uint32) {
	for i := range n {
		all = append(all, uint32(i))
	}
	return all
}

func TestAnotherConfigReleasesWhatWaitsAndForgetsNothing(t *testing.T) {
	pool := NewPool(1 << 20)
	b := New(&Config{}, pool, true)
	var out []uint32
	emit := func(p []byte) { out = append(out, uint32(p[6])<<8|uint32(p[7])) }
	packet := func(seq byte) []byte { return []byte{0, 0, 3, 1, 0, 0, 0, seq, 9, 9, 9, 9, 9, 9, 9, 9} }
	for _, seq := range []byte{1, 2, 3, 5, 7} {
		b.Push(1000, packet(seq), 0, emit)
	}
	b.Reconfigure(&Config{Mode: Windowed, Window: 64}, emit)
	if want := []uint32{1, 2, 3, 5, 7}; !slices.Equal(out, want) {
		t.Errorf("released %v, want %v", out, want)
	}
	if b.Next() != 0 || b.Held() != 0 {
		t.Errorf("%d packets wait until %v", b.Held(), b.Next())
	}
	out = nil
	for _, seq := range []byte{3, 5, 7, 4, 4, 8} {
		b.Push(2000, packet(seq), 0, emit)
	}
	if want := []uint32{4, 8}; !slices.Equal(out, want) {
		t.Errorf("then released %v, want %v", out, want)
	}
}
