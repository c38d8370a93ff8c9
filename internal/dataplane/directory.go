package dataplane

import (
	"net/netip"
	"sync"
	"sync/atomic"

	"causeway/internal/dataplane/limit"
	"causeway/internal/dataplane/session"
)

// directory is what the lanes of a PoP tell one another: whose the flows are that
// the kernel steers wrongly, whose client an endpoint belongs to, and who uses how
// much of an allowance. It is asked where a packet has no session, and now and then.
type directory struct {
	running atomic.Int32 // workers that have begun
	lanes   atomic.Int32
	holds   atomic.Int32 // spares the lock where there are none

	mu      sync.RWMutex
	byLane  [MaxLanes]*lane
	holders map[flow]uint8
	claims  map[uint64]uint8 // of session.ClaimOf; by which lane
	calls   map[calling]claimed
	uses    map[string]*uses
}

type flow struct{ local, remote netip.AddrPort }

type calling struct {
	group    session.Name
	endpoint netip.Addr
}

type claimed struct {
	lane  uint8
	claim uint8
}

// uses is how much each lane uses of an allowance: bytes of late in each direction,
// the older the less, and confirmed sessions.
type uses struct {
	bytes [limit.Directions][MaxLanes]float64
	open  [MaxLanes]int
}

func (d *directory) join(l *lane) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.byLane[l.n] = l
}

func (d *directory) lane(n uint8) *lane {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.byLane[n]
}

func (d *directory) hold(f flow, lane uint8) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.holders == nil {
		d.holders = map[flow]uint8{}
	}
	d.holders[f] = lane
	d.holds.Store(int32(len(d.holders)))
}

func (d *directory) release(f flow, lane uint8) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.holders[f] == lane {
		delete(d.holders, f)
	}
	d.holds.Store(int32(len(d.holders)))
}

func (d *directory) holder(f flow) (lane uint8, held bool) {
	if d.holds.Load() == 0 {
		return 0, false
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	lane, held = d.holders[f]
	return lane, held
}

// holdClaim notes whose a claim is: of the lane that shows it first, until that lets
// go. Somebody else who repeats an SPI cannot lead its client's packets elsewhere.
func (d *directory) holdClaim(claim uint64, lane uint8) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.claims == nil {
		d.claims = map[uint64]uint8{}
	}
	if _, taken := d.claims[claim]; !taken {
		d.claims[claim] = lane
	}
}

func (d *directory) releaseClaim(claim uint64, lane uint8) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if held, ok := d.claims[claim]; ok && held == lane {
		delete(d.claims, claim)
	}
}

func (d *directory) claimHolder(claim uint64) (lane uint8, held bool) {
	if d.lanes.Load() < 2 {
		return 0, false
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	lane, held = d.claims[claim]
	return lane, held
}

// claim notes a claim that is no weaker than the one there is.
func (d *directory) claim(c calling, by claimed) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.calls == nil {
		d.calls = map[calling]claimed{}
	}
	if d.calls[c].claim <= by.claim {
		d.calls[c] = by
	}
}

func (d *directory) claimer(c calling) (lane uint8, known bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	by, known := d.calls[c]
	return by.lane, known
}

const (
	// fade is what is left of an old use each time that a lane tells: what somebody
	// used counts for some 200 ms.
	fade = 0.75
	// least is what part a lane that uses nothing keeps of an allowance, so that it
	// can begin: an eighth of an equal one.
	least = 1.0 / 8
)

// share notes a lane's use of an allowance and returns its part of it by what all
// have used of late, and the sessions of the others. The parts of all lanes add up
// to one, but for what changes while they ask in turn.
func (d *directory) share(allowance string, direction int, lane uint8, used uint64, open int) (part float64, others int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.uses == nil {
		d.uses = map[string]*uses{}
	}
	u := d.uses[allowance]
	if u == nil {
		u = new(uses)
		d.uses[allowance] = u
	}
	b := &u.bytes[direction]
	b[lane] = b[lane]*fade + float64(used)
	u.open[lane] = open
	lanes := int(d.lanes.Load())
	sum := 0.0
	for i := range lanes {
		sum += b[i]
		if i != int(lane) {
			others += u.open[i]
		}
	}
	equal := 1 / float64(lanes)
	if sum == 0 {
		return equal, others
	}
	return least*equal + (1-least)*b[lane]/sum, others
}
