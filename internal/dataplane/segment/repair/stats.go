package repair

import "time"

// Stats is how an endpoint does.
type Stats struct {
	Sent     SentStats
	Received ReceivedStats
	Wires    []WireStats
	RTT      time.Duration
	Budget   [Off]time.Duration // in force, by mode

	// Governor tells what it makes of the loss.
	Governor GovernorStats

	// Queueing is how much longer than the quickest lately datagrams take one way:
	// of ours, as the peer sees it, and of the peer's. Clocks need not agree.
	QueueingThere, QueueingHere time.Duration
}

// GovernorStats is the governor's state: see governor.go.
type GovernorStats struct {
	State    string  // "free", "holding back", "probing"
	Limit    float64 // repairs allowed per source packet; +Inf: only the cap
	Overhead float64 // repairs sent per source packet, lately
	HeldBack uint64  // times that repairs were held back
}

// SentStats counts datagrams by what they were for.
type SentStats struct {
	Sources   uint64 // symbols given to Send, mode off excepted
	Plain     uint64 // symbols sent in mode off
	Copied    uint64 // symbols protected by copies
	Copies    uint64 // datagrams with a copy, the first of each symbol included
	Repairs   uint64
	Reports   uint64
	Ridden    uint64 // reports that rode along with other datagrams
	Beats     uint64
	Abandoned uint64 // copied symbols never acknowledged
	Packets   uint64 // all datagrams
	Bytes     uint64 // and their plaintext bytes
}

// ReceivedStats counts what came.
type ReceivedStats struct {
	Symbols     uint64 // as they were sent, through coded streams
	Resent      uint64 // of those: had been reported missing
	Recovered   uint64 // worked out from repairs
	Copied      uint64 // first copies to come
	ByCopy      uint64 // of those: not the first that was sent
	CopiesAgain uint64
	Plain       uint64
	Duplicates  uint64 // symbols that came again, dropped
	Late        uint64 // symbols that came after they had been given up, delivered
	Expired     uint64 // symbols given up
	Repairs     uint64
	Useless     uint64 // repairs that brought nothing new
	Reports     uint64
	OldReports  uint64
	Malformed   uint64

	// Added is how much later than unrepaired ones packets were given out, lately, in
	// whatever order: the delay that half of them, 95, 99 and 99.9 % had at most.
	Added [4]time.Duration
}

// WireStats is how one wire does in the sending direction, and what came over the
// peer's wire of that number.
type WireStats struct {
	ID          uint8
	Up          bool
	Loss        float64 // mean, lately
	Conditional float64 // probability of a loss 5 ms after one
	Burst       float64 // losses in a row, on average
	LossHere    float64 // in what arrives
	Packets     uint64
	Bytes       uint64
}

// Stats returns the counts so far.
func (e *Endpoint) Stats() Stats {
	s := e.stats
	s.RTT = e.rtt.smooth
	for i, q := range [...]float64{0.5, 0.95, 0.99, 0.999} {
		s.Received.Added[i] = e.added.quantile(q)
	}
	g := &e.purse.gov
	s.Governor = GovernorStats{State: g.state.String(), Limit: g.limit, Overhead: g.usage, HeldBack: g.heldBack}
	s.QueueingThere, s.QueueingHere = e.rtt.queueThere, time.Duration(float64(e.rtt.standing())*1e3)
	for m := range s.Budget {
		s.Budget[m] = e.budget(Mode(m))
	}
	for id := range e.wires {
		w := &e.wires[id]
		s.Sent.Packets += w.packets
		s.Sent.Bytes += w.bytes
		if !w.known && !w.heard.any {
			continue
		}
		p, _ := w.loss.mean()
		s.Wires = append(s.Wires, WireStats{
			ID: uint8(id), Up: w.up, Loss: p, Conditional: w.loss.after(reportedLag), Burst: w.loss.run(),
			LossHere: w.heard.loss(), Packets: w.packets, Bytes: w.bytes,
		})
	}
	for _, r := range e.rx {
		if r == nil {
			continue
		}
		s.Received.Symbols += r.got
		s.Received.Resent += r.resent
		s.Received.Recovered += r.recovered
		s.Received.Duplicates += r.duplicates
		s.Received.Late += r.late
		s.Received.Expired += r.expired
		s.Received.Repairs += r.repairs
		s.Received.Useless += r.useless
	}
	return s
}
