package dataplane

import (
	"errors"
	"net/netip"
	"testing"
)

func TestADeviceThatCannotBeTakenCostsNothingButSpeed(t *testing.T) {
	alone()
	noLeaks(t)
	in, _ := twoPlanes(t, netip.MustParseAddr("192.0.2.1"))
	p, _ := runPlane(t, Config{Key: key(t, 1), XDP: []string{"nosuch0"}})
	if err := p.Apply(in); err != nil {
		t.Fatal(err)
	}
	if on, known := p.Report().Features[FeatureXDP]; on || !known {
		t.Errorf("feature xdp: on %v, known %v", on, known)
	}
	if err := p.SetXDP(true); !errors.Is(err, ErrNoXDP) {
		t.Errorf("switch on: %v", err)
	}
}
