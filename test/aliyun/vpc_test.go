package aliyun

import (
	"testing"

	"github.com/aliyun/alibaba-cloud-sdk-go/sdk"
	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/auth/credentials"
	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/requests"
	"github.com/aliyun/alibaba-cloud-sdk-go/services/vpc"
)

func vpcClient(t *testing.T) *vpc.Client {
	t.Helper()
	c, err := vpc.NewClientWithOptions("cn-shanghai", sdk.NewConfig().WithScheme("HTTPS"), credentials.NewAccessKeyCredential(access.id, access.secret))
	if err != nil {
		t.Fatal(err)
	}
	c.Domain = endpoint
	c.SetHTTPSInsecure(true)
	return c
}

// TestTheVPNPartOfTheWalkThrough is sections 4.3, 4.5, 4.7, 4.8 and 4.10 of the
// tutorial: the gateway, the far end, the connection with a key that no log may
// have, the route, the download, and what the consoles show.
func TestTheVPNPartOfTheWalkThrough(t *testing.T) {
	c := vpcClient(t)
	g := vpc.CreateCreateVpnGatewayRequest()
	g.Name, g.VpcId, g.Bandwidth, g.EnableIpsec, g.AutoPay = "shanghai", "vpc-1", requests.NewInteger(10), requests.NewBoolean(true), requests.NewBoolean(true)
	g.QueryParams["InternetIp"] = "203.0.113.50"
	gateway := must(c.CreateVpnGateway(g))(t).VpnGatewayId
	describe := vpc.CreateDescribeVpnGatewayRequest()
	describe.VpnGatewayId = gateway
	if d := must(c.DescribeVpnGateway(describe))(t); d.InternetIp != "203.0.113.50" || d.Spec != "10M" || d.IpsecVpn != "enable" || d.Name != "shanghai" {
		t.Errorf("the gateway reads %+v", d)
	}
	cgw := vpc.CreateCreateCustomerGatewayRequest()
	cgw.IpAddress, cgw.Name = "203.0.113.99", "accelerated IP"
	customer := must(c.CreateCustomerGateway(cgw))(t).CustomerGatewayId
	vco := vpc.CreateCreateVpnConnectionRequest()
	vco.VpnGatewayId, vco.CustomerGatewayId, vco.LocalSubnet, vco.RemoteSubnet, vco.Name = gateway, customer, "192.168.0.0/16", "172.31.0.0/16", "to Seoul"
	vco.IkeConfig = `{"Psk":"` + canary + `","IkeVersion":"ikev2","IkeMode":"main","IkeEncAlg":"aes","IkeAuthAlg":"sha1","IkePfs":"group2","IkeLifetime":28800}`
	vco.IpsecConfig = `{"IpsecEncAlg":"aes","IpsecAuthAlg":"sha1","IpsecPfs":"group2","IpsecLifetime":3600}`
	vco.EffectImmediately, vco.EnableNatTraversal, vco.EnableDpd = requests.NewBoolean(true), requests.NewBoolean(true), requests.NewBoolean(true)
	connection := must(c.CreateVpnConnection(vco))(t).VpnConnectionId
	read := vpc.CreateDescribeVpnConnectionRequest()
	read.VpnConnectionId = connection
	if d := must(c.DescribeVpnConnection(read))(t); d.IkeConfig.Psk != canary || d.IkeConfig.IkeLifetime != 28800 || d.IpsecConfig.IpsecEncAlg != "aes" || d.IkeConfig.RemoteId != "203.0.113.99" || !d.EnableNatTraversal || d.Status == "" {
		t.Errorf("the connection reads %+v", d)
	}
	route := vpc.CreateCreateVpnPbrRouteEntryRequest()
	route.VpnGatewayId, route.RouteSource, route.RouteDest, route.NextHop, route.Weight, route.PublishVpc = gateway, "192.168.0.0/16", "172.31.0.0/16", connection, requests.NewInteger(100), requests.NewBoolean(true)
	must(c.CreateVpnPbrRouteEntry(route))(t)
	routes := vpc.CreateDescribeVpnPbrRouteEntriesRequest()
	routes.VpnGatewayId = gateway
	if l := must(c.DescribeVpnPbrRouteEntries(routes))(t).VpnPbrRouteEntries.VpnPbrRouteEntry; len(l) != 1 || l[0].State != "published" || l[0].NextHop != connection {
		t.Errorf("the routes are %+v", l)
	}
	download := vpc.CreateDownloadVpnConnectionConfigRequest()
	download.VpnConnectionId = connection
	if d := must(c.DownloadVpnConnectionConfig(download))(t).VpnConnectionConfig; d.Local != "203.0.113.99" || d.Remote != "203.0.113.50" || d.LocalSubnet != "172.31.0.0/16" || d.IkeConfig.Psk != canary {
		t.Errorf("the download reads %+v", d)
	}
	diagnose := vpc.CreateDiagnoseVpnConnectionsRequest()
	diagnose.VpnConnectionIds = &[]string{connection}
	if d := must(c.DiagnoseVpnConnections(diagnose))(t).VpnConnections; len(d) != 1 || d[0].FailedReasonCode == "" || d[0].VpnConnectionId != connection {
		t.Errorf("the diagnosis reads %+v", d)
	}
	second := vpc.CreateCreateCustomerGatewayRequest()
	second.IpAddress = "203.0.113.98"
	other := must(c.CreateCustomerGateway(second))(t).CustomerGatewayId
	twoTunnels(t, c, gateway, customer, other)
	drop := vpc.CreateDeleteCustomerGatewayRequest()
	drop.CustomerGatewayId = other
	must(c.DeleteCustomerGateway(drop))(t)
	gone := vpc.CreateDeleteVpnPbrRouteEntryRequest()
	gone.VpnGatewayId, gone.RouteSource, gone.RouteDest, gone.NextHop, gone.Weight = gateway, "192.168.0.0/16", "172.31.0.0/16", connection, requests.NewInteger(100)
	must(c.DeleteVpnPbrRouteEntry(gone))(t)
	deleteConnection(t, c, connection)
	d := vpc.CreateDeleteCustomerGatewayRequest()
	d.CustomerGatewayId = customer
	must(c.DeleteCustomerGateway(d))(t)
	e := vpc.CreateDeleteVpnGatewayRequest()
	e.VpnGatewayId = gateway
	must(c.DeleteVpnGateway(e))(t)
	_, err := c.DescribeVpnGateway(describe)
	wantCode(t, err, 404, "InvalidVpnGatewayInstanceId.NotFound")
}

// twoTunnels sends TunnelOptionsSpecification, which this SDK puts into the form.
func twoTunnels(t *testing.T, c *vpc.Client, gateway, customer, other string) {
	t.Helper()
	r := vpc.CreateCreateVpnConnectionRequest()
	r.VpnGatewayId, r.LocalSubnet, r.RemoteSubnet = gateway, "0.0.0.0/0", "0.0.0.0/0"
	tunnel := func(role, customer string) vpc.CreateVpnConnectionTunnelOptionsSpecification {
		return vpc.CreateVpnConnectionTunnelOptionsSpecification{Role: role, CustomerGatewayId: customer, EnableDpd: "true",
			TunnelIkeConfig: vpc.CreateVpnConnectionTunnelOptionsSpecificationTunnelIkeConfig{Psk: canary, IkeVersion: "ikev2", IkeLifetime: "28800"}}
	}
	r.TunnelOptionsSpecification = &[]vpc.CreateVpnConnectionTunnelOptionsSpecification{tunnel("master", customer), tunnel("slave", other)}
	id := must(c.CreateVpnConnection(r))(t).VpnConnectionId
	read := vpc.CreateDescribeVpnConnectionRequest()
	read.VpnConnectionId = id
	if l := must(c.DescribeVpnConnection(read))(t).TunnelOptionsSpecification.TunnelOptions; len(l) != 2 || l[0].Role != "master" || l[1].TunnelIkeConfig.Psk != canary || l[1].TunnelId == "" {
		t.Errorf("the tunnels are %+v", l)
	}
	deleteConnection(t, c, id)
}

func deleteConnection(t *testing.T, c *vpc.Client, id string) {
	t.Helper()
	r := vpc.CreateDeleteVpnConnectionRequest()
	r.VpnConnectionId = id
	must(c.DeleteVpnConnection(r))(t)
}
