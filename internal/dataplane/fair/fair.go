// Package fair shares one worker's time among parties that have more work than
// there is time for: deficit round robin (Shreedhar and Varghese, 1995), by what
// work has cost. It knows nothing of what the work is.
package fair

// Party is one that is to get its share. The zero Party has no work.
type Party[T any] struct {
	items  []T // those from first on wait, the oldest first
	first  int
	listed bool
	credit int // what it may still use in this round; below zero: it has used some of the next
}

// Rota is the parties that have work, in turn. The zero Rota, with a Quantum, is ready.
// It is for one goroutine.
type Rota[T any] struct {
	Quantum int // what a party may use in a round; in the unit of costs, above zero

	parties []*Party[T]
}

// Add gives a party an item to work on, behind those it has. Items are not compared: who
// adds one twice has it served twice.
func (r *Rota[T]) Add(p *Party[T], item T) {
	if !p.listed {
		p.listed, p.credit = true, 0
		r.parties = append(r.parties, p)
	}
	p.push(item)
}

// Waiting tells whether any party has work.
func (r *Rota[T]) Waiting() bool { return len(r.parties) > 0 }

// Round gives each party that has work its share of one round. serve works on an item, as far
// as budget goes or a little beyond, and returns what that has cost, and whether the item
// has more: then it waits behind the party's others. A party that used more than its share
// lacks it in the next rounds; one whose work is done begins anew. serve may Add to
// parties, which counts for the next round.
func (r *Rota[T]) Round(serve func(item T, budget int) (cost int, more bool)) {
	turns := len(r.parties)
	for i := range turns { // those that come in meanwhile stand behind
		p := r.parties[i]
		p.credit += r.Quantum
		for p.credit > 0 && !p.empty() {
			item := p.items[p.first]
			cost, more := serve(item, p.credit)
			p.credit -= max(cost, 0)
			p.pop()
			if more {
				p.push(item)
			}
		}
		p.credit = min(p.credit, 0)
	}
	kept := r.parties[:0]
	for _, p := range r.parties {
		if p.listed = !p.empty(); p.listed {
			kept = append(kept, p)
		}
	}
	clear(r.parties[len(kept):])
	r.parties = kept
}

func (p *Party[T]) empty() bool { return p.first == len(p.items) }

func (p *Party[T]) push(item T) {
	if p.first > len(p.items)/2 { // most of it has been served
		n := copy(p.items, p.items[p.first:])
		clear(p.items[n:])
		p.items, p.first = p.items[:n], 0
	}
	p.items = append(p.items, item)
}

func (p *Party[T]) pop() {
	var none T
	p.items[p.first] = none
	p.first++
}
