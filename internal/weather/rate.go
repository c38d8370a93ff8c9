package weather

import (
	"fmt"
	"strconv"
	"strings"
)

// Rate is a number of bits per second. In text it is a number with an optional
// decimal unit: 50mbit, 8.5mbit, 64kbit, 1gbit, 2000000.
type Rate int64

// Decimal multiples, as every carrier counts.
const (
	Kbit Rate = 1e3
	Mbit Rate = 1e6
	Gbit Rate = 1e9
)

// maxRate is 1 Tbit/s; above it a byte's time rounds to nothing.
const maxRate = 1000 * Gbit

var rateUnits = []struct {
	suffix string
	unit   Rate
}{{"gbit", Gbit}, {"mbit", Mbit}, {"kbit", Kbit}, {"bit", 1}}

// ParseRate reads a rate; it refuses what is negative, not a number, or above 1 Tbit/s.
func ParseRate(s string) (Rate, error) {
	text, unit := strings.ToLower(strings.TrimSpace(s)), Rate(1)
	for _, u := range rateUnits {
		if rest, ok := strings.CutSuffix(text, u.suffix); ok {
			text, unit = strings.TrimSpace(rest), u.unit
			break
		}
	}
	v, err := strconv.ParseFloat(text, 64)
	bits := v * float64(unit)
	if err != nil || !(bits >= 0 && bits <= float64(maxRate)) {
		return 0, fmt.Errorf("rate %q: want bits per second from 0 to 1000gbit, as 50mbit, 64kbit or 2000000", s)
	}
	return Rate(bits), nil
}

// String writes r with the largest unit that divides it.
func (r Rate) String() string {
	for _, u := range rateUnits[:3] {
		if r != 0 && r%u.unit == 0 {
			return strconv.FormatInt(int64(r/u.unit), 10) + u.suffix
		}
	}
	return strconv.FormatInt(int64(r), 10) + "bit"
}

// MarshalText writes what ParseRate reads.
func (r Rate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads as ParseRate does.
func (r *Rate) UnmarshalText(b []byte) error {
	v, err := ParseRate(string(b))
	if err == nil {
		*r = v
	}
	return err
}

// UnmarshalJSON takes a string as ParseRate does, or a bare number of bits per second.
func (r *Rate) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	return r.UnmarshalText([]byte(strings.Trim(string(b), `"`)))
}
