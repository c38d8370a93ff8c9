package repair

// heal returns for each deficit k in 0..len(out)-1 the probability that packets
// already under way make up for it: events lists them in order of sending, +1 a
// repair, -1 a source packet, and they are lost with probability loss. It is the
// first passage of a random walk to zero, computed backwards.
func heal(out []float64, events []int8, loss float64) {
	for k := range out {
		out[k] = 0
	}
	out[0] = 1
	for i := len(events) - 1; i >= 0; i-- {
		if events[i] > 0 {
			for k := len(out) - 1; k >= 1; k-- {
				out[k] = loss*out[k] + (1-loss)*out[k-1]
			}
			continue
		}
		for k := 1; k < len(out)-1; k++ {
			out[k] = (1-loss)*out[k] + loss*out[k+1]
		}
		out[len(out)-1] *= 1 - loss
	}
}

// closing sizes the last round of a group of lost packets.
type closing struct {
	deficit int       // symbols wanting
	stake   float64   // source packets lost if it fails
	price   float64   // symbols that one saved source packet is worth
	loss    float64   // of each symbol
	first   float64   // of the first, if the wires' state is known (spread rounds)
	stick   float64   // correlation of one symbol's loss with the next one's, 0..1
	heal    []float64 // chance that a remaining deficit heals by itself; may be nil
	most    int       // no more symbols than this
}

// size returns how many symbols to send: the number m that makes
// m + price × stake × P[fails | m] least. Losses follow a two-state chain with
// mean loss and correlation stick between neighbours.
func (c *closing) size(scratch *closingScratch) int {
	d := min(c.deficit, maxDeficit)
	if d <= 0 {
		return 0
	}
	// good[k], bad[k]: k still wanting, and the last symbol arrived or was lost.
	good, bad := scratch.good[:d+1], scratch.bad[:d+1]
	clear(good)
	clear(bad)
	good[d], bad[d] = 1-c.loss, c.loss
	lossAfterGood := c.loss * (1 - c.stick)
	lossAfterBad := c.loss + (1-c.loss)*c.stick
	best, bestCost := 0, c.price*c.stake*c.fails(good, bad)
	for m := 1; m <= c.most; m++ {
		for k := 0; k <= d; k++ {
			// What arrives takes the state from k to k-1; order of k rises, so read k+1 before it changes.
			g, b := good[k], bad[k]
			up := 0.0
			if k < d {
				up = good[k+1]*(1-lossAfterGood) + bad[k+1]*(1-lossAfterBad)
			}
			if k == 0 {
				good[0] = g + b + up // solved for good
				bad[0] = 0
				continue
			}
			good[k] = up
			bad[k] = g*lossAfterGood + b*lossAfterBad
		}
		if cost := float64(m) + c.price*c.stake*c.fails(good, bad); cost < bestCost {
			best, bestCost = m, cost
		} else if float64(m) > bestCost {
			break
		}
	}
	return best
}

// fails is the probability that something stays wanting and does not heal.
func (c *closing) fails(good, bad []float64) float64 {
	f := 0.0
	for k := 1; k < len(good); k++ {
		v := good[k] + bad[k]
		if k < len(c.heal) {
			v *= 1 - c.heal[k]
		}
		f += v
	}
	return f
}

type closingScratch struct{ good, bad [maxDeficit + 1]float64 }
