package cli

import (
	"bytes"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"causeway/internal/resource"
	"causeway/internal/strictyaml"
)

func yes() *bool { v := true; return &v }

func exampleWorld() world {
	weight := 0
	return world{
		Regions: []resource.Region{{Meta: resource.Meta{Name: "kr-seoul", Title: "Seoul: 서울", Description: "- not a list"}}},
		PoPs: []resource.PoP{{Meta: resource.Meta{Name: "seoul"}, PoPSpec: resource.PoPSpec{Region: "kr-seoul", Relay: yes(),
			Overlay:   []resource.OverlayAddress{{Name: "on", Bind: netip.MustParseAddrPort("[2001:db8::1]:4600"), MTU: 1400}},
			Addresses: []resource.PoolAddress{{Bind: netip.MustParseAddr("10.0.0.1"), Public: netip.MustParseAddr("203.0.113.1"), Use: resource.UseEgress}}}}},
		Listeners: []resource.Listener{{Meta: resource.Meta{Name: "123"}, ListenerSpec: resource.ListenerSpec{Accelerator: "a", Ports: []resource.PortRange{{From: 500}, {From: 5000, To: 5010}},
			IdleTimeout: 90 * time.Second, Allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")}}}},
		EndpointGroups: []resource.EndpointGroup{{Meta: resource.Meta{Name: "g"}, EndpointGroupSpec: resource.EndpointGroupSpec{Listener: "123", Region: "kr-seoul",
			Endpoints: []resource.Endpoint{{Address: netip.MustParseAddr("198.51.100.7")}, {Domain: "vpn.example.com", Weight: &weight}}}}},
	}
}

func TestWhatIsExportedIsReadBackAsTheSame(t *testing.T) {
	for _, yaml := range []bool{true, false} {
		want := exampleWorld()
		var b bytes.Buffer
		if err := printSpec(&b, want, yaml); err != nil {
			t.Fatal(err)
		}
		var got world
		if err := strictyaml.Decode("export", b.Bytes(), &got); err != nil {
			t.Fatalf("%v\n%s", err, b.String())
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("yaml %v: read back as\n%+v\nfrom\n%s", yaml, got, b.String())
		}
	}
}

func TestADescriptionHasEverythingInOrder(t *testing.T) {
	l := exampleWorld().Listeners[0]
	l.Revision, l.Status.State = 7, resource.Active
	var b bytes.Buffer
	if err := printTree(&b, &l, true); err != nil {
		t.Fatal(err)
	}
	const want = `name: "123"
revision: 7
accelerator: a
ports:
  - from: 500
  - from: 5000
    to: 5010
idle_timeout: 1m30s
allow:
  - 192.0.2.0/24
  - "2001:db8::/32"
status:
  state: active
`
	if b.String() != want {
		t.Errorf("got\n%s", b.String())
	}
}

// Any text comes back from YAML as it was.
func FuzzYAMLText(f *testing.F) {
	for _, s := range []string{"", "no", "null", "~", "1.5", "1e3", "0x1f", "1_000", ".inf", "a: b", "- a", "#", "'", "\"", "a\nb", " a", "a ", "\t", "{", "[a]", "&a", "*a", "!t", "%", "@", "`", "2001-01-01", "12:30:45", "서울", "192.0.2.0/24", "5m0s", "=", "<<", "y"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
			return
		}
		var b bytes.Buffer
		writeYAML(&b, []pair{{"list", []any{s, []pair{{"a", s}}}}, {"text", s}}, 0, false)
		var got struct {
			Text string `yaml:"text"`
			List []any  `yaml:"list"`
		}
		if err := strictyaml.Decode("fuzz", b.Bytes(), &got); err != nil {
			t.Fatalf("%q is written as\n%s\nwhich cannot be read: %v", s, b.String(), err)
		}
		if got.Text != s || got.List[0] != any(s) || got.List[1].(map[string]any)["a"] != any(s) {
			t.Fatalf("%q is written as\n%s\nand read back as %q, %q", s, b.String(), got.Text, got.List)
		}
	})
}
