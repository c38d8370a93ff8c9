package resource

import (
	"math"
	"strings"
)

// InstanceSpec is a size of accelerator. Its numbers are Alibaba Cloud's table
// of standard instances; what is 0 is not limited.
type InstanceSpec struct {
	Name     string // as commands and files write it: small-1
	Title    string // as people say it: Small I
	Code     string // as the compatible API writes it: 1
	Regions  int    // acceleration regions, that is IP sets
	Mbps     int    // bandwidth of the Basic package that can be bound, Mbit/s
	Sessions int    // concurrent connections
}

// Custom is the spec without limits, for those who own the machines.
const Custom = "custom"

// InstanceSpecs is the one table of sizes. A size of code N has N times what
// Small I has; from Large I on, every region may be used.
var InstanceSpecs = []InstanceSpec{
	{"small-1", "Small I", "1", 1, 20, 5_000},
	{"small-2", "Small II", "2", 2, 40, 10_000},
	{"small-3", "Small III", "3", 3, 60, 15_000},
	{"medium-1", "Medium I", "5", 5, 100, 25_000},
	{"medium-2", "Medium II", "8", 8, 160, 40_000},
	{"medium-3", "Medium III", "10", 10, 200, 50_000},
	{"large-1", "Large I", "20", 0, 400, 100_000},
	{"large-2", "Large II", "30", 0, 600, 150_000},
	{"large-3", "Large III", "40", 0, 800, 200_000},
	{"large-4", "Large IV", "50", 0, 1_000, 250_000},
	{"large-5", "Large V", "60", 0, 1_200, 300_000},
	{"large-6", "Large VI", "70", 0, 1_400, 350_000},
	{"large-7", "Large VII", "80", 0, 1_600, 400_000},
	{"large-8", "Large VIII", "90", 0, 1_800, 450_000},
	{"super-large-1", "Super Large I", "100", 0, 2_000, 500_000},
	{"super-large-2", "Super Large II", "200", 0, 4_000, 1_000_000},
	{Custom, "Custom", "custom", 0, 0, 0},
}

// LookupSpec finds a size by its name, title or code, in any case.
func LookupSpec(text string) (InstanceSpec, bool) {
	for _, s := range InstanceSpecs {
		if strings.EqualFold(text, s.Name) || strings.EqualFold(text, s.Title) || strings.EqualFold(text, s.Code) {
			return s, true
		}
	}
	return InstanceSpec{}, false
}

// Unlimited reports whether s is the spec without limits.
func (s InstanceSpec) Unlimited() bool { return s.Name == Custom }

// MaxRegions is how many IP sets an accelerator of this size may have.
func (s InstanceSpec) MaxRegions() int { return orInfinite(s.Regions) }

// MaxMbps is the largest Basic package it can have bound.
func (s InstanceSpec) MaxMbps() int { return orInfinite(s.Mbps) }

// MaxSessions is how many connections it may have at once.
func (s InstanceSpec) MaxSessions() int { return orInfinite(s.Sessions) }

func orInfinite(n int) int {
	if n == 0 {
		return math.MaxInt
	}
	return n
}
