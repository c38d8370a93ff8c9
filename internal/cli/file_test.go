package cli

import (
	"strings"
	"testing"
)

func TestSecretsInFilesAreHiddenWhereTheyStand(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"psk: abc123", "psk: xxxxxx"},
		{"    auth: {method: psk, psk: \"a, b}\"}\n", "    auth: {method: psk, psk: xxxxxxx}\n"},
		{"auth_key: 'ü'", "auth_key: xxx"},
		{"private_key: |\n  -----BEGIN", "private_key: |\n  -----BEGIN"},
		{"{\"psk\": \"s\", \"mtu\": 9}", "{\"psk\": xxx, \"mtu\": 9}"},
		{"method: psk\nmtu: 9", "method: psk\nmtu: 9"},
	} {
		if got := string(hideSecrets([]byte(c.text))); got != c.want {
			t.Errorf("%q becomes %q, want %q", c.text, got, c.want)
		}
	}
}

func TestAMistakeBesideASecretDoesNotShowIt(t *testing.T) {
	for _, text := range []string{
		"ipsec_connections:\n  - {name: a, vpn_gateway: g, customer_gateway: c, remote_networks: [10.0.0.0/8], tunnels: [{auth: {psk: canary-7}, mtu: 1}]}\n",
		"ipsec_connections:\n  - {name: a, vpn_gatewy: g, tunnels: [{auth: {psk: canary-7}}]}\n",
		"customer_gateways:\n  - {name: a, region: r, address: 192.0.2.1, asn: 45104, auth_key: canary-7}\n",
	} {
		_, err := readFile("-", strings.NewReader(text))
		if err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s\nis answered with: %v", text, err)
		}
	}
}
