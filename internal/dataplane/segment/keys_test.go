package segment

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"causeway/internal/dataplane/segment/handshake"
)

func TestASegmentComesUpAndCarriesFramesBothWays(t *testing.T) {
	p := newPair(t, 1, 1).startBoth()
	p.run(200 * time.Millisecond)
	p.mustUp()
	sent := p.traffic(time.Second, 10*time.Millisecond, off)
	p.run(time.Second)
	for _, e := range []*end{p.a, p.b} {
		if len(e.frames) != sent {
			t.Errorf("%s got %d of %d frames", e.name, len(e.frames), sent)
		}
	}
}

func TestASegmentComesUpWithinThreeSecondsAtHalfTheDatagramsLostEachWay(t *testing.T) {
	const rounds = 200
	late, latest := 0, time.Duration(0)
	for seed := range uint64(rounds) {
		p := newPair(t, seed, 1)
		p.path = lossy(p, 40*time.Millisecond, 0.5)
		p.startBoth()
		begun := p.now
		for !p.a.seg.Up(p.now) || !p.b.seg.Up(p.now) {
			if p.run(20 * time.Millisecond); p.now.Sub(begun) > 20*time.Second {
				t.Fatalf("seed %d: not up after 20 s", seed)
			}
		}
		latest = max(latest, p.now.Sub(begun))
		if p.now.Sub(begun) > 3*time.Second {
			late++
		}
	}
	t.Logf("the latest of %d was up after %v", rounds, latest)
	if late > rounds/100 {
		t.Errorf("%d of %d segments were not up after 3 s", late, rounds)
	}
}

func TestNothingIsSentWithoutKeys(t *testing.T) {
	p := newPair(t, 1, 1)
	p.path = func(*end, int, int) []time.Duration { return nil }
	p.startBoth().run(time.Second)
	if p.a.send(off, []byte("frame")) || p.a.seg.Counters.NoKeys != 1 || p.a.seg.Ready() {
		t.Errorf("a frame was taken without keys: %+v", p.a.seg.Counters)
	}
}

// Both ends begin at once, whatever the delay, and must not be in one another's
// way then or later: this held gaps of 1.5 s a minute.
func TestBothEndsMayBeginAtOnce(t *testing.T) {
	for _, delay := range []time.Duration{0, time.Millisecond, 40 * time.Millisecond, 300 * time.Millisecond} {
		for _, apart := range []time.Duration{0, time.Millisecond, 40 * time.Millisecond, time.Second} {
			t.Run(fmt.Sprintf("%v apart, %v away", apart, delay), func(t *testing.T) {
				p := newPair(t, 1, 1)
				p.path = clean(delay)
				p.a.start()
				p.run(apart)
				p.b.start()
				p.run(2 * time.Second)
				p.mustUp()
				sent := p.traffic(150*time.Second, 100*time.Millisecond, off)
				p.run(time.Second)
				for _, e := range []*end{p.a, p.b} {
					if len(e.frames) != sent || e.unknown > 0 || e.seg.Counters.Handshakes > 6 {
						t.Errorf("%s got %d of %d frames, %d datagrams under unknown keys, %d handshakes", e.name, len(e.frames), sent, e.unknown, e.seg.Counters.Handshakes)
					}
				}
			})
		}
	}
}

func TestKeysAreRenewedByTimeWithoutALostFrame(t *testing.T) {
	for seed := range uint64(2) {
		p := newPair(t, seed, 1)
		p.path = func(*end, int, int) []time.Duration { // reordered, too
			return []time.Duration{time.Duration(10+p.rng.IntN(60)) * time.Millisecond}
		}
		p.startBoth().run(time.Second)
		first := p.a.seg.sending
		sent := p.traffic(5*time.Minute, 30*time.Millisecond, off)
		p.run(time.Second)
		if p.a.seg.sending == first || p.a.seg.Counters.Handshakes < 3 {
			t.Errorf("the keys were not renewed: %d handshakes", p.a.seg.Counters.Handshakes)
		}
		for _, e := range []*end{p.a, p.b} {
			if len(e.frames) != sent || e.unknown > 0 {
				t.Errorf("seed %d: %s got %d of %d frames, %d datagrams under unknown keys", seed, e.name, len(e.frames), sent, e.unknown)
			}
			if n := len(e.seg.sets); n > 3 || len(e.indices) > 4 {
				t.Errorf("%d sets of keys and %d indices are held", n, len(e.indices))
			}
		}
		if age := p.now.Sub(p.a.seg.State().KeysBorn); age > rekeyAfter+10*time.Second {
			t.Errorf("keys are %v old", age)
		}
	}
}

func TestKeysAreRenewedAtOneInTwoLost(t *testing.T) {
	p := newPair(t, 3, 1)
	p.path = lossy(p, 40*time.Millisecond, 0.5)
	p.startBoth().run(3 * time.Second)
	p.mustUp()
	p.traffic(6*time.Minute, 100*time.Millisecond, off)
	for _, e := range []*end{p.a, p.b} {
		if e.unknown > 0 {
			t.Errorf("%s: %d datagrams under unknown keys", e.name, e.unknown)
		}
		if age := p.now.Sub(e.seg.State().KeysBorn); age > rekeyAfter+rekeyAfter/6+10*time.Second {
			t.Errorf("%s: keys are %v old", e.name, age)
		}
	}
}

func TestKeysAreRenewedByCountWithoutALostFrame(t *testing.T) {
	old, oldHard := rekeySealed, hardSealed
	rekeySealed, hardSealed = 500, 2000
	defer func() { rekeySealed, hardSealed = old, oldHard }()
	p := newPair(t, 1, 1).startBoth()
	p.run(time.Second)
	sent := p.traffic(40*time.Second, 10*time.Millisecond, off)
	p.run(time.Second)
	for _, e := range []*end{p.a, p.b} {
		if len(e.frames) != sent || e.unknown > 0 || e.seg.Counters.Handshakes < 8 {
			t.Errorf("%s got %d of %d frames, %d datagrams under unknown keys, %d handshakes", e.name, len(e.frames), sent, e.unknown, e.seg.Counters.Handshakes)
		}
	}
}

func TestWithoutNewKeysSealingStopsInTheEnd(t *testing.T) {
	old, oldHard := rekeySealed, hardSealed
	rekeySealed, hardSealed = 500, 2000
	defer func() { rekeySealed, hardSealed = old, oldHard }()
	p := newPair(t, 1, 1).startBoth()
	p.run(time.Second)
	carry := p.path
	p.path = func(from *end, wire, size int) []time.Duration {
		if size < 28+400 { // handshakes: our frames are larger
			return nil
		}
		return carry(from, wire, size)
	}
	sealed := func() uint64 { return p.a.seg.sending.sealer.Sealed() }
	for range 3000 {
		p.a.send(off, make([]byte, 600))
		p.run(time.Millisecond)
	}
	if sealed() != 2000 || p.a.seg.Counters.NoKeys == 0 {
		t.Errorf("%d datagrams were sealed under one key, the most is 2000", sealed())
	}
	p.path = carry
	p.run(5 * time.Second)
	p.mustUp()
	n := len(p.b.frames)
	p.a.send(off, []byte("again"))
	p.run(time.Second)
	if len(p.b.frames) != n+1 {
		t.Error("with new keys nothing is carried")
	}
}

func TestKeysExpire(t *testing.T) {
	p := newPair(t, 1, 1).startBoth()
	p.run(time.Second)
	var recorded []byte // a datagram under the first keys, never delivered
	p.path = func(from *end, _, size int) []time.Duration {
		if from == p.a && recorded == nil {
			return nil
		}
		return []time.Duration{20 * time.Millisecond}
	}
	p.tap = func(from *end, _ int, b []byte) {
		if from == p.a && b[0] == 4 && recorded == nil {
			recorded = bytes.Clone(b)
		}
	}
	p.a.send(off, []byte("kept back"))
	p.tap, p.path = nil, clean(20*time.Millisecond)
	p.run(rekeyAfter + 30*time.Second) // superseded, lingering
	if len(p.b.seg.sets) < 2 {
		t.Fatalf("superseded keys were dropped at once: %d sets", len(p.b.seg.sets))
	}
	late := bytes.Clone(recorded)
	p.b.receive(0, late)
	if len(p.b.frames) != 1 {
		t.Error("a datagram that was late by 30 s was not opened")
	}
	p.run(2 * keyLinger)
	unknown := p.b.unknown
	p.b.receive(0, recorded)
	if p.b.unknown != unknown+1 {
		t.Error("a datagram under expired keys was opened")
	}
	if len(p.b.indices) > 2 {
		t.Errorf("%d indices are held", len(p.b.indices))
	}
}

func TestAPeerMayRestartAtAnyTime(t *testing.T) {
	for seed := range uint64(20) {
		p := newPair(t, seed, 1)
		p.path = clean(30 * time.Millisecond)
		p.startBoth().run(time.Second)
		p.traffic(time.Duration(p.rng.IntN(3000))*time.Millisecond, 10*time.Millisecond, off)
		victim := []*end{p.a, p.b}[seed%2]
		victim.stop()
		p.traffic(time.Duration(p.rng.IntN(5000))*time.Millisecond, 10*time.Millisecond, off)
		victim.start()
		for _, e := range []*end{p.a, p.b} {
			e.frames, e.at = nil, nil
		}
		born := p.now
		p.traffic(2*time.Second, 10*time.Millisecond, off)
		p.mustUp()
		for _, e := range []*end{p.a, p.b} {
			if len(e.at) == 0 || e.at[0].Sub(born) > 300*time.Millisecond {
				t.Errorf("seed %d: %s has its first frame %v after the restart", seed, e.name, e.at)
			}
		}
		if !strings.Contains(victim.peer.log.String(), "peer restarted") {
			t.Errorf("seed %d: the restart was not noticed:\n%s", seed, victim.peer.log.String())
		}
	}
}

func TestBothPeersMayRestartAtOnce(t *testing.T) {
	p := newPair(t, 1, 1).startBoth()
	p.run(time.Second)
	p.startBoth().run(time.Second)
	p.mustUp()
	sent := p.traffic(3*time.Minute, 50*time.Millisecond, off)
	p.run(time.Second)
	if len(p.a.frames) != sent || len(p.b.frames) != sent {
		t.Errorf("%d and %d of %d frames arrived", len(p.a.frames), len(p.b.frames), sent)
	}
}

// Everything that was ever sent is sent again, in any order: nothing arrives
// twice, and what works goes on working.
func TestReplaysNeverDisturb(t *testing.T) {
	p := newPair(t, 1, 1)
	type recording struct {
		to *end
		b  []byte
	}
	var all []recording
	p.tap = func(from *end, _ int, b []byte) { all = append(all, recording{from.peer, bytes.Clone(b)}) }
	p.startBoth().run(time.Second)
	p.traffic(140*time.Second, 500*time.Millisecond, off) // past a renewal of keys
	p.a.stop()
	p.run(time.Second)
	p.a.start() // and a restart
	p.run(2 * time.Second)
	p.traffic(5*time.Second, 500*time.Millisecond, off)
	p.tap = nil
	p.run(time.Second)
	p.a.frames, p.b.frames = nil, nil
	sent := 0
	for round := range 3 {
		p.rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		for i, r := range all {
			r.to.receive(0, bytes.Clone(r.b))
			if i%40 == 0 {
				sent++
				p.a.send(off, fmt.Appendf(nil, "frame %d", sent))
				p.b.send(off, fmt.Appendf(nil, "frame %d", sent))
				p.run(20 * time.Millisecond)
			}
		}
		p.run(time.Duration(round) * 15 * time.Second) // proposals expire
	}
	p.run(time.Second)
	p.mustUp()
	for _, e := range []*end{p.a, p.b} {
		if len(e.frames) != sent {
			t.Errorf("%s got %d of %d frames", e.name, len(e.frames), sent)
		}
		seen := map[string]bool{}
		for _, f := range e.frames {
			if seen[string(f)] {
				t.Fatalf("%q arrived twice", f)
			}
			seen[string(f)] = true
		}
		if len(e.seg.sets) > maxKeysets || len(e.indices) > maxKeysets+1 {
			t.Errorf("%d sets of keys, %d indices", len(e.seg.sets), len(e.indices))
		}
	}
}

func TestProposalsAreBounded(t *testing.T) {
	p := newPair(t, 1, 1).startBoth()
	p.run(time.Second)
	hello := handshake.Hello{VersionMin: OldestVersion, VersionMax: Version, Label: 1, Incarnation: 77}
	for n := range 500 { // our peer's key, and never a datagram under what was agreed
		hello.Sequence = uint64(n + 1)
		i, err := handshake.Initiate(p.a.cfg.Local, p.b.cfg.Local.Public(), hello, uint32(n), Entropy)
		if err != nil {
			t.Fatal(err)
		}
		p.b.receive(0, i.Message())
		p.run(time.Millisecond)
	}
	if n := len(p.b.seg.sets); n > maxKeysets {
		t.Errorf("%d sets of keys", n)
	}
	p.b.frames = nil
	p.a.send(off, []byte("still here"))
	p.run(20 * time.Second)
	if len(p.b.frames) != 1 || len(p.b.seg.sets) > 2 || len(p.b.indices) > 3 {
		t.Errorf("%d frames; %d sets of keys and %d indices are left", len(p.b.frames), len(p.b.seg.sets), len(p.b.indices))
	}
}

func TestOnlyWhatBothEndsCanDoIsUsed(t *testing.T) {
	for _, c := range []struct {
		name string
		a, b uint32
		want uint32
	}{
		{"both everything", CanRepair | CanControl, CanRepair | CanControl, CanRepair | CanControl},
		{"one cannot repair", CanRepair | CanControl, CanControl, CanControl},
		{"one cannot be told of links", CanRepair, CanRepair | CanControl, CanRepair},
		{"one of an older version can nothing", 0, CanRepair | CanControl, 0},
		{"one of a later version can more", CanRepair | CanControl, 0xffffffff, CanRepair | CanControl},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPair(t, 1, 1)
			p.a.cfg.Capabilities, p.b.cfg.Capabilities = c.a, c.b
			p.startBoth().run(time.Second)
			for _, e := range []*end{p.a, p.b} {
				if got := e.seg.State().Capabilities; got != c.want {
					t.Errorf("%s uses %b, want %b", e.name, got, c.want)
				}
				e.seg.SendControl(p.now, []byte("links"))
			}
			p.path = lossy(p, 20*time.Millisecond, 0.05)
			sent := p.traffic(3*time.Second, 10*time.Millisecond, 0)
			p.path = clean(20 * time.Millisecond)
			p.run(time.Second)
			controls := 1
			if c.want&CanControl == 0 {
				controls = 0
			}
			if len(p.a.controls) != controls || len(p.b.controls) != controls {
				t.Errorf("%d and %d control messages arrived, want %d", len(p.a.controls), len(p.b.controls), controls)
			}
			if c.want&CanRepair != 0 && len(p.b.frames) < sent*99/100 {
				t.Errorf("%d of %d frames arrived with repair", len(p.b.frames), sent)
			}
			if n := len(p.b.frames); c.want&CanRepair == 0 && (n < sent*80/100 || n == sent) {
				t.Errorf("%d of %d frames arrived without repair", n, sent)
			}
		})
	}
}

// versionPair is an end that runs, and an initiation of its peer that speaks the
// given versions.
func versionPair(t *testing.T, low, high uint8) (*pair, *handshake.Initiation) {
	p := newPair(t, 1, 1)
	p.b.start()
	i, err := handshake.Initiate(p.a.cfg.Local, p.b.cfg.Local.Public(), handshake.Hello{VersionMin: low, VersionMax: high, Label: 1, Incarnation: 9, Sequence: 1}, 5, Entropy)
	if err != nil {
		t.Fatal(err)
	}
	return p, i
}

func TestVersionsBeforeAndAfterOursAreUnderstood(t *testing.T) {
	for _, c := range []struct{ low, high, want uint8 }{
		{Version, Version + 1, Version},
		{OldestVersion, Version, Version},
		{Version, Version, Version},
		{OldestVersion, Version + 9, Version},
	} {
		p, i := versionPair(t, c.low, c.high)
		var reply []byte
		p.tap = func(from *end, _ int, b []byte) {
			if from == p.b && b[0] == handshake.TypeResponse {
				reply = bytes.Clone(b)
			}
		}
		p.b.receive(0, i.Message())
		k, err := i.Finish(reply)
		if err != nil || k.Version != c.want {
			t.Errorf("versions %d to %d: agreed on %d, %v", c.low, c.high, k.Version, err)
		}
	}
}

func TestNoCommonVersionIsSaidAndNotRepeatedAtOnce(t *testing.T) {
	p := newPair(t, 1, 1)
	p.a.start()
	hello := handshake.Hello{VersionMin: Version + 1, VersionMax: Version + 2, Label: 2, Incarnation: 3}
	p.b.start()
	p.b.seg.SetWires(p.now, nil) // it answers only
	p.b.responder = handshake.NewResponder(p.b.cfg.Local, hello, p.b.allow, p.b.newIndex, Entropy)
	p.run(30 * time.Second)
	if n := strings.Count(p.a.log.String(), "segment cannot come up"); n != 1 {
		t.Errorf("it was said %d times:\n%s", n, p.a.log.String())
	}
	tried := p.a.seg.Counters.HandshakesTried
	if tried > 10 {
		t.Errorf("%d messages in vain", tried)
	}
	// The peer is upgraded: a minute later it works.
	hello.VersionMin = Version
	p.b.responder = handshake.NewResponder(p.b.cfg.Local, hello, p.b.allow, p.b.newIndex, Entropy)
	p.b.seg.SetWires(p.now, p.b.wires)
	p.run(time.Minute)
	p.mustUp()
}

func TestClosingGivesAllIndicesBack(t *testing.T) {
	p := newPair(t, 1, 1)
	p.path = lossy(p, 20*time.Millisecond, 0.5)
	p.startBoth()
	for range 10 {
		p.run(time.Duration(p.rng.IntN(200_000)) * time.Millisecond)
		for _, e := range []*end{p.a, p.b} {
			e.seg.Close()
			if len(e.indices) != 0 {
				t.Fatalf("%s: %d indices after closing", e.name, len(e.indices))
			}
			if due := e.seg.NextDue(); due != 0 && due <= p.now {
				t.Fatalf("%s: closed, and due at %v", e.name, due)
			}
			e.seg = nil
		}
		p.startBoth()
	}
}

func TestAPeerThatIsGoneIsAskedForEverButNotOften(t *testing.T) {
	p := newPair(t, 1, 1).startBoth()
	p.run(5 * time.Second)
	p.b.stop()
	p.run(30 * time.Second)
	if p.a.seg.Up(p.now) {
		t.Error("a peer that is gone is up")
	}
	before := p.a.seg.Counters.HandshakesTried
	p.run(10 * time.Minute)
	perMinute := float64(p.a.seg.Counters.HandshakesTried-before) / 10
	if perMinute < 30 || perMinute > 200 {
		t.Errorf("%v handshakes a minute", perMinute)
	}
	if len(p.a.indices) > 3 {
		t.Errorf("%d indices are held", len(p.a.indices))
	}
	p.b.start()
	p.run(2 * time.Second)
	p.mustUp()
}

// The ends may be at odds about which keys are the newest; what one sends under,
// the other keeps.
func TestKeysThatThePeerStillUsesDoNotExpire(t *testing.T) {
	p := newPair(t, 1, 1).startBoth()
	p.run(time.Second)
	first := p.a.seg.sending
	p.run(rekeyAfter)
	p.run(time.Second)
	if p.a.seg.sending == first {
		t.Fatal("the keys were not renewed")
	}
	second := p.a.seg.sending
	p.a.seg.sending, first.expires, second.expires = first, 0, p.now.Add(time.Hour)
	first.born = p.now // so that it is not renewed at once
	p.b.frames = nil
	sent := p.traffic(100*time.Second, 200*time.Millisecond, off)
	p.run(time.Second)
	if len(p.b.frames) != sent || p.b.unknown > 0 {
		t.Errorf("%d of %d frames arrived, %d datagrams under keys that were dropped", len(p.b.frames), sent, p.b.unknown)
	}
}

// One end moved to keys that the other has lost: it hears the other under the
// old ones, and is not heard itself.
func TestKeysThatThePeerLostAreMadeAnew(t *testing.T) {
	p := newPair(t, 1, 1).startBoth()
	p.run(time.Second)
	old := p.b.seg.sending
	p.run(rekeyAfter)
	p.run(time.Second)
	if p.b.seg.sending == old {
		t.Fatal("the keys were not renewed")
	}
	for i, set := range p.b.seg.sets {
		if set != old {
			p.b.seg.drop(i)
			break
		}
	}
	p.b.seg.sending, old.expires, old.born = old, 0, p.now
	p.run(3 * time.Second)
	n := len(p.b.frames)
	sent := p.traffic(time.Second, 20*time.Millisecond, off)
	p.run(time.Second)
	if got := len(p.b.frames) - n; got != sent {
		t.Errorf("%d of %d frames arrived", got, sent)
	}
}

func TestPiecesOfTwoLivesAreNotJoined(t *testing.T) {
	p := newPair(t, 1, 1).startBoth()
	p.run(2 * time.Second)
	frame := func(fill byte) []byte { return bytes.Repeat([]byte{fill}, 5000) }
	sent := 0
	p.path = func(from *end, _, size int) []time.Duration {
		if from == p.a && size > 1000 {
			if sent++; sent > 2 { // the rest of the frame is lost
				return nil
			}
		}
		return []time.Duration{20 * time.Millisecond}
	}
	p.a.seg.split = 77
	p.a.send(off, frame(1))
	p.path = clean(20 * time.Millisecond)
	p.run(time.Second)
	p.a.stop()
	p.a.start()
	p.run(2 * time.Second)
	p.a.seg.split = 77
	p.a.send(off, frame(2))
	p.run(time.Second)
	if len(p.b.frames) != 1 || !bytes.Equal(p.b.frames[0], frame(2)) {
		t.Errorf("%d frames arrived", len(p.b.frames))
	}
}
