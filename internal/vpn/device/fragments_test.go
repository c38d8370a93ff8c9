package device

import (
	"strings"
	"testing"
)

func TestFragmentationCanBeOff(t *testing.T) {
	for device, off := range map[string]string{"strongswan": "fragmentation = no", "libreswan": "fragmentation=no", "fortigate": "set fragmentation disable", "paloalto": "fragmentation enable no"} {
		c := cases["psk"]()
		config, err := Render(device, c, Options{})
		if err != nil {
			t.Fatalf("%s: %v", device, err)
		}
		if strings.Contains(whole(config), off) {
			t.Errorf("%s has %q by default", device, off)
		}
		no := false
		for i := range c.Tunnels {
			c.Tunnels[i].IKE.Fragmentation = &no
		}
		if config, err = Render(device, c, Options{}); err != nil {
			t.Fatalf("%s: %v", device, err)
		}
		if !strings.Contains(whole(config), off) {
			t.Errorf("%s has no %q when it is off", device, off)
		}
	}
}

func whole(c Config) string {
	var b strings.Builder
	for _, f := range c.Files {
		b.WriteString(f.Text)
	}
	return b.String()
}
