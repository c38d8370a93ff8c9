package device

import (
	"encoding/json"
	"strings"

	"causeway/internal/vpn"
)

// awsOptions is the value of --options of `aws ec2 create-vpn-connection`, from
// AWS's end: what is local here is remote to the customer gateway.
func awsOptions(v view, o Options) (string, error) {
	type value struct{ Value any }
	type tunnelOptions struct {
		PreSharedKey               string `json:",omitempty"`
		Phase1LifetimeSeconds      int
		Phase2LifetimeSeconds      int
		RekeyMarginTimeSeconds     int
		RekeyFuzzPercentage        int
		ReplayWindowSize           int
		DPDTimeoutSeconds          int
		DPDTimeoutAction           string
		Phase1EncryptionAlgorithms []value
		Phase2EncryptionAlgorithms []value
		Phase1IntegrityAlgorithms  []value
		Phase2IntegrityAlgorithms  []value
		Phase1DHGroupNumbers       []value
		Phase2DHGroupNumbers       []value
		IKEVersions                []value
		StartupAction              string
	}
	options := struct {
		EnableAcceleration    bool
		StaticRoutesOnly      bool
		LocalIpv4NetworkCidr  string
		RemoteIpv4NetworkCidr string
		TunnelOptions         []tunnelOptions
	}{StaticRoutesOnly: true, LocalIpv4NetworkCidr: "0.0.0.0/0", RemoteIpv4NetworkCidr: "0.0.0.0/0"}
	if v.Policy {
		options.LocalIpv4NetworkCidr, options.RemoteIpv4NetworkCidr = v.C.RemoteNetworks[0].String(), v.C.LocalNetworks[0].String()
	}
	for _, t := range v.Tunnels {
		x := tunnelOptions{Phase1LifetimeSeconds: t.IKEMax, Phase2LifetimeSeconds: t.ESPMax, RekeyMarginTimeSeconds: max(60, t.ESPMax-t.ESPRekey),
			ReplayWindowSize: t.Window, DPDTimeoutSeconds: max(30, t.DPDSeconds), IKEVersions: []value{{"ikev2"}}, StartupAction: "add"}
		x.RekeyMarginTimeSeconds = min(x.RekeyMarginTimeSeconds, t.ESPMax/2)
		if t.IKE.Version == 1 {
			x.IKEVersions = []value{{"ikev1"}}
		}
		if t.Rekeying == vpn.RekeyEither {
			x.RekeyFuzzPercentage = 100
		}
		if t.Start == vpn.StartNow && t.IKE.Version == 2 {
			x.StartupAction = "start"
		}
		x.DPDTimeoutAction = map[vpn.DPDAction]string{vpn.DPDClear: "clear", vpn.DPDRestart: "restart", vpn.DPDTrap: "none"}[t.DPD.Action]
		if t.DPD.Off {
			x.DPDTimeoutAction = "none"
		}
		if !o.Hide {
			x.PreSharedKey = t.Auth.PSK.Reveal()
		}
		for _, p := range t.IKE.Proposals {
			x.Phase1EncryptionAlgorithms = append(x.Phase1EncryptionAlgorithms, value{awsCipher[p.Encryption]})
			x.Phase1IntegrityAlgorithms = append(x.Phase1IntegrityAlgorithms, value{awsHash[p.PRF]})
			x.Phase1DHGroupNumbers = append(x.Phase1DHGroupNumbers, value{p.DH})
		}
		for _, p := range t.ESP.Proposals {
			x.Phase2EncryptionAlgorithms = append(x.Phase2EncryptionAlgorithms, value{awsCipher[p.Encryption]})
			hash := p.Integrity
			if hash == "" {
				hash = "sha256" // AWS wants one, and an AEAD cipher does not use it
			}
			x.Phase2IntegrityAlgorithms = append(x.Phase2IntegrityAlgorithms, value{awsHash[hash]})
			if p.DH != 0 {
				x.Phase2DHGroupNumbers = append(x.Phase2DHGroupNumbers, value{p.DH})
			}
		}
		options.TunnelOptions = append(options.TunnelOptions, x)
	}
	b, err := json.Marshal(options)
	return string(b), err
}

var (
	awsCipher = map[string]string{"aes128": "AES128", "aes256": "AES256", "aes128gcm16": "AES128-GCM-16", "aes256gcm16": "AES256-GCM-16"}
	awsHash   = map[string]string{"sha1": "SHA1", "sha256": "SHA2-256", "sha384": "SHA2-384", "sha512": "SHA2-512"}
)

// extraAWS judges what only AWS wants.
func extraAWS(w *writer, c vpn.Connection, j *judgement) {
	for _, side := range []struct {
		field string
		n     int
	}{{"local_networks", len(c.LocalNetworks)}, {"remote_networks", len(c.RemoteNetworks)}} {
		if c.Routing == vpn.PolicyRouting && side.n > 1 {
			j.refuse(side.field, "several networks", "one on AWS, whose tunnels have one pair of SAs", "set routing: route, or join them to one larger network")
		}
	}
	for _, t := range c.Tunnels {
		if vpn.IDKindOf(t.Local.ID) != vpn.IDAddress {
			j.warn("AWS identifies itself by the outside address of the tunnel, not as %s: write that address as remote.id of the other end, once it is known.", t.Local.ID)
		}
		if t.ESP.Proposals[0].DH == 0 {
			j.warn("AWS always uses perfect forward secrecy, with any of its groups: set a group in esp.proposals of both ends.")
		}
		if t.Accelerated && t.Rekeying != vpn.RekeyRemote {
			j.warn("Behind an accelerator let the other end renew keys: set rekeying: remote for AWS's end.")
		}
	}
	if len(c.Tunnels) == 2 && c.Tunnels[0].Remote.Address != c.Tunnels[1].Remote.Address {
		j.warn("A VPN connection of AWS has one customer gateway: both tunnels go to %s.", c.Tunnels[0].Remote.Address)
	}
	if len(c.Tunnels) == 1 {
		j.warn("AWS always makes two tunnels; the second gets a key and parameters of AWS's choice and stays unused.")
	}
	if n := c.Tunnels[0].Remote; n.Domain != "" {
		j.refuse("tunnels[0].remote.domain", n.Domain, "an address", "")
	}
}

var (
	alibabaCipher = map[string]string{"aes128": "aes", "aes192": "aes192", "aes256": "aes256", "des": "des", "3des": "3des"}
	alibabaHash   = map[string]string{"md5": "md5", "sha1": "sha1", "sha256": "sha256", "sha384": "sha384", "sha512": "sha512"}
	alibabaGroup  = map[int]string{1: "group1", 2: "group2", 5: "group5", 14: "group14"}
)

// alibabaIKE is the value of IkeConfig of CreateVpnConnection.
func alibabaIKE(t tunnel, o Options) (string, error) {
	mode := "main"
	if t.IKE.Aggressive {
		mode = "aggressive"
	}
	return compact(struct {
		Psk, IkeVersion, IkeMode, IkeEncAlg, IkeAuthAlg, IkePfs string
		IkeLifetime                                             int
		LocalId, RemoteId                                       string
	}{keyWord(t, o, func(s string) string { return s }), map[int]string{1: "ikev1", 2: "ikev2"}[t.IKE.Version], mode,
		alibabaCipher[t.P.Encryption], alibabaHash[t.P.Integrity], alibabaGroup[t.P.DH], t.IKEMax, t.Local.ID, t.Remote.ID})
}

// alibabaIPsec is the value of IpsecConfig of CreateVpnConnection.
func alibabaIPsec(t tunnel) (string, error) {
	pfs := "disabled"
	if t.E.DH != 0 {
		pfs = alibabaGroup[t.E.DH]
	}
	return compact(struct {
		IpsecEncAlg, IpsecAuthAlg, IpsecPfs string
		IpsecLifetime                       int
	}{alibabaCipher[t.E.Encryption], alibabaHash[t.E.Integrity], pfs, t.ESPMax})
}

// compact is JSON without escapes for < > &, which the CLI would pass on as they stand.
func compact(v any) (string, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return strings.TrimSpace(b.String()), err
}
