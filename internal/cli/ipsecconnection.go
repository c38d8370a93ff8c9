package cli

import (
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"causeway/internal/resource"
	"causeway/internal/vpn"
)

var ipsecConnectionNoun = noun{
	kind:    resource.KindIPsecConnection,
	about:   "An IPsec connection joins the networks behind a VPN gateway with those behind a customer gateway, by one tunnel or two, directly or through an accelerator.",
	create:  "office --vpn-gateway shanghai-gw --customer-gateway seoul-office --remote 10.2.0.0/16 --accelerator sha-sel",
	change:  "office --remote 10.2.0.0/16 --remote 10.3.0.0/16",
	filters: []string{"vpn-gateway", "accelerator", "region"},
	secrets: true,
	flags:   ipsecConnectionFlags,
	columns: []column{
		col("VPN GATEWAY", func(o *resource.IPsecConnection) any { return o.VPNGateway }),
		col("PEER", func(o *resource.IPsecConnection) any {
			var peers []string
			for _, t := range o.Status.Tunnels {
				peers = append(peers, t.Peer)
			}
			return firstLine(strings.Join(peers, ","), "-")
		}),
		col("STATE", func(o *resource.IPsecConnection) any { return stateCell(o.Status.State) }),
		col(">UP", func(o *resource.IPsecConnection) any {
			up := 0
			for _, t := range o.Status.Tunnels {
				if t.State == resource.IPsecEstablished {
					up++
				}
			}
			return fmt.Sprintf("%d/%d", up, len(o.Tunnels))
		}),
		col("REMOTE", func(o *resource.IPsecConnection) any { return joined(o.RemoteNetworks) }),
		wideCol("LOCAL", func(o *resource.IPsecConnection) any { return joined(o.LocalNetworks) }),
		wideCol("ACCELERATOR", func(o *resource.IPsecConnection) any { return o.Accelerator }),
		wideCol("ACTIVE", func(o *resource.IPsecConnection) any { return joined(o.Status.Active) }),
		wideCol("HEALTH", func(o *resource.IPsecConnection) any { return o.Status.Health }),
		wideCol("REASON", func(o *resource.IPsecConnection) any { return o.Status.Reason }),
	},
}

// ipsecConnectionFlags are those of the connection, then those that set the same
// in every tunnel: --tunnel comes first, so that these find the tunnels.
func ipsecConnectionFlags(s *specFlags) {
	type connection = resource.IPsecConnection
	if !s.update {
		textFlag(s, "vpn-gateway", "this end (must be given)", func(o *connection) *string { return &o.VPNGateway })
	}
	textFlag(s, "customer-gateway", "the far end", func(o *connection) *string { return &o.CustomerGateway })
	listFlag(s, "local", "a network behind this end; once for each (default: the gateway's)", func(o *connection) *[]netip.Prefix { return &o.LocalNetworks }, parsePrefix)
	listFlag(s, "remote", "a network behind the far end; once for each", func(o *connection) *[]netip.Prefix { return &o.RemoteNetworks }, parsePrefix)
	textFlag(s, "routing", "policy: the networks decide; route: routes do (default policy)", func(o *connection) *vpn.Routing { return &o.Routing })
	textFlag(s, "redundancy", "of two tunnels: active-standby or active-active (default active-standby)", func(o *connection) *vpn.Redundancy { return &o.Redundancy })
	textFlag(s, "accelerator", "go through this one: its address is the peer", func(o *connection) *string { return &o.Accelerator })
	textFlag(s, "side", "of the accelerator that this end is on: client or endpoint (default client)", func(o *connection) *resource.AcceleratorSide { return &o.Side })
	textFlag(s, "ip-set", "whose accelerated IP is the peer (default: the nearest)", func(o *connection) *string { return &o.IPSet })
	textFlag(s, "endpoint-group", "whose egress IP is the peer (default: the one this gateway is in)", func(o *connection) *string { return &o.EndpointGroup })
	optionalBoolFlag(s, "enabled", "be up", func(o *connection) **bool { return &o.Enabled })
	health := s.command.Flags().String("health-check", "", "SOURCE,destination=ADDRESS[,interval=T][,retries=N][,keep-route=true][,reset=true]; none: not at all")
	add(s, "health-check", func(o *connection) error {
		if o.HealthCheck = nil; *health == "none" {
			return nil
		}
		var h vpn.HealthCheck
		if err := parseFields(*health, "source", &h); err != nil {
			return err
		}
		o.HealthCheck = &h
		return nil
	})
	listFlag(s, "tunnel", "one of two tunnels: ROLE[,customer-gateway=NAME][,address=ADDRESS][,ip-set=NAME][,local-id=ID][,remote-id=ID]…, ROLE being master or slave; once for each",
		func(o *connection) *[]resource.IPsecTunnel { return &o.Tunnels }, func(text string) (t resource.IPsecTunnel, err error) {
			return t, parseFields(text, "role", &t)
		})
	tunnelText(s, "local-id", "this end's IKE identity", func(t *resource.IPsecTunnel, v string) error { t.LocalID = v; return nil })
	tunnelText(s, "remote-id", "the far end's IKE identity", func(t *resource.IPsecTunnel, v string) error { t.RemoteID = v; return nil })
	secretFlag(s, "psk", "pre-shared key (default: one is made)", func(o *connection) []*vpn.Secret {
		return eachSecret(o, func(a *vpn.Auth) *vpn.Secret { return &a.PSK })
	})
	tunnelText(s, "certificate-file", "PEM of this end's certificate; makes it prove itself by that", func(t *resource.IPsecTunnel, v string) error {
		t.Auth.Method, t.Auth.PSK = vpn.Certificate, ""
		return readInto(&t.Auth.Certificate, v)
	})
	tunnelText(s, "private-key-file", "PEM of its private key", func(t *resource.IPsecTunnel, v string) error { return readInto(&t.Auth.PrivateKey, v) })
	tunnelText(s, "ca-file", "PEM of whom the far end's certificate must come from", func(t *resource.IPsecTunnel, v string) error { return readInto(&t.Auth.CA, v) })
	tunnelText(s, "ike-version", "1 or 2 (default 2)", func(t *resource.IPsecTunnel, v string) (err error) { t.IKE.Version, err = strconv.Atoi(v); return err })
	tunnelText(s, "ike-proposals", "in order of preference, with commas between, such as aes256-sha256-14,aes256gcm16-sha384-20", func(t *resource.IPsecTunnel, v string) (err error) {
		t.IKE.Proposals, err = parseProposals(v, true)
		return err
	})
	tunnelText(s, "esp-proposals", "likewise; without a group there is no perfect forward secrecy", func(t *resource.IPsecTunnel, v string) (err error) {
		t.ESP.Proposals, err = parseProposals(v, false)
		return err
	})
	tunnelText(s, "ike-lifetime", "5m to 168h (default 24h)", func(t *resource.IPsecTunnel, v string) (err error) {
		t.IKE.Lifetime, err = time.ParseDuration(v)
		return err
	})
	tunnelText(s, "esp-lifetime", "2m to 24h (default 1h)", func(t *resource.IPsecTunnel, v string) (err error) {
		t.ESP.Lifetime, err = time.ParseDuration(v)
		return err
	})
	tunnelText(s, "nat-t", "true or false: ESP in UDP 4500 always (default true)", func(t *resource.IPsecTunnel, v string) error {
		on, err := strconv.ParseBool(v)
		t.NATT = &on
		return err
	})
	tunnelText(s, "dpd", "DELAY[,action=restart|clear|trap], or off (default 30s)", func(t *resource.IPsecTunnel, v string) error {
		if t.DPD = (vpn.DPD{}); v == "off" {
			t.DPD.Off = true
			return nil
		}
		return parseFields(v, "delay", &t.DPD)
	})
	tunnelText(s, "start", "who begins: start, traffic or peer (default start)", func(t *resource.IPsecTunnel, v string) error { t.Start = vpn.Start(v); return nil })
	tunnelText(s, "rekeying", "which end renews keys: either, local or remote (default either)", func(t *resource.IPsecTunnel, v string) error { t.Rekeying = vpn.Rekeying(v); return nil })
	tunnelText(s, "replay-window", "packets, 32 to 2048 (default 1024)", func(t *resource.IPsecTunnel, v string) (err error) { t.Window, err = strconv.Atoi(v); return err })
	tunnelText(s, "mtu", "of packets inside, bytes (default: worked out)", func(t *resource.IPsecTunnel, v string) (err error) { t.MTU, err = strconv.Atoi(v); return err })
}

// tunnelText is a flag that sets a field of every tunnel; of a connection
// without any, it makes one.
func tunnelText(s *specFlags, name, usage string, set func(*resource.IPsecTunnel, string) error) {
	value := s.command.Flags().String(name, "", usage)
	add(s, name, func(o *resource.IPsecConnection) error {
		for i := range tunnelsOf(o) {
			if err := set(&o.Tunnels[i], *value); err != nil {
				return err
			}
		}
		return nil
	})
}

func tunnelsOf(o *resource.IPsecConnection) []resource.IPsecTunnel {
	if len(o.Tunnels) == 0 {
		o.Tunnels = []resource.IPsecTunnel{{}}
	}
	return o.Tunnels
}

func eachSecret(o *resource.IPsecConnection, of func(*vpn.Auth) *vpn.Secret) (list []*vpn.Secret) {
	for i := range tunnelsOf(o) {
		list = append(list, of(&o.Tunnels[i].Auth))
	}
	return list
}

func readInto[S ~string](field *S, file string) error {
	text, err := os.ReadFile(file)
	*field = S(text)
	return err
}

// parseProposals reads "aes256-sha256-14,aes256gcm16-20": the cipher, its
// integrity or, of IKE with a cipher that needs none, the PRF, and the group.
func parseProposals(text string, ike bool) ([]vpn.Proposal, error) {
	var list []vpn.Proposal
	for one := range strings.SplitSeq(text, ",") {
		words := strings.Split(one, "-")
		p := vpn.Proposal{Encryption: words[0]}
		words = words[1:]
		if n := len(words); n > 0 {
			if group, ok := parseGroup(words[n-1]); ok {
				p.DH, words = group, words[:n-1]
			}
		}
		cipher, _ := vpn.CipherOf(p.Encryption)
		if !cipher.AEAD && len(words) > 0 {
			p.Integrity, words = words[0], words[1:]
		}
		if ike && len(words) > 0 {
			p.PRF, words = words[0], words[1:]
		}
		if len(words) > 0 {
			return nil, fmt.Errorf("%q: found %q; allowed: CIPHER-INTEGRITY-GROUP, such as aes256-sha256-14, or CIPHER-GROUP of one that needs no integrity", one, strings.Join(words, "-"))
		}
		list = append(list, p)
	}
	return list, nil
}

func parseGroup(word string) (int, bool) {
	if n, err := strconv.Atoi(word); err == nil {
		return n, true
	}
	for _, g := range vpn.Groups {
		if g.Name == word {
			return g.Number, true
		}
	}
	return 0, false
}
