package repair

// purse keeps what is sent beyond the sources under the cap: each source packet
// puts in cap-1 of its kind, each repair takes one out, counted in packets and in
// bytes.
type purse struct {
	cap            float64
	packets, bytes float64
	mean           float64 // size of recent symbols
	depth          float64 // packets
	gov            governor
}

// Depth of a purse: what a quiet time may save up for a bad one. In packets, and at high
// rates as the time that takes so many.
const (
	purseDepth = 400
	purseTime  = 0.1 // seconds
)

func (p *purse) init(cap float64) {
	p.cap, p.packets, p.mean = cap, 32*(cap-1), 1400
	p.bytes = p.packets * p.mean
	p.depth = purseDepth
	p.gov.init()
}

func (p *purse) source(n int) {
	p.mean += (float64(n) - p.mean) / 32
	p.gov.source()
	extra, depth := p.cap-1, p.depth
	if limit := p.gov.limit; limit < extra {
		extra = limit
		depth = 1 + 24*extra
	}
	p.packets = min(p.packets+extra, depth)
	p.bytes = min(p.bytes+extra*float64(n), depth*max(p.mean, 64))
}

func (p *purse) spend(n int) {
	p.gov.repair()
	p.packets--
	p.bytes -= float64(n)
}

// afford reports whether one more repair can be paid for with reserve packets left.
func (p *purse) afford(reserve float64) bool {
	if p.gov.state != govFree {
		reserve = 0
	}
	return p.packets >= 1+reserve && p.bytes >= (1+reserve)*p.mean
}
