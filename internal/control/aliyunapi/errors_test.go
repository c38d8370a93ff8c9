package aliyunapi

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"causeway/internal/control/service"
	"causeway/internal/resource"
)

// TestErrorTable provokes every code through the API. Each case gets a stack of
// its own, as the tutorial makes it.
func TestErrorTable(t *testing.T) {
	for code, provoke := range errorTable {
		t.Run(code, func(t *testing.T) {
			b := newBench(t).world()
			name, _, _ := strings.Cut(code, " ")
			provoke(b, b.tutorial(), func(action string, list ...string) { b.refused(name, action, list...) })
		})
	}
}

// group are the parameters that CreateEndpointGroup cannot do without.
func group(s stack, region, endpoint string, more ...string) []string {
	return append([]string{"AcceleratorId", s.accelerator, "ListenerId", s.listener, "EndpointGroupRegion", region, "EndpointConfigurations.1.Endpoint", endpoint}, more...)
}

func listenerWith(s stack, protocol, from, to string) []string {
	return []string{"AcceleratorId", s.accelerator, "Protocol", protocol, "PortRanges.1.FromPort", from, "PortRanges.1.ToPort", to}
}

// a code may stand there several times, with a word behind it.
var errorTable = map[string]func(b *bench, s stack, refused func(action string, list ...string)){
	"NotExist.Accelerator": func(_ *bench, _ stack, refused func(string, ...string)) {
		refused("DescribeAccelerator", "AcceleratorId", "ga-nothing")
		refused("UpdateAccelerator", "AcceleratorId", "ga-nothing", "Name", "x1")
		refused("DeleteAccelerator", "AcceleratorId", "ga-nothing")
		refused("CreateListener", listenerWith(stack{accelerator: "ga-nothing"}, "udp", "500", "500")...)
		refused("CreateIpSets", "AcceleratorId", "ga-nothing", "AccelerateRegion.1.AccelerateRegionId", "cn-shanghai", "AccelerateRegion.1.Bandwidth", "2")
		refused("ListIpSets", "AcceleratorId", "ga-nothing")
		refused("ListListeners", "AcceleratorId", "ga-nothing")
		refused("ListEndpointGroups", "AcceleratorId", "ga-nothing")
		refused("EnableSourceConsistent", "AcceleratorId", "ga-nothing")
		refused("ListAvailableBusiRegions", "AcceleratorId", "ga-nothing")
	},
	"NotExist.Accelerator of a package": func(_ *bench, s stack, refused func(string, ...string)) {
		refused("BandwidthPackageRemoveAccelerator", "BandwidthPackageId", s.cross, "AcceleratorId", "ga-nothing")
	},
	"NotExist.Listener": func(_ *bench, s stack, refused func(string, ...string)) {
		refused("DescribeListener", "ListenerId", "lsr-nothing")
		refused("UpdateListener", "ListenerId", "lsr-nothing", "Name", "x1")
		refused("DeleteListener", "ListenerId", "lsr-nothing")
		refused("CreateEndpointGroup", group(stack{accelerator: s.accelerator, listener: "lsr-nothing"}, "kr-seoul", "192.0.2.8")...)
		refused("AssociateAclsWithListener", "ListenerId", "lsr-nothing", "AclIds.1", "acl-none", "AclType", "white")
	},
	"NotExist.EndPointGroup": func(_ *bench, _ stack, refused func(string, ...string)) {
		refused("DescribeEndpointGroup", "EndpointGroupId", "epg-nothing")
		refused("UpdateEndpointGroup", "EndpointGroupId", "epg-nothing", "Name", "x1")
		refused("UpdateEndpointGroupAttribute", "EndpointGroupId", "epg-nothing", "Name", "x1")
		refused("DeleteEndpointGroup", "EndpointGroupId", "epg-nothing")
		refused("ConfigEndpointProbe", "EndpointGroupId", "epg-nothing", "Endpoint", "192.0.2.7", "ProbeProtocol", "icmp", "Enable", "true")
		refused("ReserveEgressIp", "EndpointGroupId", "epg-nothing")
	},
	"NotExist.EndPoint": func(_ *bench, s stack, refused func(string, ...string)) {
		refused("ConfigEndpointProbe", "EndpointGroupId", s.group, "Endpoint", "192.0.2.99", "ProbeProtocol", "icmp", "Enable", "true")
	},
	"NotExist.IpSet": func(_ *bench, _ stack, refused func(string, ...string)) {
		refused("DescribeIpSet", "IpSetId", "ips-nothing")
		refused("UpdateIpSet", "IpSetId", "ips-nothing", "Bandwidth", "5")
		refused("UpdateIpSets", "IpSets.1.IpSetId", "ips-nothing", "IpSets.1.Bandwidth", "5")
		refused("DeleteIpSet", "IpSetId", "ips-nothing")
	},
	"NotExist.IpSets": func(_ *bench, _ stack, refused func(string, ...string)) {
		refused("DeleteIpSets", "IpSetIds.1", "ips-nothing")
	},
	"NotExist.BandwidthPackage": func(_ *bench, s stack, refused func(string, ...string)) {
		refused("DescribeBandwidthPackage", "BandwidthPackageId", "gbwp-nothing")
		refused("UpdateBandwidthPackage", "BandwidthPackageId", "gbwp-nothing", "Bandwidth", "5")
		refused("DeleteBandwidthPackage", "BandwidthPackageId", "gbwp-nothing")
		refused("BandwidthPackageAddAccelerator", "BandwidthPackageId", "gbwp-nothing", "AcceleratorId", s.accelerator)
		refused("ReplaceBandwidthPackage", "BandwidthPackageId", "gbwp-nothing", "TargetBandwidthPackageId", s.basic+"x")
	},
	"NotExist.Acl": func(_ *bench, s stack, refused func(string, ...string)) {
		refused("GetAcl", "AclId", "acl-nothing")
		refused("DeleteAcl", "AclId", "acl-nothing")
		refused("UpdateAclAttribute", "AclId", "acl-nothing", "AclName", "x1")
		refused("AddEntriesToAcl", "AclId", "acl-nothing", "AclEntries.1.Entry", "192.0.2.0/24")
		refused("AssociateAclsWithListener", "ListenerId", s.listener, "AclIds.1", "acl-nothing", "AclType", "white")
	},
	"NotExist.BusinessRegion": func(b *bench, s stack, refused func(string, ...string)) {
		refused("CreateEndpointGroup", group(s, "atlantis", "192.0.2.8")...)
		refused("ListEndpointGroupIpAddressCidrBlocks", "EndpointGroupRegion", "atlantis")
	},
	"NotExist.EgressIp": func(_ *bench, _ stack, refused func(string, ...string)) {
		refused("ReleaseEgressIp", "EgressIpId", "eip-nothing")
	},
	"NotExist.BasicBandwidthPackage": func(b *bench, _ stack, refused func(string, ...string)) {
		bare := stack{accelerator: text(b.do("CreateAccelerator", "Spec", "1"), "AcceleratorId")}
		refused("CreateListener", listenerWith(bare, "udp", "500", "500")...)
		refused("CreateIpSets", "AcceleratorId", bare.accelerator, "AccelerateRegion.1.AccelerateRegionId", "cn-shanghai", "AccelerateRegion.1.Bandwidth", "2")
	},
	"StateError.Accelerator": func(b *bench, s stack, refused func(string, ...string)) {
		b.ok("UpdateEndpointGroup", "EndpointGroupId", s.group, "EndpointConfigurations.1.Endpoint", "192.0.2.8")
		refused("UpdateAccelerator", "AcceleratorId", s.accelerator, "Name", "x1")
		refused("CreateListener", listenerWith(s, "udp", "1000", "1000")...)
		refused("BandwidthPackageRemoveAccelerator", "BandwidthPackageId", s.cross, "AcceleratorId", s.accelerator)
		refused("UpdateBandwidthPackage", "BandwidthPackageId", s.basic, "Bandwidth", "21")
		refused("UpdateIpSet", "IpSetId", s.ipSet, "Bandwidth", "19")
		b.settle()
		b.do("UpdateAccelerator", "AcceleratorId", s.accelerator, "Name", "x1")
	},
	"StateError.IpSet": func(b *bench, s stack, refused func(string, ...string)) {
		b.ok("UpdateIpSet", "IpSetId", s.ipSet, "Bandwidth", "19")
		refused("UpdateIpSet", "IpSetId", s.ipSet, "Bandwidth", "18")
		refused("DeleteIpSets", "IpSetIds.1", s.ipSet)
	},
	"NotActive.IpSet": func(b *bench, s stack, refused func(string, ...string)) {
		b.ok("UpdateIpSet", "IpSetId", s.ipSet, "Bandwidth", "19")
		refused("UpdateIpSets", "IpSets.1.IpSetId", s.ipSet, "IpSets.1.Bandwidth", "18")
	},
	"StateError.EndPointGroup": func(b *bench, s stack, refused func(string, ...string)) {
		b.ok("UpdateEndpointGroup", "EndpointGroupId", s.group, "EndpointConfigurations.1.Endpoint", "192.0.2.8")
		refused("UpdateEndpointGroup", "EndpointGroupId", s.group, "EndpointConfigurations.1.Endpoint", "192.0.2.9")
		refused("DeleteEndpointGroup", "EndpointGroupId", s.group)
	},
	"StateError.BandwidthPackage": func(b *bench, s stack, refused func(string, ...string)) {
		other := text(b.do("CreateBandwidthPackage", "Type", "Basic", "Bandwidth", "20"), "BandwidthPackageId")
		refused("BandwidthPackageRemoveAccelerator", "BandwidthPackageId", other, "AcceleratorId", s.accelerator)
		refused("ReplaceBandwidthPackage", "BandwidthPackageId", s.basic, "TargetBandwidthPackageId", s.cross)
		refused("ReplaceBandwidthPackage", "BandwidthPackageId", other, "TargetBandwidthPackageId", other)
	},
	"StateError.Acl": func(b *bench, s stack, refused func(string, ...string)) {
		acl := text(b.do("CreateAcl", "AddressIPVersion", "IPv4"), "AclId")
		b.do("AssociateAclsWithListener", "ListenerId", s.listener, "AclIds.1", acl, "AclType", "white")
		b.ok("AddEntriesToAcl", "AclId", acl, "AclEntries.1.Entry", "192.0.2.0/24")
		refused("AddEntriesToAcl", "AclId", acl, "AclEntries.1.Entry", "198.51.100.0/24")
	},
	"NotActive.Listener": func(b *bench, s stack, refused func(string, ...string)) {
		b.ok("UpdateListener", "ListenerId", s.listener, "IdleTimeout", "60")
		refused("UpdateListener", "ListenerId", s.listener, "IdleTimeout", "70")
		refused("CreateEndpointGroup", group(s, "cn-shanghai", "192.0.2.8")...)
		refused("DeleteListener", "ListenerId", s.listener)
	},
	"QuotaExceeded.Listener": func(b *bench, s stack, refused func(string, ...string)) {
		for n := 1; n < resource.MaxListeners; n++ {
			b.do("CreateListener", listenerWith(s, "udp", fmt.Sprint(10000+n), fmt.Sprint(10000+n))...)
		}
		refused("CreateListener", listenerWith(s, "udp", "20000", "20000")...)
	},
	"QuotaExceeded.ListenerPort": func(_ *bench, s stack, refused func(string, ...string)) {
		refused("CreateListener", listenerWith(s, "udp", "1000", "1030")...)
	},
	"QuotaExceeded.EndPoint": func(_ *bench, s stack, refused func(string, ...string)) {
		list := []string{"EndpointGroupId", s.group}
		for n := 1; n <= resource.MaxEndpoints+1; n++ {
			list = append(list, fmt.Sprintf("EndpointConfigurations.%d.Endpoint", n), fmt.Sprintf("192.0.2.%d", 100+n))
		}
		refused("UpdateEndpointGroup", list...)
	},
	"QuotaExceeded.IpSet": func(_ *bench, s stack, refused func(string, ...string)) {
		refused("CreateIpSets", "AcceleratorId", s.accelerator, "AccelerateRegion.1.AccelerateRegionId", "kr-seoul", "AccelerateRegion.1.Bandwidth", "2")
	},
	"QuotaExceeded.Acl": func(b *bench, s stack, refused func(string, ...string)) {
		list := []string{"ListenerId", s.listener, "AclType", "white"}
		for n := 1; n <= resource.MaxListenerACLs+1; n++ {
			list = append(list, fmt.Sprintf("AclIds.%d", n), text(b.do("CreateAcl", "AddressIPVersion", "IPv4"), "AclId"))
		}
		refused("AssociateAclsWithListener", list...)
	},
	"QuotaExceeded.AclEntry": func(_ *bench, _ stack, refused func(string, ...string)) {
		list := []string{"AddressIPVersion", "IPv4"}
		for n := 1; n <= resource.MaxACLEntries+1; n++ {
			list = append(list, fmt.Sprintf("AclEntries.%d.Entry", n), fmt.Sprintf("10.%d.%d.0/24", n/250, n%250))
		}
		refused("CreateAcl", list...)
	},
	"PortRangeIllegal.Listener": func(_ *bench, s stack, refused func(string, ...string)) {
		refused("CreateListener", listenerWith(s, "udp", "70000", "70000")...)
		refused("CreateListener", listenerWith(s, "udp", "2000", "1990")...)
		refused("CreateListener", listenerWith(s, "udp", "x", "")...)
		refused("CreateListener", "AcceleratorId", s.accelerator, "Protocol", "udp", "PortRanges.1.FromPort", "1000", "PortRanges.2.FromPort", "1000")
	},
	"PortRangeIllegal.UDP": func(_ *bench, s stack, refused func(string, ...string)) {
		for _, port := range []string{"250", "4789", "4790"} {
			refused("CreateListener", listenerWith(s, "udp", port, port)...)
		}
	},
	"PortConflict.Listener": func(_ *bench, s stack, refused func(string, ...string)) {
		refused("CreateListener", listenerWith(s, "udp", "4500", "4500")...)
	},
	"SystemPort.Listener": func(_ *bench, s stack, refused func(string, ...string)) {
		refused("CreateListener", listenerWith(s, "udp", "65500", "65500")...)
		refused("UpdateListener", "ListenerId", s.listener, "PortRanges.1.FromPort", "65490", "PortRanges.1.ToPort", "65535")
	},
	"ProtocalIllegal.Listener": func(_ *bench, s stack, refused func(string, ...string)) {
		for _, protocol := range []string{"tcp", "TCP", "http", "https", "sctp"} {
			refused("CreateListener", listenerWith(s, protocol, "443", "443")...)
		}
		refused("UpdateListener", "ListenerId", s.listener, "Protocol", "tcp")
		refused("CreateForwardingRules", "AcceleratorId", s.accelerator, "ListenerId", s.listener, "ForwardingRules", `[{"Priority":1}]`)
		refused("UpdateForwardingRules", "AcceleratorId", s.accelerator, "ListenerId", s.listener, "ForwardingRules", `[]`)
		refused("DeleteForwardingRules", "AcceleratorId", s.accelerator, "ListenerId", s.listener, "ForwardingRuleIds", `["frule-1"]`)
	},
	"Exist.EndpointGroup": func(_ *bench, s stack, refused func(string, ...string)) {
		refused("DeleteListener", "ListenerId", s.listener)
		refused("CreateEndpointGroup", group(s, "kr-seoul", "192.0.2.8")...)
	},
	"Exist.EndpointGroup by the vendor's name of the region": func(_ *bench, s stack, refused func(string, ...string)) {
		refused("CreateEndpointGroup", group(s, "ap-northeast-2", "192.0.2.8")...)
	},
	"Exist.Listener": func(_ *bench, s stack, refused func(string, ...string)) {
		refused("DeleteAccelerator", "AcceleratorId", s.accelerator)
	},
	"Exist.IpSet": func(b *bench, s stack, refused func(string, ...string)) {
		b.do("UpdateAccelerator", "AcceleratorId", s.accelerator, "Spec", "2")
		refused("CreateIpSets", "AcceleratorId", s.accelerator, "AccelerateRegion.1.AccelerateRegionId", "cn-shanghai", "AccelerateRegion.1.Bandwidth", "2")
		b.do("DeleteEndpointGroup", "EndpointGroupId", s.group)
		b.do("BandwidthPackageRemoveAccelerator", "BandwidthPackageId", s.cross, "AcceleratorId", s.accelerator)
		b.do("DeleteListener", "ListenerId", s.listener)
		refused("DeleteAccelerator", "AcceleratorId", s.accelerator)
	},
	"Repeat.IpSets": func(_ *bench, s stack, refused func(string, ...string)) {
		refused("CreateIpSets", "AcceleratorId", s.accelerator, "AccelerateRegion.1.AccelerateRegionId", "kr-seoul", "AccelerateRegion.1.Bandwidth", "2",
			"AccelerateRegion.2.AccelerateRegionId", "ap-northeast-2", "AccelerateRegion.2.Bandwidth", "2")
	},
	"GreaterThanGa.IpSetBandwidth": func(_ *bench, s stack, refused func(string, ...string)) {
		refused("UpdateIpSet", "IpSetId", s.ipSet, "Bandwidth", "21")
	},
	"BandwidthIllegal.BandwidthPackage": func(b *bench, s stack, refused func(string, ...string)) {
		refused("CreateBandwidthPackage", "Type", "Basic", "Bandwidth", "1")
		refused("UpdateBandwidthPackage", "BandwidthPackageId", s.basic, "Bandwidth", "10") // the IP sets have more
		refused("UpdateBandwidthPackage", "BandwidthPackageId", s.basic, "Bandwidth", "50") // the size has less
		refused("UpdateBandwidthPackage", "BandwidthPackageId", s.basic, "Bandwidth", "many")
		bare := text(b.do("CreateAccelerator", "Spec", "1"), "AcceleratorId")
		large := text(b.do("CreateBandwidthPackage", "Type", "Basic", "Bandwidth", "200"), "BandwidthPackageId")
		refused("BandwidthPackageAddAccelerator", "BandwidthPackageId", large, "AcceleratorId", bare)
	},
	"UpgradeError.BandwidthPackage": func(b *bench, s stack, refused func(string, ...string)) {
		refused("UpdateBandwidthPackage", "BandwidthPackageId", s.basic, "BandwidthType", "Basic")
		plain := text(b.do("CreateBandwidthPackage", "Type", "Basic", "BandwidthType", "Basic", "Bandwidth", "20"), "BandwidthPackageId")
		refused("UpdateBandwidthPackage", "BandwidthPackageId", plain, "BandwidthType", "Enhanced", "Bandwidth", "10")
		b.do("UpdateBandwidthPackage", "BandwidthPackageId", plain, "BandwidthType", "Enhanced", "Bandwidth", "30")
	},
	"BindExist.BandwidthPackage": func(b *bench, s stack, refused func(string, ...string)) {
		bare := text(b.do("CreateAccelerator", "Spec", "1"), "AcceleratorId")
		refused("BandwidthPackageAddAccelerator", "BandwidthPackageId", s.basic, "AcceleratorId", bare)
		refused("BandwidthPackageAddAccelerator", "BandwidthPackageId", s.basic, "AcceleratorId", s.accelerator)
		refused("DeleteBandwidthPackage", "BandwidthPackageId", s.basic)
		free := text(b.do("CreateBandwidthPackage", "Type", "Basic", "Bandwidth", "20"), "BandwidthPackageId")
		b.do("BandwidthPackageAddAccelerator", "BandwidthPackageId", free, "AcceleratorId", bare)
		refused("DeleteAccelerator", "AcceleratorId", bare)
	},
	"BindExist.Accelerator": func(b *bench, s stack, refused func(string, ...string)) {
		free := text(b.do("CreateBandwidthPackage", "Type", "Basic", "Bandwidth", "20"), "BandwidthPackageId")
		refused("BandwidthPackageAddAccelerator", "BandwidthPackageId", free, "AcceleratorId", s.accelerator)
	},
	"BindExist.CrossDomain": func(_ *bench, s stack, refused func(string, ...string)) {
		refused("BandwidthPackageRemoveAccelerator", "BandwidthPackageId", s.basic, "AcceleratorId", s.accelerator)
	},
	"BandwidthPackageCannotUnbind.HasCrossRegion": func(_ *bench, s stack, refused func(string, ...string)) {
		refused("BandwidthPackageRemoveAccelerator", "BandwidthPackageId", s.cross, "AcceleratorId", s.accelerator)
	},
	"Exist.IpSet under a package": func(b *bench, s stack, refused func(string, ...string)) {
		b.do("DeleteEndpointGroup", "EndpointGroupId", s.group)
		b.do("BandwidthPackageRemoveAccelerator", "BandwidthPackageId", s.cross, "AcceleratorId", s.accelerator)
		refused("BandwidthPackageRemoveAccelerator", "BandwidthPackageId", s.basic, "AcceleratorId", s.accelerator)
	},
	"IllegalParameter.Spec": func(b *bench, s stack, refused func(string, ...string)) {
		refused("CreateAccelerator", "Spec", "4")
		refused("UpdateAccelerator", "AcceleratorId", s.accelerator, "Spec", "huge")
		b.do("UpdateAccelerator", "AcceleratorId", s.accelerator, "Spec", "2")
		b.do("UpdateBandwidthPackage", "BandwidthPackageId", s.basic, "Bandwidth", "40")
		refused("UpdateAccelerator", "AcceleratorId", s.accelerator, "Spec", "1")
	},
	"IllegalParameter.Endpoint": func(_ *bench, s stack, refused func(string, ...string)) {
		for _, endpoint := range []string{"127.0.0.1", "203.0.113.1", "224.0.0.1", "no-such-host.example.com"} {
			refused("CreateEndpointGroup", group(s, "cn-shanghai", endpoint)...)
		}
		refused("CreateEndpointGroup", group(s, "cn-shanghai", "not an address", "EndpointConfigurations.1.Type", "Ip")...)
	},
	"NoPermission.VpcEndpoint": func(_ *bench, s stack, refused func(string, ...string)) {
		refused("CreateEndpointGroup", group(s, "cn-shanghai", "i-1234", "EndpointConfigurations.1.Type", "ECS")...)
	},
	"NoPermission.EnableHealthCheck": func(_ *bench, s stack, refused func(string, ...string)) {
		refused("UpdateEndpointGroup", "EndpointGroupId", s.group, "HealthCheckProtocol", "smtp", "HealthCheckPort", "25")
	},
	"NotSuitable.RegionSelection": func(b *bench, s stack, refused func(string, ...string)) {
		if _, err := b.service.CreateRegion(background, local, resource.Region{Meta: resource.Meta{Name: "empty"}}); err != nil {
			b.t.Fatal(err)
		}
		refused("CreateEndpointGroup", group(s, "empty", "192.0.2.8")...)
	},
	"AclHasBindListener": func(b *bench, s stack, refused func(string, ...string)) {
		acl := text(b.do("CreateAcl", "AddressIPVersion", "IPv4"), "AclId")
		b.do("AssociateAclsWithListener", "ListenerId", s.listener, "AclIds.1", acl, "AclType", "black")
		refused("DeleteAcl", "AclId", acl)
	},
	"EntryAlreadyExists.Acl": func(b *bench, _ stack, refused func(string, ...string)) {
		acl := text(b.do("CreateAcl", "AddressIPVersion", "IPv4", "AclEntries.1.Entry", "192.0.2.0/24"), "AclId")
		refused("AddEntriesToAcl", "AclId", acl, "AclEntries.1.Entry", "192.0.2.0/24")
	},
	"OperationDenied.NotSupported": func(_ *bench, s stack, refused func(string, ...string)) {
		refused("AttachDdosToAccelerator", "AcceleratorId", s.accelerator, "DdosId", "ddos-1", "DdosRegionId", "cn-hangzhou")
		refused("DetachDdosFromAccelerator", "AcceleratorId", s.accelerator)
		refused("AttachLogStoreToEndpointGroup", "AcceleratorId", s.accelerator, "ListenerId", s.listener, "EndpointGroupIds.1", s.group)
		refused("DetachLogStoreFromEndpointGroup", "AcceleratorId", s.accelerator, "ListenerId", s.listener, "EndpointGroupIds.1", s.group)
		refused("ChangeResourceGroup", "ResourceId", s.accelerator, "ResourceType", "accelerator", "NewResourceGroupId", "rg-1")
	},
	"MissingParameter": func(_ *bench, s stack, refused func(string, ...string)) {
		refused("DescribeAccelerator")
		refused("CreateListener", "AcceleratorId", s.accelerator, "PortRanges.1.FromPort", "600")
		refused("CreateListener", "AcceleratorId", s.accelerator, "Protocol", "udp")
		refused("CreateBandwidthPackage", "Bandwidth", "5")
		refused("CreateBandwidthPackage", "Type", "Basic")
		refused("CreateIpSets", "AcceleratorId", s.accelerator)
		refused("DeleteIpSets")
		refused("CreateEndpointGroup", "AcceleratorId", s.accelerator, "ListenerId", s.listener, "EndpointGroupRegion", "cn-shanghai")
		refused("TagResources", "ResourceType", "accelerator", "ResourceId.1", s.accelerator)
		refused("CreateAcl")
		refused("ReserveEgressIp")
		refused("UpdateEndpointGroup", "EndpointGroupId", s.group, "HealthCheckEnabled", "true", "HealthCheckProtocol", "tcp")
	},
	"InvalidParameter": func(_ *bench, s stack, refused func(string, ...string)) {
		refused("ListAccelerators", "PageNumber", "0")
		refused("ListAccelerators", "PageSize", "many")
		refused("ListAcls", "NextToken", "elsewhere")
		refused("UpdateListener", "ListenerId", s.listener, "IdleTimeout", "5")
		refused("UpdateListener", "ListenerId", s.listener, "ClientAffinity", "COOKIE")
		refused("UpdateListener", "ListenerId", s.listener, "ProxyProtocol", "true")
		refused("UpdateEndpointGroup", "EndpointGroupId", s.group, "EndpointGroupRegion", "cn-shanghai")
		refused("UpdateEndpointGroup", "EndpointGroupId", s.group, "PortOverrides.1.ListenerPort", "500", "PortOverrides.1.EndpointPort", "501")
		refused("UpdateEndpointGroup", "EndpointGroupId", s.group, "TrafficPercentage", "101")
		refused("CreateAcl", "AddressIPVersion", "IPv5")
		refused("CreateAcl", "AddressIPVersion", "IPv4", "AclEntries.1.Entry", "2001:db8::/32")
		refused("CreateAcl", "AddressIPVersion", "IPv4", "AclEntries.1.Entry", "192.0.2.1/24")
		refused("CreateBandwidthPackage", "Type", "Anything", "Bandwidth", "5")
		refused("CreateListener", "AcceleratorId", s.accelerator, "Protocol", "udp", "PortRanges.x.FromPort", "600")
		refused("TagResources", "ResourceType", "cow", "ResourceId.1", s.accelerator, "Tag.1.Key", "a")
		refused("CreateAccelerator", "DryRun", "perhaps")
		refused("CreateAccelerator", "ClientToken", strings.Repeat("t", 65))
		refused("CreateAccelerator", "Name", strings.Repeat("n", 129))
	},
	"IdempotentParameterMismatch": func(b *bench, _ stack, refused func(string, ...string)) {
		b.ok("CreateAccelerator", "ClientToken", "one", "Name", "first")
		refused("CreateAccelerator", "ClientToken", "one", "Name", "second")
	},
	"DryRunOperation": func(b *bench, s stack, refused func(string, ...string)) {
		before := b.stored()
		refused("CreateAccelerator", "DryRun", "true", "Spec", "1")
		refused("CreateAcl", "DryRun", "true", "AddressIPVersion", "IPv4")
		refused("UpdateListener", "DryRun", "true", "ListenerId", s.listener, "Name", "other")
		refused("DeleteEndpointGroup", "DryRun", "true", "EndpointGroupId", s.group)
		if !maps.Equal(before, b.stored()) {
			b.t.Error("a dry run wrote something")
		}
	},
	"InvalidAction.NotFound": func(_ *bench, _ stack, refused func(string, ...string)) { refused("MakeCoffee") },
	"ServiceUnavailable": func(b *bench, _ stack, refused func(string, ...string)) {
		key := b.keys[resource.Operator]
		b.api.signatures.identify = func(_ ctxT, _ string) (c callerT, secret []byte, err error) {
			return callerT{Name: key[0], Role: resource.Operator}, []byte(key[1]), nil
		}
		b.store.Close()
		refused("DescribeAccelerator", "AcceleratorId", "ga-any")
	},
	"IllegalParameter.Endpoint that became a PoP's": func(b *bench, s stack, refused func(string, ...string)) {
		b.domains["pop.example.com"] = []netip.Addr{netip.MustParseAddr("203.0.113.1")}
		refused("UpdateEndpointGroup", "EndpointGroupId", s.group, "EndpointConfigurations.1.Endpoint", "pop.example.com", "EndpointConfigurations.1.Type", "Domain")
	},
}

// TestRolesAreTheNativeAPIs holds the roles to those of the service.
func TestRolesAreTheNativeAPIs(t *testing.T) {
	b := newBench(t).world()
	s := b.tutorial()
	for _, request := range [][]string{
		{"CreateAccelerator"}, {"UpdateAccelerator", "AcceleratorId", s.accelerator, "Name", "x1"}, {"DeleteAccelerator", "AcceleratorId", s.accelerator},
		{"CreateAcl", "AddressIPVersion", "IPv4"}, {"DeleteEndpointGroup", "EndpointGroupId", s.group}, {"ReserveEgressIp", "EndpointGroupId", s.group},
		{"TagResources", "ResourceType", "accelerator", "ResourceId.1", s.accelerator, "Tag.1.Key", "a"}, {"DeleteIpSets", "IpSetIds.1", s.ipSet},
	} {
		if status, answer := b.as(resource.Reader, request[0], request[1:]...); status != 403 || answer["Code"] != "Forbidden.RAM" {
			t.Errorf("a reader may call %s: %d %v", request[0], status, answer)
		}
	}
	for _, request := range [][]string{{"DescribeAccelerator", "AcceleratorId", s.accelerator}, {"ListEndpointGroups", "AcceleratorId", s.accelerator}, {"ListTagResources", "ResourceType", "accelerator"}} {
		if status, answer := b.as(resource.Reader, request[0], request[1:]...); status != 200 {
			t.Errorf("a reader may not call %s: %d %v", request[0], status, answer)
		}
	}
	off := false
	if _, err := b.service.UpdateAccessKey(background, local, b.keys[resource.Reader][0], func(k *resource.AccessKey) error { k.Enabled = &off; return nil }); err != nil {
		t.Fatal(err)
	}
	if status, answer := b.as(resource.Reader, "ListAccelerators"); status != 404 || answer["Code"] != "InvalidAccessKeyId.NotFound" {
		t.Errorf("a key that is switched off opens: %d %v", status, answer)
	}
}

// TestEveryCodeOfTheServiceHasOneOfTheVendors keeps new refusals of the service
// from coming out as something vague.
func TestEveryCodeOfTheServiceHasOneOfTheVendors(t *testing.T) {
	plain := []resource.Code{resource.CodeInvalidField, resource.CodeImmutable, resource.CodeRevisionMoved, resource.CodeTokenInvalid, resource.CodeLastAdmin, resource.CodeCompacted}
	for _, code := range resource.Codes {
		for _, kind := range resource.Kinds {
			e := resource.Errorf(code, "no").On(resource.Ref{Kind: kind, Name: "x"})
			if have := vendorError(kind, e); have.Code == "InvalidParameter" && !slices.Contains(plain, code) && code != resource.CodeUnsupported && code != resource.CodeNotFound {
				t.Errorf("%s of a %s becomes %s", code, kind, have.Code)
			}
		}
	}
}

var _ = service.Call{}
