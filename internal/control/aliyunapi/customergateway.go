package aliyunapi

import (
	"net/netip"
	"slices"
	"strconv"

	"causeway/internal/control/service"
	"causeway/internal/resource"
	"causeway/internal/vpn"
)

var customerGatewayActions = []action{
	{name: "CreateCustomerGateway", kind: resource.KindCustomerGateway, verdict: supported, writes: true, do: createCustomerGateway},
	{name: "DescribeCustomerGateway", kind: resource.KindCustomerGateway, verdict: supported, do: describeCustomerGateway},
	{name: "DescribeCustomerGateways", kind: resource.KindCustomerGateway, verdict: supported, do: describeCustomerGateways},
	{name: "ModifyCustomerGatewayAttribute", kind: resource.KindCustomerGateway, verdict: supported, writes: true, do: modifyCustomerGateway},
	{name: "DeleteCustomerGateway", kind: resource.KindCustomerGateway, verdict: supported, writes: true, do: deleteCustomerGateway},
}

func createCustomerGateway(c *call) (reply, error) {
	region, err := c.region()
	if err != nil {
		return nil, err
	}
	text, err := c.params.need("IpAddress")
	if err != nil {
		return nil, err
	}
	address, err := netip.ParseAddr(text)
	if err != nil {
		return nil, refuse("InvalidIpAddress.WrongFormat", "IpAddress is %q; allowed: an IP address", clip(text))
	}
	in := resource.CustomerGateway{CustomerGatewaySpec: resource.CustomerGatewaySpec{Region: region, Address: address, AuthKey: vpn.Secret(c.params.text("AuthKey"))}}
	c.rename(&in.Meta)
	if asn := c.params.text("Asn"); asn != "" {
		n, err := strconv.ParseUint(asn, 10, 32)
		if err != nil {
			return nil, refuse("InvalidParameter", "Asn is %q; allowed: 1 to 4294967295", clip(asn))
		}
		in.ASN = uint32(n)
	}
	if in.Tags, err = c.sentTags("Tags"); err != nil {
		return nil, err
	}
	made, err := c.service.CreateCustomerGateway(c.ctx, c.write(nil), in)
	if err != nil {
		return nil, err
	}
	r := customerGatewayReply(&made)
	return reply{"CustomerGatewayId": made.ID, "IpAddress": r["IpAddress"], "Name": made.Title, "Description": made.Description, "CreateTime": millis(&made)}, nil
}

func customerGatewayReply(g *resource.CustomerGateway) reply {
	key := ""
	if g.AuthKey != "" {
		key = vpn.Mask
	}
	return reply{"CustomerGatewayId": g.ID, "IpAddress": g.Where(), "Name": g.Title, "Description": g.Description, "Asn": int64(g.ASN), "AuthKey": key, "CreateTime": millis(g), "ResourceGroupId": "",
		"Tags": reply{"Tag": tagList(&g.Meta)}}
}

func describeCustomerGateway(c *call) (reply, error) {
	id, err := c.params.need("CustomerGatewayId")
	if err != nil {
		return nil, err
	}
	g, err := c.service.GetCustomerGateway(c.ctx, c.read(), id)
	if err != nil {
		return nil, err
	}
	return customerGatewayReply(&g), nil
}

func describeCustomerGateways(c *call) (reply, error) {
	all, err := everything(c, c.service.ListCustomerGateways, service.Query{})
	if err != nil {
		return nil, err
	}
	if id := c.params.text("CustomerGatewayId"); id != "" {
		all = slices.DeleteFunc(all, func(g resource.CustomerGateway) bool { return g.ID != id && g.Name != id })
	}
	return wrapped(c, "CustomerGateways", "CustomerGateway", all, customerGatewayReply)
}

func modifyCustomerGateway(c *call) (reply, error) {
	id, err := c.params.need("CustomerGatewayId")
	if err != nil {
		return nil, err
	}
	g, err := c.service.UpdateCustomerGateway(c.ctx, c.write(nil), id, func(g *resource.CustomerGateway) error {
		c.rename(&g.Meta)
		if key := c.params.text("AuthKey"); key != "" {
			g.AuthKey = vpn.Secret(key)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return customerGatewayReply(&g), nil
}

func deleteCustomerGateway(c *call) (reply, error) {
	id, err := c.params.need("CustomerGatewayId")
	if err != nil {
		return nil, err
	}
	_, err = c.service.DeleteCustomerGateway(c.ctx, c.write(nil), id)
	return reply{}, err
}
