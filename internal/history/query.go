package history

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Query says what to read.
type Query struct {
	Key
	From, To time.Time
	// Points is how many the answer has at most; 0: as fine as what is kept.
	Points int
}

// Series is what was read.
type Series struct {
	Key
	Step    time.Duration // of a point
	Columns []string
	Times   []int64     // start of each point, in seconds since 1970; those without values are left out
	Values  [][]float64 // of each column, as many as Times; NaN: none
}

// ErrNone is a series of which nothing is kept.
var ErrNone = errors.New("history: there is no such series")

// maxPoints bounds an answer.
const maxPoints = 1 << 20

// Read returns a series from the tier that serves the query best: the finest
// that reaches back to From and has no more than Points slots until To. Slots are
// folded when even the coarsest has more.
func (s *Store) Read(q Query) (Series, error) {
	if err := q.check(); err != nil {
		return Series{}, err
	}
	if !q.From.Before(q.To) {
		return Series{}, fmt.Errorf("history: from %v to %v is no time", q.From, q.To)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.files[q.Key]
	if f == nil {
		return Series{}, fmt.Errorf("%w: %v", ErrNone, q.Key)
	}
	tier, group := f.choose(q, s.options.Now())
	out := Series{Key: q.Key, Step: f.tiers[tier].Step * time.Duration(group), Values: make([][]float64, len(f.columns))}
	for _, c := range f.columns {
		out.Columns = append(out.Columns, c.Name)
	}
	fold := newFolder(Kind{Columns: f.columns})
	step := int64(out.Step / time.Second)
	emit := func() {
		if !fold.any {
			return
		}
		out.Times = append(out.Times, fold.at)
		for i, v := range fold.row(nil) {
			out.Values[i] = append(out.Values[i], v)
		}
	}
	take := func(at int64, row []float64) {
		if start := at - at%step; start != fold.at || !fold.any {
			emit()
			fold.begin(start)
		}
		fold.add(row)
	}
	// The slot that is open may be on disk as well, from before a restart: what is
	// in memory has it all.
	from, to := q.From.Unix(), min(q.To.Unix(), s.options.Now().Unix()+1)
	openAt := int64(math.MaxInt64)
	f.open(tier, from, to, func(at int64, _ []float64) { openAt = at })
	err := f.scan(tier, from, to, func(at int64, row []float64) {
		if at >= from && at != openAt {
			take(at, row)
		}
	})
	if err != nil {
		return Series{}, fmt.Errorf("history: read %v: %w", q.Key, err)
	}
	f.open(tier, from, to, take)
	emit()
	return out, nil
}

// choose returns the tier to read, and how many of its slots make a point.
func (f *file) choose(q Query, now time.Time) (tier, group int) {
	points := q.Points
	if points <= 0 || points > maxPoints {
		points = maxPoints
	}
	span := q.To.Sub(q.From)
	for tier = range f.tiers {
		t := f.tiers[tier]
		if now.Sub(q.From) <= t.Span() && span/t.Step <= time.Duration(points) {
			return tier, 1
		}
	}
	last := f.tiers[tier]
	return tier, max(1, int(math.Ceil(float64(span)/float64(last.Step)/float64(points))))
}

// Column returns a column's values by name; nil when there is none.
func (s *Series) Column(name string) []float64 {
	for i, c := range s.Columns {
		if c == name {
			return s.Values[i]
		}
	}
	return nil
}
