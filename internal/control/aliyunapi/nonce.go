package aliyunapi

import (
	"crypto/sha256"
	"sync"
	"time"
)

// nonces remembers which requests were seen, so that a recorded one is refused.
// A nonce may be forgotten when its request's own timestamp would be refused. It
// is bounded, for all callers and for each of them; when it is full, requests
// are refused and nothing is forgotten early.
type nonces struct {
	mu      sync.Mutex
	seen    map[[16]byte]int64 // when it may be forgotten, Unix seconds
	of      map[string]int     // how many each caller has in seen; counted anew at each sweep
	owner   map[[16]byte]string
	swept   int64
	perKey  int
	overall int
}

const (
	nonceLimit       = 400_000
	nonceLimitPerKey = 100_000
)

func newNonces() *nonces {
	return &nonces{seen: map[[16]byte]int64{}, of: map[string]int{}, owner: map[[16]byte]string{}, perKey: nonceLimitPerKey, overall: nonceLimit}
}

// add notes a nonce until an instant. It reports whether it is new, and whether
// there was room for it.
func (n *nonces) add(key, nonce string, until, now time.Time) (fresh, room bool) {
	sum := sha256.Sum256([]byte(key + "\x00" + nonce))
	id := [16]byte(sum[:16])
	n.mu.Lock()
	defer n.mu.Unlock()
	if now.Unix() >= n.swept+60 {
		n.sweep(now.Unix())
	}
	if _, known := n.seen[id]; known {
		return false, true
	}
	if len(n.seen) >= n.overall || n.of[key] >= n.perKey {
		if now.Unix() != n.swept {
			n.sweep(now.Unix())
		}
		if len(n.seen) >= n.overall || n.of[key] >= n.perKey {
			return true, false
		}
	}
	n.seen[id], n.owner[id] = until.Unix()+1, key
	n.of[key]++
	return true, true
}

func (n *nonces) sweep(now int64) {
	n.swept = now
	for id, until := range n.seen {
		if until >= now {
			continue
		}
		key := n.owner[id]
		if n.of[key]--; n.of[key] <= 0 {
			delete(n.of, key)
		}
		delete(n.seen, id)
		delete(n.owner, id)
	}
}
