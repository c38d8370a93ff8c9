package pathwatch

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"causeway/internal/report"
	"causeway/internal/trace"
)

// path is one PoP that is asked, and what was seen.
type path struct {
	target
	stop func()

	mu          sync.Mutex // guards what is below
	plain       side
	accelerated side
	hops        map[hopKey]*hop
}

type hopKey struct {
	ttl  int
	host netip.Addr
}

func newPath(t target, stop func()) *path {
	return &path{target: t, stop: stop, hops: map[hopKey]*hop{}}
}

// side is one of the two ways.
type side struct {
	sent, lost uint64
	recent     []time.Duration // the newest minute's, oldest first
	seconds    map[int64]second
	problem    string
}

// hop is one router.
type hop struct {
	hopKey
	sent, lost uint64
	sum        time.Duration
	seconds    map[int64]second
}

// second is what was seen in one.
type second struct {
	at            int64
	sent, lost    int
	sum, min, max time.Duration
}

func (s *second) add(rtt time.Duration) {
	s.sent++
	if rtt < 0 {
		s.lost++
		return
	}
	if s.sent-s.lost == 1 {
		s.min, s.max = rtt, rtt
	}
	s.sum, s.min, s.max = s.sum+rtt, min(s.min, rtt), max(s.max, rtt)
}

// row is s as history keeps it.
func (s *second) row() []float64 {
	answered := s.sent - s.lost
	if answered == 0 {
		return []float64{float64(s.sent), float64(s.lost), math.NaN(), math.NaN(), math.NaN()}
	}
	return []float64{float64(s.sent), float64(s.lost), ms(s.sum) / float64(answered), ms(s.min), ms(s.max)}
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func note(seconds *map[int64]second, at time.Time, rtt time.Duration) {
	if *seconds == nil {
		*seconds = map[int64]second{}
	}
	s := (*seconds)[at.Unix()]
	s.at = at.Unix()
	s.add(rtt)
	(*seconds)[s.at] = s
}

// settle takes in a probe whose fate is known.
func (p *path) settle(s *side, at time.Time, rtt time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.sent++
	if rtt < 0 {
		s.lost++
	}
	if s.recent = append(s.recent, rtt); len(s.recent) > 60 {
		s.recent = slices.Delete(s.recent, 0, 1)
	}
	note(&s.seconds, at, rtt)
}

// maxHosts bounds how many routers are remembered of one path; paths change.
const maxHosts = 64

// hop takes in a router's answer, or its silence, which counts for the one that
// answered last at that distance.
func (p *path) hop(s trace.Settled) {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := hopKey{s.TTL, s.Host}
	if !s.Host.IsValid() {
		for k := range p.hops {
			if k.ttl == s.TTL && k.host.IsValid() {
				key = k
			}
		}
	}
	h := p.hops[key]
	if h == nil {
		if len(p.hops) >= maxHosts {
			return
		}
		h = &hop{hopKey: key}
		p.hops[key] = h
	}
	h.sent++
	if s.Answered() {
		h.sum += s.RTT
	} else {
		h.lost++
	}
	if key.host.IsValid() {
		note(&h.seconds, s.At, s.RTT)
	}
}

func (p *path) problem(s *side, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.problem = text
}

// take takes the seconds until then out, the oldest first.
func (p *path) take(seconds *map[int64]second, until time.Time) []second {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []second
	for _, at := range slices.Sorted(maps.Keys(*seconds)) {
		if at < until.Unix() {
			out = append(out, (*seconds)[at])
			delete(*seconds, at)
		}
	}
	return out
}

// report is what was seen.
func (p *path) report() report.Path {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := report.Path{To: p.to, Address: p.addr, Plain: p.plain.report(), Accelerated: p.accelerated.report(), Hops: []report.PathHop{}}
	best := map[int]*hop{}
	for _, h := range p.hops { // of several at one distance, the one that answered most
		if b := best[h.ttl]; b == nil || h.sent-h.lost > b.sent-b.lost {
			best[h.ttl] = h
		}
	}
	for _, h := range best {
		one := report.PathHop{TTL: h.ttl, Host: h.host, Sent: h.sent, Lost: h.lost}
		if n := h.sent - h.lost; n > 0 {
			one.RTT = ms(h.sum) / float64(n)
		}
		r.Hops = append(r.Hops, one)
	}
	slices.SortFunc(r.Hops, func(a, b report.PathHop) int { return cmp.Compare(a.TTL, b.TTL) })
	for n := len(r.Hops); n > 0 && !r.Hops[n-1].Host.IsValid(); n = len(r.Hops) {
		r.Hops = r.Hops[:n-1] // nobody at the end: those are beyond the target
	}
	return r
}

func (s *side) report() report.PathSide {
	r := report.PathSide{Sent: s.sent, Lost: s.lost, Problem: s.problem}
	lost, answers, sum := 0, 0, 0.0
	for i := len(s.recent) - 1; i >= 0; i-- {
		if s.recent[i] < 0 {
			lost++
			continue
		}
		if answers == 10 {
			continue
		}
		v := ms(s.recent[i])
		if answers++; answers == 1 {
			r.RTTMin, r.RTTMax = v, v
		}
		sum, r.RTTMin, r.RTTMax = sum+v, min(r.RTTMin, v), max(r.RTTMax, v)
	}
	if answers > 0 {
		r.RTT = sum / float64(answers)
	}
	if len(s.recent) > 0 {
		r.Loss = float64(lost) / float64(len(s.recent))
	}
	return r
}

// HopName is the name of a router's series.
func HopName(to string, ttl int, host netip.Addr) string {
	return fmt.Sprintf("%s#%02d#%s", to, ttl, host)
}

// ParseHopName takes it apart again.
func ParseHopName(name string) (to string, ttl int, host netip.Addr, ok bool) {
	parts := strings.Split(name, "#")
	if len(parts) != 3 {
		return "", 0, host, false
	}
	ttl, err := strconv.Atoi(parts[1])
	if err != nil {
		return "", 0, host, false
	}
	host, err = netip.ParseAddr(parts[2])
	return parts[0], ttl, host, err == nil
}
