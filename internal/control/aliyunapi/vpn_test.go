package aliyunapi

import (
	"fmt"
	"maps"
	"net/netip"
	"strings"
	"testing"

	"causeway/internal/resource"
)

// vpnStack is a gateway with a connection and its two sorts of routes.
type vpnStack struct{ gateway, customer, connection string }

const ikeConfig = `{"Psk":"open-sesame-0123","IkeVersion":"ikev2","IkeMode":"main","IkeEncAlg":"aes","IkeAuthAlg":"sha1","IkePfs":"group2","IkeLifetime":28800,"LocalId":"203.0.113.50","RemoteId":"192.0.2.77"}`

const ipsecConfig = `{"IpsecEncAlg":"aes256","IpsecAuthAlg":"sha256","IpsecPfs":"group14","IpsecLifetime":3600}`

func (b *bench) vpn() (v vpnStack) {
	b.t.Helper()
	v.gateway = text(b.ok("CreateVpnGateway", "RegionId", "cn-shanghai", "InternetIp", "203.0.113.50", "Name", "shanghai", "Bandwidth", "10", "VpcId", "vpc-1", "EnableIpsec", "true", "AutoPay", "true"), "VpnGatewayId")
	v.customer = text(b.ok("CreateCustomerGateway", "RegionId", "cn-shanghai", "IpAddress", "192.0.2.77", "Name", "aws", "Asn", "65000"), "CustomerGatewayId")
	v.connection = text(b.ok("CreateVpnConnection", "RegionId", "cn-shanghai", "VpnGatewayId", v.gateway, "CustomerGatewayId", v.customer, "LocalSubnet", "192.168.0.0/24,192.168.1.0/24", "RemoteSubnet", "10.0.0.0/16",
		"IkeConfig", ikeConfig, "IpsecConfig", ipsecConfig, "EffectImmediately", "true", "EnableNatTraversal", "true", "EnableDpd", "true", "Name", "to aws"), "VpnConnectionId")
	return v
}

// TestAVPNLivesAndLeavesNoTrace is the IPsec part of the tutorial.
func TestAVPNLivesAndLeavesNoTrace(t *testing.T) {
	b := newBench(t).world()
	before := b.stored()
	v := b.vpn()
	d := b.ok("DescribeVpnConnection", "VpnConnectionId", v.connection)
	ike, ipsec := d["IkeConfig"].(map[string]any), d["IpsecConfig"].(map[string]any)
	for name, want := range map[string]any{"Psk": "open-sesame-0123", "IkeVersion": "ikev2", "IkeMode": "main", "IkeEncAlg": "aes", "IkeAuthAlg": "sha1", "IkePfs": "group2", "IkeLifetime": 28800.0, "LocalId": "203.0.113.50", "RemoteId": "192.0.2.77"} {
		if ike[name] != want {
			t.Errorf("%s is %v, want %v", name, ike[name], want)
		}
	}
	if ipsec["IpsecEncAlg"] != "aes256" || ipsec["IpsecPfs"] != "group14" || ipsec["IpsecLifetime"] != 3600.0 || d["LocalSubnet"] != "192.168.0.0/24,192.168.1.0/24" || d["CustomerGatewayId"] != v.customer {
		t.Errorf("the connection reads %v", d)
	}
	// The download is what the other end needs.
	peer := b.ok("DownloadVpnConnectionConfig", "VpnConnectionId", v.connection)["VpnConnectionConfig"].(map[string]any)
	if peer["Local"] != "192.0.2.77" || peer["Remote"] != "203.0.113.50" || peer["LocalSubnet"] != "10.0.0.0/16" || peer["RemoteSubnet"] != "192.168.0.0/24,192.168.1.0/24" {
		t.Errorf("the download reads %v", peer)
	}
	if theirs := peer["IkeConfig"].(map[string]any); theirs["LocalId"] != "192.0.2.77" || theirs["RemoteId"] != "203.0.113.50" || theirs["Psk"] != "open-sesame-0123" {
		t.Errorf("the download's IKE reads %v", theirs)
	}
	// Routes of both sorts.
	pbr := []string{"VpnGatewayId", v.gateway, "RouteSource", "192.168.0.0/24", "RouteDest", "10.0.0.0/16", "NextHop", v.connection, "Weight", "100"}
	b.ok("CreateVpnPbrRouteEntry", append(pbr, "PublishVpc", "true", "Priority", "5")...)
	if list := entries(b.ok("DescribeVpnPbrRouteEntries", "VpnGatewayId", v.gateway), "VpnPbrRouteEntries", "VpnPbrRouteEntry"); len(list) != 1 || list[0]["State"] != "published" || list[0]["NextHop"] != v.connection || list[0]["Priority"] != 5.0 {
		t.Errorf("the policy routes are %v", list)
	}
	b.refused("InvalidRouteEntry.AlreadyExist", "CreateVpnPbrRouteEntry", pbr...)
	b.ok("PublishVpnRouteEntry", "VpnGatewayId", v.gateway, "RouteType", "pbr", "RouteDest", "10.0.0.0/16", "NextHop", v.connection, "PublishVpc", "false")
	b.ok("ModifyVpnPbrRouteEntryPriority", append(pbr, "NewPriority", "7")...)
	b.ok("ModifyVpnPbrRouteEntryWeight", append(pbr, "NewWeight", "0")...)
	pbr[len(pbr)-1] = "0"
	if list := entries(b.ok("DescribeVpnPbrRouteEntries", "VpnGatewayId", v.gateway), "VpnPbrRouteEntries", "VpnPbrRouteEntry"); list[0]["State"] != "normal" || list[0]["Weight"] != 0.0 || list[0]["Priority"] != 7.0 {
		t.Errorf("the policy routes are %v", list)
	}
	dbr := []string{"VpnGatewayId", v.gateway, "RouteDest", "10.1.0.0/16", "NextHop", v.connection, "Weight", "100"}
	b.ok("CreateVpnRouteEntry", append(dbr, "PublishVpc", "false")...)
	b.ok("ModifyVpnRouteEntryWeight", append(dbr, "NewWeight", "0")...)
	dbr[len(dbr)-1] = "0"
	b.refused("InvalidRouteEntry.NotFound", "DeleteVpnRouteEntry", "VpnGatewayId", v.gateway, "RouteDest", "10.9.0.0/16", "NextHop", v.connection)
	b.refused("DependencyViolation", "DeleteVpnConnection", "VpnConnectionId", v.connection)
	b.refused("DependencyViolation", "DeleteCustomerGateway", "CustomerGatewayId", v.customer)
	b.refused("DependencyViolation", "DeleteVpnGateway", "VpnGatewayId", v.gateway)
	b.ok("DeleteVpnRouteEntry", dbr...)
	b.ok("DeleteVpnPbrRouteEntry", pbr...)
	b.ok("ModifyVpnConnectionAttribute", "VpnConnectionId", v.connection, "Name", "renamed", "RemoteSubnet", "10.0.0.0/15", "EnableDpd", "false", "HealthCheckConfig", `{"enable":"true","dip":"10.0.0.1","sip":"192.168.0.1","interval":5,"retry":2}`)
	d = b.ok("DescribeVpnConnection", "VpnConnectionId", v.connection)
	if h := d["VcoHealthCheck"].(map[string]any); h["Enable"] != "true" || h["Interval"] != 5.0 || d["EnableDpd"] != false || d["RemoteSubnet"] != "10.0.0.0/15" || d["IkeConfig"].(map[string]any)["Psk"] != "open-sesame-0123" {
		t.Errorf("the changed connection reads %v", d)
	}
	b.ok("DeleteVpnConnection", "VpnConnectionId", v.connection)
	b.ok("DeleteCustomerGateway", "CustomerGatewayId", v.customer)
	b.ok("DeleteVpnGateway", "VpnGatewayId", v.gateway)
	b.refused("InvalidVpnGatewayInstanceId.NotFound", "DescribeVpnGateway", "VpnGatewayId", v.gateway)
	if after := b.stored(); !maps.Equal(before, after) {
		t.Errorf("something is left: %v", after)
	}
}

func entries(answer map[string]any, outer, inner string) (list []map[string]any) {
	wrapped, _ := answer[outer].(map[string]any)
	all, _ := wrapped[inner].([]any)
	for _, e := range all {
		list = append(list, e.(map[string]any))
	}
	return list
}

// TestKeysAreForOperators: readers see masks, and get no downloads.
func TestKeysAreForOperators(t *testing.T) {
	b := newBench(t).world()
	v := b.vpn()
	for _, request := range [][]string{{"DescribeVpnConnection", "VpnConnectionId", v.connection}, {"DescribeVpnConnections"}} {
		status, answer := b.as(resource.Reader, request[0], request[1:]...)
		if status != 200 || strings.Contains(flat(answer), "open-sesame") {
			t.Errorf("%s tells a reader: %d %v", request[0], status, answer)
		}
	}
	if status, answer := b.as(resource.Reader, "DownloadVpnConnectionConfig", "VpnConnectionId", v.connection); status != 403 {
		t.Errorf("a reader may download: %v", answer)
	}
	if strings.Contains(flat(b.ok("DescribeVpnConnections")), "open-sesame") {
		t.Error("a list has the key")
	}
	for key, value := range b.stored() {
		if strings.Contains(value, "open-sesame") {
			t.Errorf("the store has the key under %s", key)
		}
	}
	if strings.Contains(b.log.String(), "open-sesame") {
		t.Error("the log has the key")
	}
}

func flat(v any) string {
	switch v := v.(type) {
	case map[string]any:
		out := ""
		for key, value := range v {
			out += key + "=" + flat(value) + " "
		}
		return out
	case []any:
		out := ""
		for _, value := range v {
			out += flat(value) + " "
		}
		return out
	case string:
		return v
	}
	return ""
}

// TestTwoTunnels reads TunnelOptionsSpecification, which the vendor's SDK puts into the form.
func TestTwoTunnels(t *testing.T) {
	b := newBench(t).world()
	v := b.vpn()
	v.customer = text(b.ok("CreateCustomerGateway", "RegionId", "cn-shanghai", "IpAddress", "192.0.2.78"), "CustomerGatewayId")
	second := text(b.ok("CreateCustomerGateway", "RegionId", "cn-shanghai", "IpAddress", "192.0.2.79"), "CustomerGatewayId")
	made := b.ok("CreateVpnConnection", "VpnGatewayId", v.gateway, "LocalSubnet", "0.0.0.0/0", "RemoteSubnet", "0.0.0.0/0", "EffectImmediately", "false",
		"TunnelOptionsSpecification.1.Role", "master", "TunnelOptionsSpecification.1.CustomerGatewayId", v.customer, "TunnelOptionsSpecification.1.TunnelIkeConfig.Psk", "first-key-0123456", "TunnelOptionsSpecification.1.TunnelIkeConfig.IkeVersion", "ikev2",
		"TunnelOptionsSpecification.2.Role", "slave", "TunnelOptionsSpecification.2.CustomerGatewayId", second, "TunnelOptionsSpecification.2.TunnelIkeConfig.Psk", "other-key-0123456", "TunnelOptionsSpecification.2.TunnelIpsecConfig.IpsecPfs", "group14")
	d := b.ok("DescribeVpnConnection", "VpnConnectionId", text(made, "VpnConnectionId"))
	list := entries(d, "TunnelOptionsSpecification", "TunnelOptions")
	if len(list) != 2 || list[0]["Role"] != "master" || list[1]["CustomerGatewayId"] != second || list[1]["TunnelIkeConfig"].(map[string]any)["Psk"] != "other-key-0123456" || d["LocalSubnet"] != "0.0.0.0/0" {
		t.Errorf("the tunnels are %v", list)
	}
	r := b.ok("DiagnoseVpnConnections", "TunnelIds.1", list[1]["TunnelId"].(string))
	if r["TotalCount"] != 1.0 || r["VpnConnections"].([]any)[0].(map[string]any)["TunnelId"] != list[1]["TunnelId"] {
		t.Errorf("the diagnosis of one tunnel: %v", r)
	}
	b.ok("ModifyVpnConnectionAttribute", "VpnConnectionId", text(made, "VpnConnectionId"), "TunnelOptionsSpecification.1.TunnelId", list[1]["TunnelId"].(string), "TunnelOptionsSpecification.1.TunnelIkeConfig.Psk", "third-key-0123456")
	list = entries(b.ok("DescribeVpnConnection", "VpnConnectionId", text(made, "VpnConnectionId")), "TunnelOptionsSpecification", "TunnelOptions")
	if list[0]["TunnelIkeConfig"].(map[string]any)["Psk"] != "first-key-0123456" || list[1]["TunnelIkeConfig"].(map[string]any)["Psk"] != "third-key-0123456" {
		t.Errorf("the changed tunnels are %v", list)
	}
}

// TestAGatewayIsTakenOverAndGivenBack: scripts that know no addresses get the
// gateways that an admin made.
func TestAGatewayIsTakenOverAndGivenBack(t *testing.T) {
	b := newBench(t).world()
	b.refused("Resource.QuotaFull", "CreateVpnGateway", "RegionId", "cn-shanghai", "Bandwidth", "10")
	made, err := b.service.CreateVPNGateway(background, local, resource.VPNGateway{Meta: resource.Meta{Name: "rack-7"},
		VPNGatewaySpec: resource.VPNGatewaySpec{Region: "cn-shanghai", Addresses: []resource.GatewayAddress{{Bind: netip.MustParseAddr("203.0.113.50")}}}})
	if err != nil {
		t.Fatal(err)
	}
	first := b.ok("CreateVpnGateway", "RegionId", "cn-shanghai", "Bandwidth", "10", "Name", "mine", "ClientToken", "one")
	if again := b.ok("CreateVpnGateway", "RegionId", "cn-shanghai", "Bandwidth", "10", "Name", "mine", "ClientToken", "one"); first["VpnGatewayId"] != made.ID || again["VpnGatewayId"] != made.ID {
		t.Errorf("taken over: %v, %v", first, again)
	}
	b.refused("Resource.QuotaFull", "CreateVpnGateway", "RegionId", "cn-shanghai", "Bandwidth", "10", "ClientToken", "two")
	if d := b.ok("DescribeVpnGateway", "VpnGatewayId", made.ID); d["Spec"] != "10M" || d["InternetIp"] != "203.0.113.50" || d["Name"] != "mine" || d["Status"] != "provisioning" {
		t.Errorf("the gateway reads %v", d)
	}
	b.ok("DeleteVpnGateway", "VpnGatewayId", made.ID)
	if left, err := b.service.GetVPNGateway(background, local, "rack-7"); err != nil || left.Title != "" || len(left.Compat) != 0 {
		t.Errorf("given back: %+v %v", left, err)
	}
	b.ok("CreateVpnGateway", "RegionId", "cn-shanghai", "ClientToken", "two")
}

// TestVPNCodes provokes the codes of the Vpc product.
func TestVPNCodes(t *testing.T) {
	b := newBench(t).world()
	v := b.vpn()
	connection := func(code string, more ...string) {
		t.Helper()
		list := []string{"VpnGatewayId", v.gateway, "CustomerGatewayId", v.customer, "LocalSubnet", "192.168.5.0/24", "RemoteSubnet", "10.5.0.0/16"}
		for i := 0; i < len(more); i += 2 {
			at := -1
			for k := 0; k < len(list); k += 2 {
				if list[k] == more[i] {
					at = k
				}
			}
			if at < 0 {
				list = append(list, more[i], more[i+1])
			} else {
				list[at+1] = more[i+1]
			}
		}
		b.refused(code, "CreateVpnConnection", list...)
	}
	b.refused("InvalidRegionId.NotFound", "CreateCustomerGateway", "RegionId", "atlantis", "IpAddress", "192.0.2.80")
	b.refused("InvalidIpAddress.WrongFormat", "CreateCustomerGateway", "RegionId", "cn-shanghai", "IpAddress", "x")
	b.refused("InvalidIpAddress.WrongFormat", "CreateCustomerGateway", "RegionId", "cn-shanghai", "IpAddress", "100.64.0.1")
	b.refused("InvalidIpAddress.AlreadyExist", "CreateCustomerGateway", "RegionId", "cn-shanghai", "IpAddress", "192.0.2.77")
	b.refused("InvalidCustomerGatewayInstanceId.NotFound", "DescribeCustomerGateway", "CustomerGatewayId", "cgw-nothing")
	b.refused("InvalidVpnGatewayInstanceId.NotFound", "DescribeVpnGateway", "VpnGatewayId", "vpn-nothing")
	b.refused("InvalidVpnConnectionInstanceId.NotFound", "DescribeVpnConnection", "VpnConnectionId", "vco-nothing")
	b.refused("InvalidVpnConnectionInstanceId.NotFound", "DiagnoseVpnConnections", "VpnConnectionIds.1", "vco-nothing")
	b.refused("InvalidDiagnoseId.NotFound", "GetVpnGatewayDiagnoseResult", "DiagnoseId", "vpndgn-1-2")
	connection("InvalidVpnGatewayInstanceId.NotFound", "VpnGatewayId", "vpn-nothing")
	connection("InvalidCustomerGatewayInstanceId.NotFound", "CustomerGatewayId", "cgw-nothing")
	connection("IllegalParam.LocalSubnet", "LocalSubnet", "everything")
	connection("IllegalParam.RemoteSubnet", "RemoteSubnet", "10.5.0.1/16")
	connection("IllegalParam.IkeConfig", "IkeConfig", `{"IkeVersion":"ikev3"}`)
	connection("IllegalParam.IkeConfig", "IkeConfig", `{"IkeEncAlg":"rot13"}`)
	connection("IllegalParam.IkeConfig", "IkeConfig", `{"IkePfs":"group99"}`)
	connection("IllegalParam.IpsecConfig", "IpsecConfig", `{"IpsecAuthAlg":"crc32"}`)
	connection("IllegalParam.IpsecConfig", "IpsecConfig", `{"IpsecLifetime":"soon"}`)
	connection("OperationDenied.NotSupported", "BgpConfig", `{"EnableBgp":"true"}`)
	b.refused("OperationDenied.NotSupported", "MoveVpnResourceGroup", "InstanceId", v.gateway)
	b.refused("OperationDenied.NotSupported", "CreateVpnGateway", "RegionId", "cn-shanghai", "EnableSsl", "true")
	for n := range resource.MaxVPNRoutes {
		b.ok("CreateVpnPbrRouteEntry", "VpnGatewayId", v.gateway, "RouteSource", "192.168.0.0/24", "RouteDest", fmt.Sprintf("10.%d.0.0/16", n), "NextHop", v.connection)
	}
	b.refused("QuotaExceeded.PolicyBasedRoute", "CreateVpnPbrRouteEntry", "VpnGatewayId", v.gateway, "RouteSource", "192.168.0.0/24", "RouteDest", "10.99.0.0/16", "NextHop", v.connection)
	b.refused("DependencyViolation", "DeleteCustomerGateway", "CustomerGatewayId", v.customer, "DryRun", "true")
}

// TestDiagnosisOfAGateway asks the seven questions.
func TestDiagnosisOfAGateway(t *testing.T) {
	b := newBench(t).world()
	v := b.vpn()
	started := b.ok("DiagnoseVpnGateway", "VpnGatewayId", v.gateway, "ResourceId", v.connection, "ResourceType", "IPsec", "IPsecExtendInfo", `{"PrivateSourceIp":"192.168.0.1","PrivateDestinationIp":"10.0.0.1"}`)
	r := b.ok("GetVpnGatewayDiagnoseResult", "VpnGatewayId", v.gateway, "DiagnoseId", text(started, "DiagnoseId"))
	if r["TotalCount"] != 7.0 || r["FinishedCount"] != 7.0 || r["ResourceInstanceId"] != v.connection {
		t.Errorf("the result reads %v", r)
	}
	d := b.ok("DiagnoseVpnConnections", "VpnConnectionIds.1", v.connection)["VpnConnections"].([]any)[0].(map[string]any)
	if code := d["FailedReasonCode"].(string); code == "" || d["VpnConnectionId"] != v.connection || d["Severity"] == "" {
		t.Errorf("the diagnosis reads %v", d)
	}
	if logs := b.ok("DescribeVpnConnectionLogs", "VpnConnectionId", v.connection, "MinutePeriod", "5"); logs["IsCompleted"] != true {
		t.Errorf("the logs read %v", logs)
	}
}
