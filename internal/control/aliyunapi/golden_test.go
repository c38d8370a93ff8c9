package aliyunapi

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"causeway/internal/resource"
)

var update = flag.Bool("update", false, "write testdata/golden and docs/reference/aliyun.md anew")

// TestGoldenAnswers holds every action's answer to the one in testdata/golden.
// The nested module test/aliyun reads the same files into the vendor's structs.
func TestGoldenAnswers(t *testing.T) {
	b := newBench(t).world()
	told, names := map[string]bool{}, &placeholders{known: map[string]string{}}
	say := func(action string, list ...string) map[string]any {
		t.Helper()
		answer := b.do(action, list...)
		if told[action] {
			return answer
		}
		told[action] = true
		golden(t, names, action, answer)
		return answer
	}
	a := text(say("CreateAccelerator", "Spec", "2", "Name", "office", "Description", "Shanghai to Seoul"), "AcceleratorId")
	basic := text(say("CreateBandwidthPackage", "Type", "Basic", "BandwidthType", "Enhanced", "Bandwidth", "20", "Name", "basic"), "BandwidthPackageId")
	other := text(say("CreateBandwidthPackage", "Type", "Basic", "BandwidthType", "Enhanced", "Bandwidth", "30"), "BandwidthPackageId")
	cross := text(say("CreateBandwidthPackage", "Type", "CrossDomain", "Bandwidth", "10"), "BandwidthPackageId")
	say("BandwidthPackageAddAccelerator", "BandwidthPackageId", basic, "AcceleratorId", a)
	say("ReplaceBandwidthPackage", "BandwidthPackageId", basic, "TargetBandwidthPackageId", other)
	say("BandwidthPackageAddAccelerator", "BandwidthPackageId", cross, "AcceleratorId", a)
	say("UpdateBandwidthPackage", "BandwidthPackageId", other, "Bandwidth", "40", "Name", "larger", "Description", "grew")
	say("UpdateBandwidthPackagaAutoRenewAttribute", "BandwidthPackageId", other, "RenewalStatus", "NotRenewal")
	say("DescribeBandwidthPackageAutoRenewAttribute", "BandwidthPackageId", other)
	say("DescribeBandwidthPackage", "BandwidthPackageId", other)
	say("ListBandwidthPackages", "Type", "CrossDomain")
	say("ListBandwidthackages")
	for _, action := range []string{"DescribeRegions", "ListAccelerateAreas", "ListBusiRegions", "DescribeAcceleratorServiceStatus", "OpenAcceleratorService"} {
		say(action)
	}
	for _, action := range []string{"ListAvailableAccelerateAreas", "ListAvailableBusiRegions", "UpdateAcceleratorConfirm", "ListSpareIps", "DescribeAcceleratorAutoRenewAttribute", "EnableSourceConsistent"} {
		say(action, "AcceleratorId", a)
	}
	say("UpdateAcceleratorCrossBorderStatus", "AcceleratorId", a, "CrossBorderStatus", "true")
	say("UpdateAcceleratorCrossBorderMode", "AcceleratorId", a, "CrossBorderMode", "private")
	say("UpdateAcceleratorAutoRenewAttribute", "AcceleratorId", a, "AutoRenew", "true", "AutoRenewDuration", "1")
	set := say("CreateIpSets", "AcceleratorId", a, "AccelerateRegion.1.AccelerateRegionId", "cn-shanghai", "AccelerateRegion.1.Bandwidth", "20")["IpSets"].([]any)[0].(map[string]any)["IpSetId"].(string)
	say("DescribeIpSet", "IpSetId", set)
	say("ListIpSets", "AcceleratorId", a)
	say("UpdateIpSet", "IpSetId", set, "Bandwidth", "10")
	say("UpdateIpSets", "IpSets.1.IpSetId", set, "IpSets.1.Bandwidth", "12")
	listener := text(say("CreateListener", "AcceleratorId", a, "Protocol", "UDP", "Name", "ipsec", "PortRanges.1.FromPort", "500", "PortRanges.1.ToPort", "500", "PortRanges.2.FromPort", "4500", "PortRanges.2.ToPort", "4500"), "ListenerId")
	say("UpdateListener", "ListenerId", listener, "ClientAffinity", "SOURCE_IP")
	g := text(say("CreateEndpointGroup", "AcceleratorId", a, "ListenerId", listener, "EndpointGroupRegion", "kr-seoul", "Name", "seoul", "HealthCheckProtocol", "tcp", "HealthCheckPort", "443", "HealthCheckIntervalSeconds", "3", "ThresholdCount", "3",
		"EndpointConfigurations.1.Type", "PublicIp", "EndpointConfigurations.1.Endpoint", "192.0.2.7", "EndpointConfigurations.1.Weight", "100"), "EndpointGroupId")
	say("UpdateEndpointGroup", "EndpointGroupId", g, "TrafficPercentage", "100", "EnableAccessLog", "true")
	say("UpdateEndpointGroupAttribute", "EndpointGroupId", g, "Name", "Seoul", "Description", "office")
	say("ConfigEndpointProbe", "EndpointGroupId", g, "Endpoint", "192.0.2.7", "EndpointType", "PublicIp", "Enable", "true", "ProbeProtocol", "icmp")
	acl := text(say("CreateAcl", "AddressIPVersion", "IPv4", "AclName", "offices", "AclEntries.1.Entry", "192.0.2.0/24", "AclEntries.1.EntryDescription", "office"), "AclId")
	say("AssociateAclsWithListener", "ListenerId", listener, "AclIds.1", acl, "AclType", "white")
	say("AddEntriesToAcl", "AclId", acl, "AclEntries.1.Entry", "198.51.100.0/24")
	say("RemoveEntriesFromAcl", "AclId", acl, "AclEntries.1.Entry", "198.51.100.0/24")
	say("UpdateAclAttribute", "AclId", acl, "AclName", "office")
	say("GetAcl", "AclId", acl)
	say("ListAcls")
	say("TagResources", "ResourceType", "accelerator", "ResourceId.1", a, "Tag.1.Key", "for", "Tag.1.Value", "vpn", "Tag.2.Key", "of", "Tag.2.Value", "us")
	say("ListTagResources", "ResourceType", "accelerator", "ResourceId.1", a)
	say("UntagResources", "ResourceType", "accelerator", "ResourceId.1", a, "TagKey.1", "of")
	say("DescribeAccelerator", "AcceleratorId", a)
	say("ListAccelerators")
	say("DescribeListener", "ListenerId", listener)
	say("ListListeners", "AcceleratorId", a)
	say("DescribeEndpointGroup", "EndpointGroupId", g)
	say("ListEndpointGroups", "AcceleratorId", a)
	say("ListForwardingRules", "AcceleratorId", a, "ListenerId", listener)
	say("ListEndpointGroupIpAddressCidrBlocks", "EndpointGroupRegion", "kr-seoul")
	say("DescribeLogStoreOfEndpointGroup", "AcceleratorId", a, "ListenerId", listener, "EndpointGroupId", g)
	say("GetHealthStatus", "AcceleratorId", a, "ListenerId", listener)
	say("ReserveEgressIp", "EndpointGroupId", g)
	say("ReserveEgressIp", "EndpointGroupId", g, "Reserved", "false")
	say("ReleaseEgressIp", "EgressIpId", text(say("ReserveEgressIp", "EndpointGroupRegion", "kr-seoul"), "EgressIpId"))
	say("UpdateAccelerator", "AcceleratorId", a, "Name", "headquarters")
	goldenVPN(b, say)
	say("DissociateAclsFromListener", "ListenerId", listener, "AclIds.1", acl)
	say("DeleteAcl", "AclId", acl)
	say("DeleteEndpointGroup", "AcceleratorId", a, "EndpointGroupId", g)
	say("DeleteListener", "AcceleratorId", a, "ListenerId", listener)
	say("DeleteIpSet", "AcceleratorId", a, "IpSetId", set)
	again := b.do("CreateIpSets", "AcceleratorId", a, "AccelerateRegion.1.AccelerateRegionId", "cn-shanghai", "AccelerateRegion.1.Bandwidth", "20")["IpSets"].([]any)[0].(map[string]any)["IpSetId"].(string)
	say("DeleteIpSets", "IpSetIds.1", again)
	say("BandwidthPackageRemoveAccelerator", "BandwidthPackageId", cross, "AcceleratorId", a)
	b.do("BandwidthPackageRemoveAccelerator", "BandwidthPackageId", other, "AcceleratorId", a)
	say("DeleteBandwidthPackage", "BandwidthPackageId", cross)
	say("DeleteAccelerator", "AcceleratorId", a)
	for product, list := range table {
		for _, act := range list {
			if act.verdict != refused && !told[act.name] {
				t.Errorf("no golden answer of %s %s", product, act.name)
			}
		}
	}
	_, refusal := b.as(resource.Operator, "DescribeAccelerator", "AcceleratorId", a)
	golden(t, names, "an error", refusal)
}

func goldenVPN(b *bench, say func(string, ...string) map[string]any) {
	gateway := text(say("CreateVpnGateway", "RegionId", "cn-shanghai", "InternetIp", "203.0.113.50", "Name", "shanghai", "Bandwidth", "10", "VpcId", "vpc-1"), "VpnGatewayId")
	customer := text(say("CreateCustomerGateway", "RegionId", "cn-shanghai", "IpAddress", "192.0.2.77", "Name", "aws", "Asn", "65000"), "CustomerGatewayId")
	connection := text(say("CreateVpnConnection", "VpnGatewayId", gateway, "CustomerGatewayId", customer, "LocalSubnet", "192.168.0.0/24", "RemoteSubnet", "10.0.0.0/16", "IkeConfig", ikeConfig, "IpsecConfig", ipsecConfig, "Name", "to aws"), "VpnConnectionId")
	for _, action := range []string{"DescribeVpnConnection", "DescribeVpnConnections", "DownloadVpnConnectionConfig", "DescribeVpnConnectionLogs", "DescribeVpnCrossAccountAuthorizations"} {
		say(action, "VpnConnectionId", connection)
	}
	say("ModifyVpnConnectionAttribute", "VpnConnectionId", connection, "Name", "to AWS")
	for _, action := range []string{"DescribeVpnGateway", "DescribeVpnGateways"} {
		say(action, "VpnGatewayId", gateway)
	}
	say("ModifyVpnGatewayAttribute", "VpnGatewayId", gateway, "Name", "Shanghai", "AutoPropagate", "false")
	say("DescribeCustomerGateway", "CustomerGatewayId", customer)
	say("DescribeCustomerGateways")
	say("ModifyCustomerGatewayAttribute", "CustomerGatewayId", customer, "Name", "AWS")
	for _, action := range []string{"DescribeVpnGatewayAvailableZones", "CheckVpnBgpEnabled", "ListVpnCertificateAssociations"} {
		say(action, "RegionId", "cn-shanghai")
	}
	pbr := []string{"VpnGatewayId", gateway, "RouteSource", "192.168.0.0/24", "RouteDest", "10.0.0.0/16", "NextHop", connection}
	say("CreateVpnPbrRouteEntry", append(pbr, "Weight", "100", "Priority", "5", "PublishVpc", "true")...)
	say("DescribeVpnPbrRouteEntries", "VpnGatewayId", gateway)
	say("PublishVpnRouteEntry", "VpnGatewayId", gateway, "RouteType", "pbr", "RouteDest", "10.0.0.0/16", "NextHop", connection, "PublishVpc", "false")
	say("ModifyVpnPbrRouteEntryWeight", append(pbr, "NewWeight", "0")...)
	say("ModifyVpnPbrRouteEntryPriority", append(pbr, "NewPriority", "6")...)
	say("ModifyVpnPbrRouteEntryAttribute", append(pbr, "NewPriority", "7", "NewWeight", "100")...)
	say("DeleteVpnPbrRouteEntry", pbr...)
	dbr := []string{"VpnGatewayId", gateway, "RouteDest", "10.1.0.0/16", "NextHop", connection}
	say("CreateVpnRouteEntry", append(dbr, "Weight", "100", "PublishVpc", "false")...)
	say("DescribeVpnRouteEntries", "VpnGatewayId", gateway)
	say("ModifyVpnRouteEntryWeight", append(dbr, "NewWeight", "0")...)
	say("DeleteVpnRouteEntry", dbr...)
	say("DiagnoseVpnConnections", "VpnConnectionIds.1", connection)
	started := say("DiagnoseVpnGateway", "VpnGatewayId", gateway, "ResourceId", connection, "ResourceType", "IPsec")
	say("GetVpnGatewayDiagnoseResult", "VpnGatewayId", gateway, "DiagnoseId", text(started, "DiagnoseId"))
	say("DeleteVpnConnection", "VpnConnectionId", connection)
	say("DeleteCustomerGateway", "CustomerGatewayId", customer)
	say("DeleteVpnGateway", "VpnGatewayId", gateway)
}

// placeholders stand for IDs, numbered as they come.
type placeholders struct{ known map[string]string }

var ids = regexp.MustCompile(`\b(ga|gbwp|ips|lsr|epg|eip|acl|vpn|cgw|vco|tun|vpndgn)-[0-9a-z]{16,}(-\d{8,})?`)

func (p *placeholders) replace(text []byte) []byte {
	return ids.ReplaceAllFunc(text, func(id []byte) []byte {
		name, known := p.known[string(id)]
		if !known {
			prefix, _, _ := strings.Cut(string(id), "-")
			name = fmt.Sprintf("%s-%d", prefix, len(p.known)+1)
			p.known[string(id)] = name
		}
		return []byte(name)
	})
}

// golden compares an answer with the file of its action.
func golden(t *testing.T, names *placeholders, action string, answer map[string]any) {
	t.Helper()
	if id, _ := answer["RequestId"].(string); len(id) != 36 {
		t.Errorf("%s: the RequestId is %v", action, answer["RequestId"])
	}
	answer["RequestId"] = "00000000-0000-4000-8000-000000000000"
	have, err := json.MarshalIndent(answer, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	have = append(names.replace(have), '\n')
	file := filepath.Join("testdata", "golden", action+".json")
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, have, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v; make it: go test ./internal/control/aliyunapi -run Golden -update", err)
	}
	if !bytes.Equal(have, want) {
		t.Errorf("%s answers\n%s\nand %s has\n%s", action, have, file, want)
	}
}
