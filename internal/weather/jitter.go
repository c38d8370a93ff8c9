package weather

import (
	"math"
	"time"
)

// jitter is a stationary first-order autoregressive sequence of unit normals,
// readable at rising places.
type jitter struct {
	noise stream
	spike stream
	k     uint64 // place of x
	x     float64
	begun bool
}

// at returns value k for correlation rho; k must not decrease. After a gap it
// begins again far enough back that the beginning has decayed below 1e-9.
func (j *jitter) at(k uint64, rho float64) float64 {
	if rho == 0 {
		j.begun, j.k, j.x = true, k, j.noise.normal(k)
		return j.x
	}
	memory := uint64(math.Ceil(math.Log(1e-9) / math.Log(rho)))
	if !j.begun || k-j.k > memory && k > j.k {
		j.begun = true
		j.k = 0
		if k > memory {
			j.k = k - memory
		}
		j.x = j.noise.normal(j.k)
	}
	for scale := math.Sqrt(1 - rho*rho); j.k < k; {
		j.k++
		j.x = rho*j.x + scale*j.noise.normal(j.k)
	}
	return j.x
}

// extra returns what jitter and spikes add to the delay at place k.
func (j *jitter) extra(k uint64, p *Profile) time.Duration {
	var d time.Duration
	if p.Jitter > 0 {
		d = time.Duration(math.Abs(j.at(k, p.JitterCorrelation)) * float64(p.Jitter))
	}
	if s := &p.Spike; j.spike.hit(2*k, s.Probability) {
		v := float64(s.Scale) * math.Pow(1-j.spike.uniform(2*k+1), -1/s.Shape)
		d += time.Duration(min(v, float64(s.Max)))
	}
	return d
}
