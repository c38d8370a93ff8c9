package repair

// Where feedback comes too late, repairs must be sent at a rate that mends what is
// likely to be lost, all the time. blindRate finds it.

// blindRate returns the least number of repairs per source packet with which a share
// of at most residual of the packets stays lost, when packets are lost with
// probability loss and each has slots source packets' time to be recovered. It walks
// the deficit of an ideal sliding window code.
func blindRate(loss float64, slots int, residual float64) float64 {
	if loss <= 0 || residual >= loss {
		return 0
	}
	lo, hi := 0.0, 0.25
	for blindResidual(loss, hi, slots) > residual {
		if lo, hi = hi, hi*1.6; hi > 32 {
			return hi
		}
	}
	for hi-lo > 0.004*(1+lo) {
		mid := (lo + hi) / 2
		if blindResidual(loss, mid, slots) > residual {
			lo = mid
		} else {
			hi = mid
		}
	}
	return hi
}

// blindResidual is the share of packets that are not recovered within slots when
// rate repairs are sent per source packet, evenly.
func blindResidual(loss, rate float64, slots int) float64 {
	const deepest = 127
	var p [deepest + 2]float64
	p[0] = 1
	top := 0
	credit := 0.0
	slot := func(absorb bool) {
		// A source packet, lost or not.
		top = min(top+1, deepest)
		for d := top; d >= 1; d-- {
			from := p[d-1]
			if absorb && d == 1 {
				from = 0 // what is solved stays solved
			}
			p[d] = p[d]*(1-loss) + from*loss
		}
		if !absorb {
			p[0] *= 1 - loss
		}
		for credit += rate; credit >= 1; credit-- {
			p[0] += p[1] * (1 - loss)
			for d := 1; d <= top; d++ {
				p[d] = p[d]*loss + p[d+1]*(1-loss)
			}
		}
		for top > 0 && p[top] < 1e-15 {
			p[top] = 0
			top--
		}
	}
	for range 300 {
		slot(false)
	}
	// A lost packet arrives.
	top = min(top+1, deepest)
	for d := top; d >= 1; d-- {
		p[d] = p[d-1]
	}
	p[0] = 0
	for range slots {
		slot(true)
	}
	stuck := 0.0
	for d := 1; d <= top; d++ {
		stuck += p[d]
	}
	return loss * stuck
}
