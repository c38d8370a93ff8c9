package report

import (
	"fmt"
	"math"

	"causeway/internal/lab/report/draw"
)

// axis maps values from 0 to max onto pixels from a to b.
type axis struct {
	max  float64
	a, b float64
}

func (x axis) at(v float64) float64 {
	if x.max <= 0 {
		return x.a
	}
	return x.a + (x.b-x.a)*min(max(v/x.max, 0), 1)
}

// niceStep is a round distance between ticks: about n of them up to max.
func niceStep(max float64, n int) float64 {
	if max <= 0 || n < 1 {
		return 1
	}
	raw := max / float64(n)
	power := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, f := range []float64{1, 2, 2.5, 5, 10} {
		if f*power >= raw*0.999 {
			return f * power
		}
	}
	return 10 * power
}

// timeStep is niceStep for a time axis in milliseconds, in the steps of clocks.
func timeStep(max float64, n int) float64 {
	const s, m, h = 1e3, 60e3, 3600e3
	for _, step := range []float64{
		1, 2, 5, 10, 20, 50, 100, 200, 500,
		1 * s, 2 * s, 5 * s, 10 * s, 15 * s, 30 * s,
		1 * m, 2 * m, 5 * m, 10 * m, 15 * m, 30 * m,
		1 * h, 2 * h, 3 * h, 6 * h, 12 * h, 24 * h, 48 * h, 168 * h,
	} {
		if max/step <= float64(n) {
			return step
		}
	}
	return niceStep(max, n)
}

// timeLabel writes a tick of a time axis whose step is given: 15 s, 2 min, 1:30 h.
func timeLabel(ms, step float64) string {
	switch {
	case ms == 0:
		return "0"
	case step >= 72*3600e3:
		return fmt.Sprintf("%g d", ms/86400e3)
	case step < 1000 && ms < 1000:
		return fmt.Sprintf("%g ms", ms)
	case step < 1000:
		return fmt.Sprintf("%g s", ms/1000)
	case step < 60e3 && ms < 60e3:
		return fmt.Sprintf("%g s", ms/1000)
	case step < 60e3:
		return fmt.Sprintf("%d:%02d min", int(ms)/60000, int(ms)/1000%60)
	case step < 3600e3 && ms < 3600e3:
		return fmt.Sprintf("%g min", ms/60e3)
	case step < 3600e3:
		return fmt.Sprintf("%d:%02d h", int(ms)/3600000, int(ms)/60000%60)
	}
	return fmt.Sprintf("%g h", ms/3600e3)
}

// ticks calls f for 0, step, 2·step … up to max.
func ticks(max, step float64, f func(v float64)) {
	if step <= 0 {
		return
	}
	for i := 0; i < 100 && float64(i)*step <= max*1.0001; i++ {
		f(float64(i) * step)
	}
}

func label(x, y float64, s string, ink draw.Ink, anchor draw.Anchor) draw.Text {
	return draw.Text{X: x, Y: y, S: s, Size: 12, Fill: ink, Anchor: anchor}
}
