package aliyunapi

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"causeway/internal/control/service"
	"causeway/internal/resource"
	"causeway/internal/vpn"
)

const connectionNote = "what IkeConfig and IpsecConfig leave out takes Causeway's defaults (IKEv2, AES-256, SHA-256, group 14), not the vendor's; BGP and RemoteCaCertificate are refused; " +
	"AcceleratorId and AcceleratorSide (client, endpoint) are parameters of ours that lead the connection through an accelerator"

var vpnConnectionActions = []action{
	{name: "CreateVpnConnection", kind: resource.KindIPsecConnection, verdict: differs, note: connectionNote, writes: true, do: createVPNConnection},
	{name: "DescribeVpnConnection", kind: resource.KindIPsecConnection, verdict: differs, note: "keys are shown to operators and admins, masked for readers", do: describeVPNConnection},
	{name: "DescribeVpnConnections", kind: resource.KindIPsecConnection, verdict: differs, note: "keys are masked in lists", do: describeVPNConnections},
	{name: "ModifyVpnConnectionAttribute", kind: resource.KindIPsecConnection, verdict: differs, note: connectionNote, writes: true, do: modifyVPNConnection},
	{name: "DeleteVpnConnection", kind: resource.KindIPsecConnection, verdict: supported, writes: true, do: deleteVPNConnection},
	{name: "DownloadVpnConnectionConfig", kind: resource.KindIPsecConnection, verdict: supported, note: "from the peer's viewpoint, with its keys: operators and admins only; device configurations are made by causeway vpn config", do: downloadConfig},
	{name: "DescribeVpnCrossAccountAuthorizations", kind: resource.KindIPsecConnection, verdict: differs, note: "always empty: there is one account", do: noAuthorizations},
}

func createVPNConnection(c *call) (reply, error) {
	gateway, err := c.params.need("VpnGatewayId")
	if err != nil {
		return nil, err
	}
	in := resource.IPsecConnection{IPsecConnectionSpec: resource.IPsecConnectionSpec{VPNGateway: gateway, CustomerGateway: c.params.text("CustomerGatewayId")}}
	for _, name := range []string{"LocalSubnet", "RemoteSubnet"} {
		if _, err := c.params.need(name); err != nil {
			return nil, err
		}
	}
	if err := c.connection(&in); err != nil {
		return nil, err
	}
	if in.CustomerGateway == "" && in.Accelerator == "" && !slices.ContainsFunc(in.Tunnels, func(t resource.IPsecTunnel) bool { return t.CustomerGateway != "" }) {
		return nil, refuse("MissingParameter", "the parameter CustomerGatewayId is needed")
	}
	if in.Tags, err = c.sentTags("Tags"); err != nil {
		return nil, err
	}
	made, err := c.service.CreateIPsecConnection(c.ctx, c.write(c.steadyGateway(gateway)), in)
	if err != nil {
		return nil, err
	}
	return reply{"VpnConnectionId": made.ID, "Name": made.Title, "CreateTime": millis(&made)}, nil
}

// everywhere is what the vendor says for routing by destination.
var everywhere = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}

// connection takes what a request says about a connection over.
func (c *call) connection(o *resource.IPsecConnection) error {
	p := c.params
	c.rename(&o.Meta)
	if p.sent("LocalSubnet") || p.sent("RemoteSubnet") {
		if err := c.subnets(o); err != nil {
			return err
		}
	}
	if id := p.text("AcceleratorId"); id != "" {
		o.Accelerator, o.Side = id, resource.AcceleratorSide(p.text("AcceleratorSide"))
	}
	for _, name := range []string{"EnableTunnelsBgp"} {
		if on, err := p.flag(name, false); err != nil || on {
			return orRefuse(err, "OperationDenied.NotSupported", "%s is true; allowed: false, as BGP is left to the devices", name)
		}
	}
	if on, err := p.in("BgpConfig").flag("EnableBgp", false); err != nil || on {
		return orRefuse(err, "OperationDenied.NotSupported", "BgpConfig.EnableBgp is true; allowed: false, as BGP is left to the devices")
	}
	remember(&o.Meta, "EffectImmediately", p.text("EffectImmediately"))
	remember(&o.Meta, "AutoConfigRoute", p.text("AutoConfigRoute"))
	if err := c.vpnHealth(o); err != nil {
		return err
	}
	specs, err := p.list("TunnelOptionsSpecification")
	if err != nil {
		return err
	}
	o.Tunnels = slices.Clone(o.Tunnels)
	if len(specs) == 0 {
		if len(o.Tunnels) == 0 {
			o.Tunnels = make([]resource.IPsecTunnel, 1)
		}
		for i := range o.Tunnels {
			if err := c.tunnel(&o.Tunnels[i], p, "Ike", "Ipsec"); err != nil {
				return err
			}
		}
		return nil
	}
	if len(specs) > resource.MaxTunnels {
		return refuse("InvalidParameter", "TunnelOptionsSpecification has %d tunnels; allowed: %d", len(specs), resource.MaxTunnels)
	}
	for len(o.Tunnels) < len(specs) {
		o.Tunnels = append(o.Tunnels, resource.IPsecTunnel{})
	}
	for i, spec := range specs {
		t := &o.Tunnels[i]
		if id := spec.text("TunnelId"); id != "" && o.ID != "" {
			n := slices.IndexFunc(o.Tunnels, func(t resource.IPsecTunnel) bool { return false })
			for k := range o.Tunnels {
				if tunnelID(o, k) == id {
					n = k
				}
			}
			if n < 0 {
				return refuse("InvalidTunnelId.NotFound", "the connection has no tunnel %s", clip(id))
			}
			t = &o.Tunnels[n]
		}
		if role := spec.text("Role"); role != "" {
			t.Role = resource.TunnelRole(role)
		}
		if customer := spec.text("CustomerGatewayId"); customer != "" {
			t.CustomerGateway = customer
		}
		if err := c.tunnel(t, spec, "TunnelIke", "TunnelIpsec"); err != nil {
			return err
		}
	}
	return nil
}

func (c *call) subnets(o *resource.IPsecConnection) (err error) {
	if c.params.sent("LocalSubnet") {
		if o.LocalNetworks, err = c.prefixes("LocalSubnet", "IllegalParam.LocalSubnet"); err != nil {
			return err
		}
	}
	if c.params.sent("RemoteSubnet") {
		if o.RemoteNetworks, err = c.prefixes("RemoteSubnet", "IllegalParam.RemoteSubnet"); err != nil {
			return err
		}
	}
	o.Routing = vpn.PolicyRouting
	if slices.Equal(o.LocalNetworks, everywhere) && slices.Equal(o.RemoteNetworks, everywhere) {
		o.Routing, o.LocalNetworks, o.RemoteNetworks = vpn.RouteRouting, nil, nil
	}
	return nil
}

// vpnHealth reads HealthCheckConfig.
func (c *call) vpnHealth(o *resource.IPsecConnection) error {
	if !c.params.sent("HealthCheckConfig") {
		return nil
	}
	p := c.params.in("HealthCheckConfig")
	on, err := p.flag("enable", false)
	if err != nil {
		return err
	}
	if !on {
		o.HealthCheck = nil
		return nil
	}
	h := &vpn.HealthCheck{KeepRoute: p.text("Policy") == "reserve_route", Reset: true}
	for name, into := range map[string]*netip.Addr{"dip": &h.Destination, "sip": &h.Source} {
		if *into, err = netip.ParseAddr(p.text(name)); err != nil {
			return refuse("InvalidParameter", "HealthCheckConfig.%s is %q; allowed: an IP address", name, clip(p.text(name)))
		}
	}
	seconds, err := p.number("interval", 1, 60, 3)
	if err != nil {
		return err
	}
	h.Interval = time.Duration(seconds) * time.Second
	if h.Retries, err = p.number("retry", 1, 10, 3); err != nil {
		return err
	}
	o.HealthCheck = h
	return nil
}

// The vendor's words for algorithms.
var cipherWords = map[string]string{"aes128": "aes", "aes192": "aes192", "aes256": "aes256", "des": "des", "3des": "3des"}

// tunnel reads a tunnel's parameters; those of the two phases are under
// prefix+"Config": IkeConfig of a connection, TunnelIkeConfig of a tunnel.
func (c *call) tunnel(t *resource.IPsecTunnel, p *params, ike, ipsec string) error {
	if p.text("RemoteCaCertificate") != "" {
		return refuse("OperationDenied.NotSupported", "RemoteCaCertificate: certificates are given with causeway ipsec-connection update")
	}
	natt, err := p.flag("EnableNatTraversal", t.NATT == nil || *t.NATT)
	if err != nil {
		return err
	}
	if p.given("EnableNatTraversal") {
		t.NATT = &natt
	}
	if p.given("EnableDpd") {
		on, err := p.flag("EnableDpd", true)
		if err != nil {
			return err
		}
		t.DPD.Off = !on
	}
	if now, err := c.params.flag("EffectImmediately", false); err != nil {
		return err
	} else if c.params.given("EffectImmediately") {
		if t.Start = vpn.StartTraffic; now {
			t.Start = vpn.StartNow
		}
	}
	first := p.in(ike + "Config")
	if psk := first.text("Psk"); psk != "" {
		t.Auth.PSK = vpn.Secret(psk)
	}
	if id := first.text("LocalId"); id != "" {
		t.LocalID = id
	}
	if id := first.text("RemoteId"); id != "" {
		t.RemoteID = id
	}
	switch version := first.text("IkeVersion"); version {
	case "":
	case "ikev1", "ikev2":
		t.IKE.Version = atoi(version[4:])
	default:
		return refuse("IllegalParam.IkeConfig", "IkeVersion is %q; allowed: ikev1, ikev2", clip(version))
	}
	switch mode := first.text("IkeMode"); mode {
	case "", "main":
		t.IKE.Aggressive = mode == "" && t.IKE.Aggressive
	case "aggressive":
		t.IKE.Aggressive = t.IKE.Version == 1
	default:
		return refuse("IllegalParam.IkeConfig", "IkeMode is %q; allowed: main, aggressive", clip(mode))
	}
	if t.IKE.Proposals, err = proposal(first, "Ike", t.IKE.Proposals, vpn.DefaultIKE[0], "IllegalParam.IkeConfig"); err != nil {
		return err
	}
	if t.IKE.Lifetime, err = lifetime(first, "IkeLifetime", t.IKE.Lifetime, "IllegalParam.IkeConfig"); err != nil {
		return err
	}
	second := p.in(ipsec + "Config")
	if t.ESP.Proposals, err = proposal(second, "Ipsec", t.ESP.Proposals, vpn.DefaultESP[0], "IllegalParam.IpsecConfig"); err != nil {
		return err
	}
	t.ESP.Lifetime, err = lifetime(second, "IpsecLifetime", t.ESP.Lifetime, "IllegalParam.IpsecConfig")
	return err
}

// proposal reads one set of algorithms; what is not said stays, or is the default.
func proposal(p *params, prefix string, old []vpn.Proposal, fallback vpn.Proposal, code string) ([]vpn.Proposal, error) {
	encryption, integrity, group := p.text(prefix+"EncAlg"), p.text(prefix+"AuthAlg"), p.text(prefix+"Pfs")
	if encryption == "" && integrity == "" && group == "" {
		return old, nil
	}
	next := fallback
	if len(old) > 0 {
		next = old[0]
	}
	if encryption != "" {
		name, err := meaning(cipherWords, prefix+"EncAlg", encryption)
		if err != nil {
			return nil, refuse(code, "%sEncAlg is %q; allowed: aes, aes192, aes256, des, 3des", prefix, clip(encryption))
		}
		next.Encryption = name
	}
	if integrity != "" {
		if !slices.ContainsFunc(vpn.Hashes, func(a vpn.Algorithm) bool { return a.Name == integrity }) {
			return nil, refuse(code, "%sAuthAlg is %q; allowed: md5, sha1, sha256, sha384, sha512", prefix, clip(integrity))
		}
		next.Integrity, next.PRF = integrity, ""
		if prefix == "Ike" {
			next.PRF = integrity
		}
	}
	switch number, err := strconv.Atoi(strings.TrimPrefix(group, "group")); {
	case group == "":
	case group == "disabled" && prefix == "Ipsec":
		next.DH = 0
	case err != nil || !strings.HasPrefix(group, "group") || !slices.ContainsFunc(vpn.Groups, func(g vpn.Group) bool { return g.Number == number }):
		return nil, refuse(code, "%sPfs is %q; allowed: group1, group2, group5, group14 and further groups", prefix, clip(group))
	default:
		next.DH = number
	}
	return []vpn.Proposal{next}, nil
}

func lifetime(p *params, name string, old time.Duration, code string) (time.Duration, error) {
	if !p.given(name) {
		return old, nil
	}
	n, err := p.number(name, 0, 7*86400, 0)
	if err != nil {
		return 0, refuse(code, "%s is %q; allowed: seconds", name, clip(p.text(name)))
	}
	return time.Duration(n) * time.Second, nil
}

// tunnelID is how clients know a connection's i-th tunnel.
func tunnelID(o *resource.IPsecConnection, i int) string {
	return fmt.Sprintf("tun-%s-%d", strings.TrimPrefix(o.ID, "vco-"), i+1)
}

// shown is what o is at both ends of its tunnels, in the vendor's words. Keys are
// those that o has.
type shown struct {
	ike, ipsec    []reply  // of each tunnel
	local, remote []string // addresses of each tunnel
}

func (s *scene) shown(o *resource.IPsecConnection) (v shown) {
	g := find(s.World.VPNGateways, o.VPNGateway)
	for i := range o.Tunnels {
		t := &o.Tunnels[i]
		local, remote := "", ""
		if g != nil {
			if _, public := g.PublicOf(t.Address); public.IsValid() {
				local = public.String()
			}
		}
		name := t.CustomerGateway
		if name == "" {
			name = o.CustomerGateway
		}
		if customer := find(s.World.CustomerGateways, name); customer != nil {
			remote = customer.Where()
		}
		v.local, v.remote = append(v.local, local), append(v.remote, remote)
		key := t.Auth.PSK.Reveal()
		if resource.IsSealed(t.Auth.PSK) {
			key = vpn.Mask
		}
		v.ike = append(v.ike, ikeReply(t, key, orElse(t.LocalID, local), orElse(t.RemoteID, remote)))
		v.ipsec = append(v.ipsec, ipsecReply(t))
	}
	return v
}

func orElse(text, fallback string) string {
	if text != "" {
		return text
	}
	return fallback
}

func firstOf(list []vpn.Proposal, fallback vpn.Proposal) vpn.Proposal {
	if len(list) > 0 {
		return list[0]
	}
	return fallback
}

func groupWord(n int) string {
	if n == 0 {
		return "disabled"
	}
	return fmt.Sprintf("group%d", n)
}

func cipherWord(name string) string { return orElse(cipherWords[name], name) }

func ikeReply(t *resource.IPsecTunnel, key, localID, remoteID string) reply {
	p, version, mode, life := firstOf(t.IKE.Proposals, vpn.DefaultIKE[0]), t.IKE.Version, "main", t.IKE.Lifetime
	if version == 0 {
		version = 2
	}
	if t.IKE.Aggressive {
		mode = "aggressive"
	}
	if life == 0 {
		life = 24 * time.Hour
	}
	return reply{"Psk": key, "IkeVersion": fmt.Sprintf("ikev%d", version), "IkeMode": mode, "IkeEncAlg": cipherWord(p.Encryption), "IkeAuthAlg": p.Integrity, "IkePfs": groupWord(p.DH),
		"IkeLifetime": int(life / time.Second), "LocalId": localID, "RemoteId": remoteID}
}

func ipsecReply(t *resource.IPsecTunnel) reply {
	p, life := firstOf(t.ESP.Proposals, vpn.DefaultESP[0]), t.ESP.Lifetime
	if life == 0 {
		life = time.Hour
	}
	return reply{"IpsecEncAlg": cipherWord(p.Encryption), "IpsecAuthAlg": p.Integrity, "IpsecPfs": groupWord(p.DH), "IpsecLifetime": int(life / time.Second)}
}

// subnets is a list of prefixes in the vendor's spelling.
func subnetWords(list []netip.Prefix) string {
	if len(list) == 0 {
		return "0.0.0.0/0"
	}
	texts := make([]string, len(list))
	for i, p := range list {
		texts[i] = p.String()
	}
	return strings.Join(texts, ",")
}

// connectionState says what a connection's state is besides its tunnels'.
func connectionStates(o *resource.IPsecConnection) (status, state string) {
	switch s := o.Status.State; s {
	case resource.IKENotEstablished, resource.IKEEstablished, resource.IPsecNotEstablished, resource.IPsecEstablished:
		return string(s), "active"
	case resource.Configuring:
		return string(resource.IKENotEstablished), "updating"
	}
	return string(resource.IKENotEstablished), "active"
}

func vpnConnectionReply(s *scene, o *resource.IPsecConnection) reply {
	status, state := connectionStates(o)
	v := s.shown(o)
	r := reply{
		"VpnConnectionId": o.ID, "Name": o.Title, "VpnGatewayId": idOf(s.World.VPNGateways, o.VPNGateway), "CustomerGatewayId": idOf(s.World.CustomerGateways, o.CustomerGateway),
		"LocalSubnet": subnetWords(o.LocalNetworks), "RemoteSubnet": subnetWords(o.RemoteNetworks), "Status": status, "State": state, "CreateTime": millis(o),
		"EffectImmediately": said(&o.Meta, "EffectImmediately", "false") == "true", "EnableTunnelsBgp": false, "AttachType": "VPNGateway", "NetworkType": "public", "AttachInstanceId": "", "Spec": "", "ZoneNo": "",
		"InternetIp": "", "TransitRouterId": "", "TransitRouterName": "", "CrossAccountAuthorized": false, "ResourceGroupId": "", "RemoteCaCertificate": "", "Description": o.Description,
		"VcoHealthCheck": vcoHealth(o), "VpnBgpConfig": reply{"EnableBgp": "false", "Status": "false"}, "Tags": reply{"Tag": tagList(&o.Meta)}, "Tag": reply{"Tag": tagList(&o.Meta)},
	}
	tunnels := []reply{}
	for i := range o.Tunnels {
		t := &o.Tunnels[i]
		natt, dpd := t.NATT == nil || *t.NATT, !t.DPD.Off
		if i == 0 {
			r["IkeConfig"], r["IpsecConfig"], r["EnableNatTraversal"], r["EnableDpd"], r["InternetIp"] = v.ike[0], v.ipsec[0], natt, dpd, v.local[0]
		}
		one := status
		if i < len(o.Status.Tunnels) {
			one = string(o.Status.Tunnels[i].State)
		}
		tunnels = append(tunnels, reply{"TunnelId": tunnelID(o, i), "TunnelIndex": i + 1, "Role": string(t.Role), "InternetIp": v.local[i], "State": "active", "Status": one, "ZoneNo": "", "RemoteCaCertificate": "",
			"CustomerGatewayId": idOf(s.World.CustomerGateways, orElse(t.CustomerGateway, o.CustomerGateway)), "EnableNatTraversal": fmt.Sprint(natt), "EnableDpd": fmt.Sprint(dpd),
			"TunnelIkeConfig": stringly(v.ike[i]), "TunnelIpsecConfig": stringly(v.ipsec[i]), "TunnelBgpConfig": reply{}})
	}
	if len(o.Tunnels) < 2 {
		tunnels = []reply{}
	}
	r["TunnelOptionsSpecification"] = reply{"TunnelOptions": tunnels}
	return r
}

// stringly has numbers as texts, as tunnels have them.
func stringly(r reply) reply {
	next := reply{}
	for name, value := range r {
		next[name] = fmt.Sprint(value)
	}
	return next
}

func vcoHealth(o *resource.IPsecConnection) reply {
	h := o.HealthCheck
	if h == nil {
		return reply{"Enable": "false", "Dip": "", "Sip": "", "Interval": 0, "Retry": 0, "Status": "", "Policy": ""}
	}
	policy := "revoke_route"
	if h.KeepRoute {
		policy = "reserve_route"
	}
	return reply{"Enable": "true", "Dip": h.Destination.String(), "Sip": h.Source.String(), "Interval": int(h.Interval / time.Second), "Retry": h.Retries, "Status": o.Status.Health, "Policy": policy}
}

// opened is a connection with its keys, for those who may see them.
func (c *call) opened(o resource.IPsecConnection) resource.IPsecConnection {
	found, err := c.service.RevealSecrets(c.ctx, c.read(), resource.RefOf(&o))
	if open, ok := found.(*resource.IPsecConnection); err == nil && ok {
		open.Status = o.Status
		return *open
	}
	return o
}

func (c *call) readConnection() (resource.IPsecConnection, *scene, error) {
	id, err := c.params.need("VpnConnectionId")
	if err != nil {
		return resource.IPsecConnection{}, nil, err
	}
	o, err := c.service.GetIPsecConnection(c.ctx, c.read(), id)
	if err != nil {
		return o, nil, err
	}
	s, err := c.scene()
	return o, s, err
}

func describeVPNConnection(c *call) (reply, error) {
	o, s, err := c.readConnection()
	if err != nil {
		return nil, err
	}
	o = c.opened(o)
	return vpnConnectionReply(s, &o), nil
}

func describeVPNConnections(c *call) (reply, error) {
	all, s, err := listed(c, c.service.ListIPsecConnections, service.Query{VPNGateway: c.params.text("VpnGatewayId")})
	if err != nil {
		return nil, err
	}
	id, customer := c.params.text("VpnConnectionId"), c.params.text("CustomerGatewayId")
	all = slices.DeleteFunc(all, func(o resource.IPsecConnection) bool {
		return id != "" && o.ID != id && o.Name != id || customer != "" && idOf(s.World.CustomerGateways, o.CustomerGateway) != customer
	})
	return wrapped(c, "VpnConnections", "VpnConnection", all, func(o *resource.IPsecConnection) reply { return vpnConnectionReply(s, o) })
}

// gatewayOf is the gateway of a connection, "" when there is no such connection.
func (c *call) gatewayOf(connection string) string {
	o, err := c.service.GetIPsecConnection(c.ctx, c.read(), connection)
	if err != nil {
		return ""
	}
	return o.VPNGateway
}

func modifyVPNConnection(c *call) (reply, error) {
	id, err := c.params.need("VpnConnectionId")
	if err != nil {
		return nil, err
	}
	if _, err := c.service.UpdateIPsecConnection(c.ctx, c.write(c.steadyGateway(c.gatewayOf(id))), id, c.connection); err != nil {
		return nil, err
	}
	return describeVPNConnection(c)
}

func deleteVPNConnection(c *call) (reply, error) {
	id, err := c.params.need("VpnConnectionId")
	if err != nil {
		return nil, err
	}
	_, err = c.service.DeleteIPsecConnection(c.ctx, c.write(c.steadyGateway(c.gatewayOf(id))), id)
	return reply{}, err
}

// downloadConfig is what the device at the far end is to be set to: its own end
// is the local one.
func downloadConfig(c *call) (reply, error) {
	o, s, err := c.readConnection()
	if err != nil {
		return nil, err
	}
	if _, err := c.service.RevealSecrets(c.ctx, c.read(), resource.RefOf(&o)); err != nil {
		return nil, err
	}
	o = c.opened(o)
	v := s.shown(&o)
	swap := func(r reply) reply {
		r["LocalId"], r["RemoteId"] = r["RemoteId"], r["LocalId"]
		return r
	}
	config := reply{"LocalSubnet": subnetWords(o.RemoteNetworks), "RemoteSubnet": subnetWords(o.LocalNetworks), "Local": "", "Remote": ""}
	tunnels := []reply{}
	for i := range v.ike {
		one := reply{"TunnelId": tunnelID(&o, i), "Local": v.remote[i], "Remote": v.local[i], "IkeConfig": swap(v.ike[i]), "IpsecConfig": v.ipsec[i]}
		if i == 0 {
			config["Local"], config["Remote"], config["IkeConfig"], config["IpsecConfig"] = one["Local"], one["Remote"], one["IkeConfig"], one["IpsecConfig"]
		}
		tunnels = append(tunnels, one)
	}
	if len(tunnels) < 2 {
		tunnels = []reply{}
	}
	config["TunnelsConfig"] = reply{"TunnelConfig": tunnels}
	return reply{"VpnConnectionConfig": config}, nil
}

func noAuthorizations(c *call) (reply, error) {
	if _, _, err := c.readConnection(); err != nil {
		return nil, err
	}
	return reply{"CrossAccountAuthorizations": []reply{}, "TotalCount": 0, "PageNumber": 1, "PageSize": 10}, nil
}
