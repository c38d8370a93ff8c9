package bench

import (
	"encoding/binary"
	"time"

	"causeway/internal/mono"
)

// An IKE set-up is two exchanges, IKE_SA_INIT and IKE_AUTH: four messages, each sent
// when the one before has arrived. An end that waits in vain sends its message again
// as strongSwan does by default.
var (
	ikeSizes  = [4]int{464, 480, 1200, 1100}
	ikeRepeat = []time.Duration{4 * time.Second, 7200 * time.Millisecond, 13 * time.Second, 23300 * time.Millisecond}
)

// setups is the state of a run of set-ups.
type setups struct {
	r       *run
	begun   []mono.Time
	done    []mono.Time
	step    []uint8     // messages that arrived
	repeats []uint8     // of the initiator's current message
	next    []mono.Time // when the initiator repeats it
	answer  []message   // to send once the event in hand is over
}

type message struct {
	from, n int
	step    uint8
}

// exchanges runs one set-up every 1/rate seconds.
func (r *run) exchanges() error {
	n := r.cfg.Packets
	s := &setups{r: r, begun: make([]mono.Time, n), done: make([]mono.Time, n), step: make([]uint8, n), repeats: make([]uint8, n), next: make([]mono.Time, n)}
	r.rec.came = make([]mono.Time, 2*n)
	for i := range r.sim.side {
		r.sim.side[i].deliver = s.arrived
	}
	r.sim.after = s.send
	gap := time.Duration(float64(time.Second) / r.cfg.Rate)
	at := r.sim.now.Add(time.Second)
	oldest := 0
	for i := range n {
		if i%1000 == 0 {
			if err := r.pause(i); err != nil {
				return err
			}
		}
		s.until(at, &oldest, i)
		s.begun[i] = at
		s.initiate(i, 0)
		at = at.Add(gap)
	}
	for end := at.Add(60 * time.Second); at < end && oldest < n; at = at.Add(100 * time.Millisecond) {
		s.until(at, &oldest, n)
	}
	r.setups = s
	return nil
}

// until runs to t and repeats what was not answered in time.
func (s *setups) until(t mono.Time, oldest *int, n int) {
	s.r.sim.until(t)
	for *oldest < n && s.done[*oldest] != 0 {
		*oldest++
	}
	for i := *oldest; i < n; i++ {
		if s.done[i] == 0 && s.next[i] <= t && int(s.repeats[i]) < len(ikeRepeat) {
			s.repeats[i]++
			s.put(0, i, s.step[i]&^1)
			s.schedule(i)
		}
	}
}

// initiate sends the initiator's message number step, 0 or 2, for the first time.
func (s *setups) initiate(i int, step uint8) {
	s.repeats[i] = 0
	s.schedule(i)
	s.put(0, i, step)
}

func (s *setups) schedule(i int) {
	s.next[i] = s.r.sim.now.Add(ikeRepeat[min(int(s.repeats[i]), len(ikeRepeat)-1)])
}

func (s *setups) put(from, i int, step uint8) {
	b := s.r.symbol[:ikeSizes[step]]
	binary.BigEndian.PutUint64(b, uint64(i))
	b[8] = step
	if from == 0 {
		s.r.rec.sent = append(s.r.rec.sent, s.r.sim.now)
		binary.BigEndian.PutUint32(b[12:], uint32(len(s.r.rec.sent)-1))
		if len(s.r.rec.came) < len(s.r.rec.sent) {
			s.r.rec.came = append(s.r.rec.came, 0)
		}
	}
	s.r.sim.send(from, b)
}

func (s *setups) arrived(b []byte) {
	i, step := int(binary.BigEndian.Uint64(b)), b[8]
	if step&1 == 0 {
		s.r.rec.deliver(s.r.sim.now, int(binary.BigEndian.Uint32(b[12:])))
	}
	if step < s.step[i] {
		if step&1 == 0 { // the initiator repeats itself: so does the answer
			s.answer = append(s.answer, message{1, i, step + 1})
		}
		return
	}
	s.step[i] = step + 1
	switch step {
	case 0, 2:
		s.answer = append(s.answer, message{1, i, step + 1})
	case 1:
		s.answer = append(s.answer, message{0, i, 2})
	case 3:
		if s.done[i] == 0 {
			s.done[i] = s.r.sim.now
		}
	}
}

// send sends what the event in hand has caused.
func (s *setups) send() {
	for _, m := range s.answer {
		if m.from == 0 {
			s.initiate(m.n, m.step)
		} else {
			s.put(m.from, m.n, m.step)
		}
	}
	s.answer = s.answer[:0]
}

// times returns how long the set-ups took, and how many never ended.
func (s *setups) times() (took []time.Duration, failed int) {
	for i, done := range s.done {
		if done == 0 {
			failed++
			continue
		}
		took = append(took, done.Sub(s.begun[i]))
	}
	return took, failed
}
