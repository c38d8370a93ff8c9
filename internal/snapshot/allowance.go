package snapshot

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// Allowance bounds what the listeners and groups that name it may use together
// on this PoP: a bandwidth package's Mbit/s, an accelerator's connections. Packets
// beyond it are dropped and counted.
type Allowance struct {
	Name string `json:"name" yaml:"name"`
	// Rate is in bit/s of UDP payload, for each direction by itself; 8,000 to
	// 1e12. 0: not bounded.
	Rate int64 `json:"rate,omitempty" yaml:"rate,omitempty"`
	// Burst is how many bytes may come at once after a pause, 2,048 to 1 GiB;
	// default: what Rate carries in 100 ms, at least 64 KiB. Without Rate: none.
	Burst int64 `json:"burst,omitempty" yaml:"burst,omitempty"`
	// Sessions is how many confirmed sessions may exist at once, up to
	// 4,000,000. 0: not bounded.
	Sessions int `json:"sessions,omitempty" yaml:"sessions,omitempty"`
}

// Bounds of allowances.
const (
	MinRate, MaxRate   int64 = 8_000, 1_000_000_000_000 // bit/s
	MinBurst, MaxBurst int64 = 2_048, 1 << 30           // bytes
	MaxAllowances            = 8                        // of one listener or group
	leastDefaultBurst  int64 = 64 << 10
)

func (a Allowance) withDefaults() Allowance {
	if a.Rate != 0 {
		a.Burst = cmp.Or(a.Burst, min(max(a.Rate/8/10, leastDefaultBurst), MaxBurst))
	}
	return a
}

// allowanceList judges the list itself.
func (j *judge) allowanceList() {
	seen := map[string]int{}
	for i, a := range j.Allowances {
		path := fmt.Sprintf("allowances[%d]", i)
		j.name(path+".name", a.Name)
		j.once(path+".name", a.Name, seen, i, "allowances[%d].name")
		if a.Rate != 0 && (a.Rate < MinRate || a.Rate > MaxRate) {
			j.refuse(path+".rate", a.Rate, fmt.Sprintf("%d to %d bit/s", MinRate, MaxRate), "leave it out to bound no bandwidth")
		}
		switch {
		case a.Burst != 0 && a.Rate == 0:
			j.refuse(path+".burst", a.Burst, "nothing without a rate", "give rate as well, or leave burst out")
		case a.Burst != 0 && (a.Burst < MinBurst || a.Burst > MaxBurst):
			j.refuse(path+".burst", a.Burst, fmt.Sprintf("%d to %d bytes", MinBurst, MaxBurst), "leave it out for 100 ms of the rate")
		}
		j.between(path+".sessions", a.Sessions, 0, MaxSessions, "sessions")
	}
}

// allowanceNames judges the names that a listener or a group gives.
func (j *judge) allowanceNames(path string, names []string) {
	if len(names) > MaxAllowances {
		j.refuse(path, len(names), fmt.Sprintf("at most %d", MaxAllowances), "each packet is held against all of them")
		return
	}
	for k, name := range names {
		at := fmt.Sprintf("%s[%d]", path, k)
		if !j.allowances[name] {
			j.reference(at, name, "the name of an allowance", slices.Sorted(maps.Keys(j.allowances)))
		} else if slices.Contains(names[:k], name) {
			j.refuse(at, name, "each allowance once", "remove the repetition")
		}
	}
}
