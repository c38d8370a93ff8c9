package dataplane

import (
	"time"

	"causeway/internal/dataplane/limit"
	"causeway/internal/dataplane/session"
	"causeway/internal/dataplane/xdp"
	"causeway/internal/mono"
)

// What the kernel forwards of sessions under an allowance with a rate is bounded where it is
// forwarded. The kernel is lent bytes out of the very bucket that user space asks, some
// milliseconds' worth ahead, and takes every packet off. When nothing is left packets come here, where
// they are policed as ever: never more than half of what is there is lent, and no more than
// some times what was used of late. What was lent and not used comes back when no session needs it
// any more, when the kernel is switched off, and before the allowance changes.

const (
	// lendEvery is how often the kernel is lent lendMore times what it has used. That is no more than the
	// allowance's rate gives in lendMost, and no less than it gives in lendLeast, or two packets.
	lendEvery = 10 * time.Millisecond
	lendMore  = 8
	lendMost  = 2 * lendEvery
	lendLeast = lendEvery / 5
	leastLoan = 3000

	// mostLoans is how many allowances with a rate a session may be under at most.
	mostLoans = len(xdp.Forwarding{}.Credit)
)

// loan is what the kernel is lent of one direction of an allowance.
type loan struct {
	loanOf
	id   xdp.Credit
	uses int   // directions of sessions
	has  int64 // what was left at the last look, and lent then
}

type loanOf struct {
	allowance *limit.Allowance
	d         limit.Direction
}

func (l *loan) lane() *limit.Lane { return &l.allowance.Lanes[l.d] }

// loansOf are what a direction of a session uses up. It reports false when it is too much.
func (e *Engine) loansOf(s *session.Session, d limit.Direction) (list [mostLoans]loanOf, ok bool) {
	n := 0
	for _, a := range e.allowancesOf(s) {
		switch {
		case !a.Lanes[d].Bounded():
		case n == mostLoans:
			return list, false
		default:
			list[n] = loanOf{a, d}
			n++
		}
	}
	return list, true
}

// borrow gives a direction of a session that is to be forwarded the loans it needs.
func (e *Engine) borrow(now mono.Time, s *session.Session, d limit.Direction, way *forwardedWay) error {
	list, _ := e.loansOf(s, d)
	for i, of := range list {
		if of.allowance == nil {
			break
		}
		l := e.below.loans[of]
		if l == nil {
			id, err := e.cfg.Below.OpenCredit()
			if err != nil {
				e.repay(way)
				return err
			}
			l = &loan{loanOf: of, id: id}
			if e.below.loans == nil {
				e.below.loans = map[loanOf]*loan{}
			}
			e.below.loans[of] = l
			e.lend(now, l)
		}
		l.uses++
		way.loans[i] = l
	}
	return nil
}

// repay ends a direction's use of its loans. What nobody uses any more comes back.
func (e *Engine) repay(way *forwardedWay) {
	for i, l := range way.loans {
		if l == nil {
			continue
		}
		way.loans[i] = nil
		if l.uses--; l.uses == 0 {
			l.lane().Settle(e.cfg.Below.CloseCredit(l.id))
			delete(e.below.loans, l.loanOf)
		}
	}
}

// credit is what the program calls the loans.
func (w *forwardedWay) credit() (c [mostLoans]xdp.Credit) {
	for i, l := range w.loans {
		if l != nil {
			c[i] = l.id
		}
	}
	return c
}

// asLent reports whether the loans of what is forwarded of a session are those that
// it needs now.
func (e *Engine) asLent(s *session.Session) bool {
	f := e.below.flows[s]
	for d := range f.ways {
		if !f.ways[d].on {
			continue
		}
		list, ok := e.loansOf(s, limit.Direction(d))
		if !ok {
			return false
		}
		for i, l := range f.ways[d].loans {
			if l == nil && list[i].allowance != nil || l != nil && l.loanOf != list[i] {
				return false
			}
		}
	}
	return true
}

// lend brings a loan to what it is to be, as far as the bucket has it.
func (e *Engine) lend(now mono.Time, l *loan) {
	if e.below.off {
		return
	}
	b := l.lane()
	left := e.cfg.Below.Lend(l.id, 0)
	more := b.Lend(now, left, max(min((l.has-left)*lendMore, b.Within(lendMost)), b.Within(lendLeast), leastLoan))
	e.cfg.Below.Lend(l.id, more)
	l.has = left + more
}

// switchBelow notes that the kernel does what it is told, or nothing.
func (e *Engine) switchBelow(now mono.Time, on bool) {
	e.syncBelow(now)
	if e.below.off = !on; !on {
		e.takeLoansBack()
	}
	e.below.lendAt = 0
}

// takeLoansBack has all that is lent and not used back in its buckets, before their bounds change.
func (e *Engine) takeLoansBack() {
	for _, l := range e.below.loans {
		left := max(e.cfg.Below.Lend(l.id, 0), 0)
		l.has = e.cfg.Below.Lend(l.id, -left) // what has passed meanwhile is a debt
		l.lane().Settle(left)
	}
	e.below.lendAt = 0
}

// dueLoans lends what the kernel has used.
func (e *Engine) dueLoans(now mono.Time) {
	if len(e.below.loans) == 0 || e.below.off || now < e.below.lendAt {
		return
	}
	e.below.lendAt = now.Add(lendEvery)
	for _, l := range e.below.loans {
		e.lend(now, l)
	}
}

// nextLoans is when dueLoans has something to do.
func (e *Engine) nextLoans() mono.Time {
	if len(e.below.loans) == 0 || e.below.off {
		return 0
	}
	return max(e.below.lendAt, 1)
}
