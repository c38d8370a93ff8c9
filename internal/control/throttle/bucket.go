package throttle

import "time"

// bucket is how many requests may come at once, and when that was so.
type bucket struct {
	level float64
	at    time.Time
}

// table is a bucket for each key; one that is not there is full.
type table[K comparable] struct {
	rate, burst float64 // requests a second, and at once
	of          map[K]*bucket
}

// wait is how long it takes until key has one request; zero: it has one now.
func (t *table[K]) wait(key K, now time.Time) time.Duration {
	b := t.of[key]
	if b == nil {
		return 0
	}
	if t.fill(b, now); b.level >= 1 {
		return 0
	}
	return max(time.Duration((1-b.level)/t.rate*float64(time.Second)), time.Millisecond)
}

// take takes one request of key's; below zero it does not go.
func (t *table[K]) take(key K, now time.Time) {
	b := t.of[key]
	if b == nil {
		if len(t.of) >= maxKept {
			t.forget(now)
		}
		b = &bucket{t.burst, now}
		t.of[key] = b
	}
	t.fill(b, now)
	b.level = max(b.level-1, 0)
}

// fill gives b what has come since; a clock that was set back gives nothing.
func (t *table[K]) fill(b *bucket, now time.Time) {
	if since := now.Sub(b.at).Seconds(); since > 0 {
		b.level = min(b.level+since*t.rate, t.burst)
	}
	b.at = now
}

// forget makes room for one: it lets go of buckets that are full again among
// the first few that it meets, or else of the first.
func (t *table[K]) forget(now time.Time) {
	const looks = 64
	met, room := 0, false
	var first K
	for key, b := range t.of {
		if met == 0 {
			first = key
		}
		if t.fill(b, now); b.level >= t.burst {
			delete(t.of, key)
			room = true
		}
		if met++; met == looks {
			break
		}
	}
	if !room {
		delete(t.of, first)
	}
}
