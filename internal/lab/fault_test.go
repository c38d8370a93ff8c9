package lab

import (
	"strings"
	"testing"

	"causeway/internal/vpn"
	"causeway/internal/vpn/device"
)

func TestEveryFaultCanBeWrittenDown(t *testing.T) {
	s := load(t, "rekey")
	tunnel, _ := s.Tunnel("accelerated")
	r := &faultRig{l: &Lab{Scenario: s}, tunnel: tunnel}
	near, far := r.healthy()
	if near.Tunnels[0].Remote.Address.String() != "203.0.113.10" || far.Tunnels[0].Remote.Address.String() != "203.0.113.20" {
		t.Errorf("the peers are not the accelerator's addresses: %v, %v", near.Tunnels[0].Remote, far.Tunnels[0].Remote)
	}
	write := func(c vpn.Connection) string {
		config, err := device.Render("strongswan", c, device.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return config.Files[0].Text
	}
	wrong := 0
	seen := map[string]bool{}
	for _, f := range Faults() {
		near, far := r.healthy()
		nearText, farText := write(near), write(far)
		if f.near != nil {
			f.near(&near)
		}
		if f.far != nil {
			f.far(&far)
		}
		changed := write(near) != nearText || write(far) != farText || f.before != nil || f.after != nil || f.certs != nil
		if f.Near == "" || f.Title == "" || seen[f.Name] || changed != (f.Name != "none") {
			t.Errorf("%s: changed %v, near end to say %q", f.Name, changed, f.Near)
		}
		seen[f.Name] = true
		if f.Near != vpn.NoExceptionFound {
			wrong++
		}
		if f.conf != nil && f.conf(write(near)) == write(near) {
			t.Errorf("%s: its change of the file changes nothing", f.Name)
		}
	}
	if wrong < 12 {
		t.Errorf("%d faults; at least twelve were promised", wrong)
	}
}

func TestFaultsAreFoundByName(t *testing.T) {
	if all, err := FaultsNamed(nil); err != nil || len(all) != len(Faults()) {
		t.Errorf("all: %d, %v", len(all), err)
	}
	some, err := FaultsNamed([]string{"ike-group", "psk"})
	if err != nil || len(some) != 2 || some[0].Name != "ike-group" {
		t.Errorf("two: %+v, %v", some, err)
	}
	if _, err := FaultsNamed([]string{"nonsense"}); err == nil || !strings.Contains(err.Error(), "ike-group") {
		t.Errorf("one that is none: %v", err)
	}
}
