package aliyunapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"slices"
	"strconv"

	"causeway/internal/control/service"
	"causeway/internal/resource"
)

const gatewayNote = "a gateway is a machine of yours: without the parameter InternetIp (ours) the request takes over one that an admin made with causeway vpn-gateway create in the client's region and that nobody has yet"

var vpnGatewayActions = []action{
	{name: "CreateVpnGateway", kind: resource.KindVPNGateway, verdict: differs, note: gatewayNote + "; UserCidr (ours) lists public prefixes that are used as private ones", writes: true, do: createVPNGateway},
	{name: "DescribeVpnGateway", kind: resource.KindVPNGateway, verdict: supported, do: describeVPNGateway},
	{name: "DescribeVpnGateways", kind: resource.KindVPNGateway, verdict: supported, do: describeVPNGateways},
	{name: "ModifyVpnGatewayAttribute", kind: resource.KindVPNGateway, verdict: supported, writes: true, do: modifyVPNGateway},
	{name: "DeleteVpnGateway", kind: resource.KindVPNGateway, verdict: differs, note: "a gateway that was taken over is given back, and stays", writes: true, do: deleteVPNGateway},
	{name: "DescribeVpnGatewayAvailableZones", kind: resource.KindVPNGateway, verdict: differs, note: "a region is its only zone", do: describeZones},
	{name: "CheckVpnBgpEnabled", kind: resource.KindVPNGateway, verdict: differs, note: "always false: BGP is left to the devices", do: checkBGP},
	{name: "MoveVpnResourceGroup", kind: resource.KindVPNGateway, verdict: refused, note: "there are no resource groups", do: refusing("OperationDenied.NotSupported", "there are no resource groups here; tags may serve instead")},
	{name: "AssociateVpnGatewayWithCertificate", kind: resource.KindVPNGateway, verdict: refused, note: "certificates belong to tunnels here", do: refusing("OperationDenied.NotSupported", "certificates belong to tunnels here: causeway ipsec-connection update")},
	{name: "DissociateVpnGatewayWithCertificate", kind: resource.KindVPNGateway, verdict: refused, note: "certificates belong to tunnels here", do: refusing("OperationDenied.NotSupported", "certificates belong to tunnels here: causeway ipsec-connection update")},
	{name: "ListVpnCertificateAssociations", kind: resource.KindVPNGateway, verdict: differs, note: "always empty", do: noCertificates},
}

// takenOver marks a gateway that an admin made and a client took over.
const takenOver = "taken-over"

// region is the region that a request is sent to.
func (c *call) region() (string, error) {
	id, err := c.params.need("RegionId")
	if err != nil {
		return "", err
	}
	s, err := c.scene()
	if err != nil {
		return "", err
	}
	name := regionName(&s.World, id)
	if find(s.World.Regions, name) == nil {
		return "", refuse("InvalidRegionId.NotFound", "there is no region %s; name one so, or give one the tag %s=%s", clip(id), regionTag, clip(id))
	}
	return name, nil
}

func createVPNGateway(c *call) (reply, error) {
	region, err := c.region()
	if err != nil {
		return nil, err
	}
	if ssl, err := c.params.flag("EnableSsl", false); err != nil || ssl {
		return nil, orRefuse(err, "OperationDenied.NotSupported", "EnableSsl is true; allowed: false, as there is no SSL-VPN")
	}
	cidrs, err := c.prefixes("UserCidr", "InvalidParameter")
	if err != nil {
		return nil, err
	}
	if c.params.text("InternetIp") == "" {
		return c.takeOver(region, cidrs)
	}
	address, err := netip.ParseAddr(c.params.text("InternetIp"))
	if err != nil {
		return nil, refuse("InvalidParameter", "InternetIp is %q; allowed: the gateway's IP address", clip(c.params.text("InternetIp")))
	}
	in := resource.VPNGateway{VPNGatewaySpec: resource.VPNGatewaySpec{Region: region, Addresses: []resource.GatewayAddress{{Bind: address}}, UserCIDRs: cidrs}}
	if err := c.gateway(&in); err != nil {
		return nil, err
	}
	made, err := c.service.CreateVPNGateway(c.ctx, c.write(nil), in)
	if err != nil {
		return nil, err
	}
	return reply{"VpnGatewayId": made.ID, "Name": made.Title, "OrderId": 0}, nil
}

// gateway takes what a request says about a VPN gateway over.
func (c *call) gateway(g *resource.VPNGateway) (err error) {
	c.rename(&g.Meta)
	for _, name := range []string{"VpcId", "VSwitchId", "DisasterRecoveryVSwitchId", "Bandwidth", "InstanceChargeType", "NetworkType", "VpnType"} {
		remember(&g.Meta, name, c.params.text(name))
	}
	if c.params.given("AutoPropagate") {
		if g.Propagate, err = c.params.flag("AutoPropagate", false); err != nil {
			return err
		}
	}
	tags, err := c.sentTags("Tags")
	if len(tags) > 0 {
		g.Tags = tags
	}
	return err
}

// takeOver gives the client a gateway of the region that nobody has.
func (c *call) takeOver(region string, cidrs []netip.Prefix) (reply, error) {
	all, err := everything(c, c.service.ListVPNGateways, service.Query{Region: region})
	if err != nil {
		return nil, err
	}
	token := ""
	if t := c.params.text("ClientToken"); t != "" {
		sum := sha256.Sum256([]byte(c.caller.Name + "/" + t))
		token = hex.EncodeToString(sum[:16])
	}
	for i := range all {
		if token != "" && all[i].Compat[takenOver] == token { // this very request did it
			return reply{"VpnGatewayId": all[i].ID, "Name": all[i].Title, "OrderId": 0}, nil
		}
	}
	for i := range all {
		g := &all[i]
		if len(g.Compat) > 0 {
			continue
		}
		sc := c.write(nil)
		sc.Token, sc.Expect = "", g.Revision // two clients at once get two gateways
		taken, err := c.service.UpdateVPNGateway(c.ctx, sc, g.ID, func(g *resource.VPNGateway) error {
			if len(cidrs) > 0 {
				g.UserCIDRs = cidrs
			}
			remember(&g.Meta, takenOver, token+"-")
			if token != "" {
				remember(&g.Meta, takenOver, token)
			}
			return c.gateway(g)
		})
		if resource.CodeOf(err) == resource.CodeRevisionMoved {
			continue
		}
		if err != nil {
			return nil, err
		}
		return reply{"VpnGatewayId": taken.ID, "Name": taken.Title, "OrderId": 0}, nil
	}
	return nil, refuse("Resource.QuotaFull", "no VPN gateway in %s is free: make one with causeway vpn-gateway create, or give its address as InternetIp", region)
}

// prefixes reads CIDRs with commas between, or as a list.
func (c *call) prefixes(name, code string) ([]netip.Prefix, error) {
	texts, err := c.params.texts(name)
	if err != nil {
		return nil, err
	}
	var list []netip.Prefix
	for _, text := range texts {
		p, err := netip.ParsePrefix(text)
		if a, bad := netip.ParseAddr(text); err != nil && bad == nil {
			p, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		if err != nil {
			return nil, refuse(code, "%s has %q; allowed: an IP prefix, such as 192.168.10.0/24", name, clip(text))
		}
		list = append(list, p)
	}
	return list, nil
}

// gatewayStatus is a VPN gateway's state in the vendor's words.
func gatewayStatus(g *resource.VPNGateway) string {
	switch g.Status.State {
	case resource.NotEnrolled:
		return "provisioning"
	case resource.Configuring, resource.Refused, resource.Away:
		return "updating"
	}
	return "active"
}

func vpnGatewayReply(g *resource.VPNGateway) reply {
	address := func(i int) string {
		if i < len(g.Addresses) {
			return g.Addresses[i].Public.String()
		}
		return ""
	}
	spec := ""
	if mbps := g.Compat["Bandwidth"]; mbps != "" {
		spec = mbps + "M"
	}
	return reply{
		"VpnGatewayId": g.ID, "Name": g.Title, "Description": g.Description, "Status": gatewayStatus(g), "BusinessStatus": "Normal", "InternetIp": address(0), "DisasterRecoveryInternetIp": address(1),
		"VpcId": g.Compat["VpcId"], "VSwitchId": g.Compat["VSwitchId"], "DisasterRecoveryVSwitchId": g.Compat["DisasterRecoveryVSwitchId"], "Spec": spec, "VpnType": said(&g.Meta, "VpnType", "Normal"),
		"NetworkType": said(&g.Meta, "NetworkType", "public"), "ChargeType": said(&g.Meta, "InstanceChargeType", "POSTPAY"), "IpsecVpn": "enable", "SslVpn": "disable", "SslMaxConnections": 0, "SslVpnInternetIp": "",
		"EnableBgp": false, "AutoPropagate": g.Propagate, "CreateTime": millis(g), "EndTime": neverExpires, "Tag": "{}", "ResourceGroupId": "",
		"EniInstanceIds": reply{"EniInstanceId": []string{}}, "ReservationData": reply{}, "Tags": reply{"Tag": tagList(&g.Meta)},
	}
}

func describeVPNGateway(c *call) (reply, error) {
	id, err := c.params.need("VpnGatewayId")
	if err != nil {
		return nil, err
	}
	g, err := c.service.GetVPNGateway(c.ctx, c.read(), id)
	if err != nil {
		return nil, err
	}
	return vpnGatewayReply(&g), nil
}

func describeVPNGateways(c *call) (reply, error) {
	all, err := everything(c, c.service.ListVPNGateways, service.Query{})
	if err != nil {
		return nil, err
	}
	id, status, vpc := c.params.text("VpnGatewayId"), c.params.text("Status"), c.params.text("VpcId")
	all = slices.DeleteFunc(all, func(g resource.VPNGateway) bool {
		return id != "" && g.ID != id && g.Name != id || status != "" && gatewayStatus(&g) != status || vpc != "" && g.Compat["VpcId"] != vpc
	})
	return wrapped(c, "VpnGateways", "VpnGateway", all, vpnGatewayReply)
}

// wrapped is a page in the Vpc product's form: the list is inside an object.
func wrapped[T any](c *call, outer, inner string, all []T, one func(*T) reply) (reply, error) {
	r, err := page(c, inner, all, one)
	if err != nil {
		return nil, err
	}
	r[outer] = reply{inner: r[inner]}
	delete(r, inner)
	return r, nil
}

// steadyGateway refuses a change while the gateway has not said that it runs the
// one before.
func (c *call) steadyGateway(id string) func(context.Context) error {
	return func(ctx context.Context) error {
		if id == "" {
			return nil
		}
		g, err := c.service.GetVPNGateway(ctx, c.read(), id)
		if err == nil && g.Status.State == resource.Configuring {
			return refuse("VpnGateway.Configuring", "VPN gateway %s is being configured: its agent has not said yet that it runs the change before this one; try again", g.ID)
		}
		return err
	}
}

func modifyVPNGateway(c *call) (reply, error) {
	id, err := c.params.need("VpnGatewayId")
	if err != nil {
		return nil, err
	}
	if _, err := c.service.UpdateVPNGateway(c.ctx, c.write(c.steadyGateway(id)), id, c.gateway); err != nil {
		return nil, err
	}
	g, err := c.service.GetVPNGateway(c.ctx, c.read(), id)
	r := vpnGatewayReply(&g)
	r["IntranetIp"] = ""
	return r, err
}

func deleteVPNGateway(c *call) (reply, error) {
	id, err := c.params.need("VpnGatewayId")
	if err != nil {
		return nil, err
	}
	g, err := c.service.GetVPNGateway(c.ctx, c.read(), id)
	if err != nil {
		return nil, err
	}
	if g.Compat[takenOver] == "" {
		_, err = c.service.DeleteVPNGateway(c.ctx, c.write(c.steadyGateway(id)), id)
		return reply{}, err
	}
	connections, err := c.service.ListIPsecConnections(c.ctx, c.read(), service.Query{VPNGateway: g.Name})
	if err != nil {
		return nil, err
	}
	if connections.Total > 0 {
		return nil, refuse("DependencyViolation.VpnConnection", "VPN gateway %s has %d connections; delete those first", g.ID, connections.Total)
	}
	_, err = c.service.UpdateVPNGateway(c.ctx, c.write(c.steadyGateway(id)), id, func(g *resource.VPNGateway) error {
		g.Compat, g.Title, g.Description, g.Tags, g.Propagate = nil, "", "", nil, false
		return nil
	})
	return reply{}, err
}

func describeZones(c *call) (reply, error) {
	list, err := c.regions(func(*scene, *resource.Region) bool { return true })
	if err != nil {
		return nil, err
	}
	zones := []reply{}
	for i := range list {
		zones = append(zones, reply{"ZoneId": regionID(&list[i]), "ZoneName": regionID(&list[i])})
	}
	return reply{"RegionId": c.params.text("RegionId"), "AvailableZoneIdList": zones}, nil
}

func checkBGP(c *call) (reply, error) {
	_, err := c.service.ListVPNGateways(c.ctx, c.read(), service.Query{Limit: 1})
	return reply{"BgpEnabled": false}, err
}

func noCertificates(c *call) (reply, error) {
	_, err := c.service.ListVPNGateways(c.ctx, c.read(), service.Query{Limit: 1})
	return reply{"VpnCertificateRelations": []reply{}, "TotalCount": 0, "MaxResults": 20, "NextToken": ""}, err
}

// atoi is a number that was checked before.
func atoi(s string) int { n, _ := strconv.Atoi(s); return n }
