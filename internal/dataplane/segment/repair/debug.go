package repair

import (
	"fmt"
	"os"
	"strconv"
)

func (e *Endpoint) Debug() string {
	o := ""
	for _, s := range e.tx {
		if s != nil {
			o += fmt.Sprintf("stream %d: repairs %d closings %d syms %d resent %d belief %.2f none %.2f; ", s.id, s.repairs, s.closings, s.closeSymbols, s.resent, s.belief.mean(), s.belief.none())
		}
	}
	g := &e.purse.gov
	o += fmt.Sprintf("gov %v limit %.3f usage %.3f slope %.2f+-%.2f strikes %d steady %.2f queue %v", g.state, g.limit, g.usage, g.slope, g.slopeError, g.strikes, g.steady, e.rtt.queueThere)
	return o
}

var envs = map[string]float64{}

func envf(k string, d float64) float64 {
	if v, ok := envs[k]; ok {
		return v
	}
	v, err := strconv.ParseFloat(os.Getenv(k), 64)
	if err != nil {
		v = d
	}
	envs[k] = v
	return v
}
