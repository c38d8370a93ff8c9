package vpngw

import (
	"strings"
	"testing"
)

const file = `format: 1
version: 3
name: shanghai
connections:
  - name: seoul
    local_networks: [10.1.0.0/24]
    remote_networks: [10.2.0.0/24]
    tunnels:
      - name: seoul-1
        local: {id: sh.lab}
        remote: {address: 203.0.113.10, id: se.lab}
        auth: {psk: CANARY-psk-0123456789abcdef}
        nat_t: true
        dpd: {delay: 10s}
      - name: seoul-2
        local: {id: sh2.lab}
        remote: {address: 203.0.113.11, id: se.lab}
        auth: {psk: CANARY-other-0123456789abc}
        nat_t: true
routes:
  - {destination: 10.3.0.0/16, connection: seoul, publish: true}
`

func TestASnapshotIsRead(t *testing.T) {
	g, err := parse("gw.yaml", []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	if len(g.Connections[0].Tunnels) != 2 || g.Connections[0].Tunnels[0].Window != 1024 || g.RouteTables[0] != 254 {
		t.Errorf("read %+v", g)
	}
}

func TestMistakesAreNamedAndSecretsAreNot(t *testing.T) {
	for _, c := range []struct{ name, old, new, want string }{
		{"a format of the future", "format: 1", "format: 2", "format"},
		{"an unknown field", "nat_t: true\n        dpd", "nat: true\n        dpd", "nat_t"},
		{"a tunnel's name twice", "seoul-2", "seoul-1", "no other tunnel"},
		{"one pair of identities with two keys", "sh2.lab", "sh.lab", "the same key"},
		{"a route of nobody", "connection: seoul,", "connection: soul,", "routes[0].connection"},
		{"no key", "psk: CANARY-other-0123456789abc", "psk: \"\"", "psk"},
		{"a key that is a number", "psk: CANARY-other-0123456789abc", "psk: 98765432109876", "psk"},
		{"a key where the whole should be", "auth: {psk: CANARY-other-0123456789abc}", "auth: CANARY-other-0123456789abc", "auth"},
		{"a mistake beside a key", "auth: {psk: CANARY-other-0123456789abc}", "auth: {psk: CANARY-other-0123456789abc, methode: psk}", "method"},
		{"a network that is none", "[10.2.0.0/24]", "[10.2.0.1/24]", "remote_networks"},
		{"a table that is taken", "routes:", "route_tables: [220]\nroutes:", "route_tables"},
	} {
		text := strings.Replace(file, c.old, c.new, 1)
		if text == file {
			t.Fatalf("%s: the test changes nothing", c.name)
		}
		_, err := parse("gw.yaml", []byte(text))
		switch {
		case err == nil:
			t.Errorf("%s: taken", c.name)
		case !strings.Contains(err.Error(), c.want):
			t.Errorf("%s: %v", c.name, err)
		case strings.Contains(err.Error(), "CANARY") || strings.Contains(err.Error(), "98765432109876"):
			t.Errorf("%s: the refusal tells the key: %v", c.name, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(file))
	f.Add([]byte(`{"format":1,"name":"x"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		g, err := parse("gw.yaml", data)
		if err != nil {
			return
		}
		plan(g, true)
		newHider(g)
		routing(g, nil, nil)
	})
}
