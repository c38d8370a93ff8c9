package aliyunapi

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"causeway/internal/resource"
)

// TestALifeLeavesNoTrace: create, describe, update, delete, and the store is as
// it was before.
func TestALifeLeavesNoTrace(t *testing.T) {
	b := newBench(t).world()
	before := b.stored()
	s := b.tutorial()
	acl := text(b.do("CreateAcl", "AddressIPVersion", "IPv4", "AclEntries.1.Entry", "192.0.2.0/24"), "AclId")
	b.do("AssociateAclsWithListener", "ListenerId", s.listener, "AclIds.1", acl, "AclType", "white")
	b.do("UpdateListener", "ListenerId", s.listener, "IdleTimeout", "60", "Name", "other", "ClientAffinity", "SOURCE_IP")
	b.do("UpdateEndpointGroup", "EndpointGroupId", s.group, "EndpointConfigurations.1.Endpoint", "vpn.example.com", "EndpointConfigurations.1.Type", "Domain", "HealthCheckProtocol", "icmp", "EnableAccessLog", "true")
	b.do("ConfigEndpointProbe", "EndpointGroupId", s.group, "Endpoint", "vpn.example.com", "EndpointType", "Domain", "Enable", "true", "ProbeProtocol", "tcp", "ProbePort", "443")
	b.do("TagResources", "ResourceType", "endpointgroup", "ResourceId.1", s.group, "Tag.1.Key", "a", "Tag.1.Value", "b")
	b.do("ReserveEgressIp", "EndpointGroupId", s.group)
	b.do("ReserveEgressIp", "EndpointGroupId", s.group, "Reserved", "false")
	b.do("UpdateIpSet", "IpSetId", s.ipSet, "Bandwidth", "10")
	b.do("DissociateAclsFromListener", "ListenerId", s.listener, "AclIds.1", acl)
	b.do("DeleteAcl", "AclId", acl)
	b.teardown(s)
	after := b.stored()
	delete(after, "domain/vpn.example.com") // looked up, and forgotten when its time is over
	if !maps.Equal(before, after) {
		for key := range after {
			if before[key] != after[key] {
				t.Errorf("%s is left: %s", key, after[key])
			}
		}
		for key := range before {
			if _, left := after[key]; !left {
				t.Errorf("%s is gone", key)
			}
		}
	}
}

// TestSayingItTwiceChangesNothing: updates with what is there leave every
// resource at its revision, and every answer as it was.
func TestSayingItTwiceChangesNothing(t *testing.T) {
	b := newBench(t).world()
	s := b.tutorial()
	acl := text(b.do("CreateAcl", "AddressIPVersion", "IPv4", "AclName", "office", "AclEntries.1.Entry", "192.0.2.0/24"), "AclId")
	wanted := [][]string{
		{"UpdateAccelerator", "AcceleratorId", s.accelerator, "Name", "office", "Description", "d", "Spec", "1"},
		{"UpdateBandwidthPackage", "BandwidthPackageId", s.basic, "Bandwidth", "20", "BandwidthType", "Enhanced", "Name", "basic one", "Description", "d"},
		{"UpdateIpSet", "IpSetId", s.ipSet, "Bandwidth", "20"},
		{"UpdateListener", "ListenerId", s.listener, "Name", "ipsec", "Protocol", "udp", "ClientAffinity", "NONE", "ProxyProtocol", "false", "IdleTimeout", "20",
			"PortRanges.1.FromPort", "500", "PortRanges.1.ToPort", "500", "PortRanges.2.FromPort", "4500", "PortRanges.2.ToPort", "4500"},
		{"UpdateEndpointGroup", "EndpointGroupId", s.group, "EndpointGroupRegion", "kr-seoul", "Name", "seoul", "Description", "d", "TrafficPercentage", "100", "ThresholdCount", "3",
			"HealthCheckEnabled", "true", "HealthCheckProtocol", "tcp", "HealthCheckPort", "443", "HealthCheckIntervalSeconds", "3",
			"EndpointConfigurations.1.Type", "PublicIp", "EndpointConfigurations.1.Endpoint", "192.0.2.7", "EndpointConfigurations.1.Weight", "100"},
		{"AssociateAclsWithListener", "ListenerId", s.listener, "AclIds.1", acl, "AclType", "black"},
		{"TagResources", "ResourceType", "accelerator", "ResourceId.1", s.accelerator, "Tag.1.Key", "a", "Tag.1.Value", "b"},
		{"UpdateAclAttribute", "AclId", acl, "AclName", "office"},
		{"EnableSourceConsistent", "AcceleratorId", s.accelerator},
	}
	for _, request := range wanted {
		b.do(request[0], request[1:]...)
	}
	first, answers := b.stored(), b.reads(s, acl)
	for _, request := range wanted {
		b.do(request[0], request[1:]...)
	}
	for key, value := range b.stored() {
		if first[key] != value {
			t.Errorf("the second time changed %s from\n%s\nto\n%s", key, first[key], value)
		}
	}
	if again := b.reads(s, acl); !slices.Equal(answers, again) {
		t.Errorf("the answers were\n%s\nand are\n%s", strings.Join(answers, "\n"), strings.Join(again, "\n"))
	}
}

// reads are the answers of everything that describes a stack.
func (b *bench) reads(s stack, acl string) (all []string) {
	for _, request := range [][]string{
		{"DescribeAccelerator", "AcceleratorId", s.accelerator}, {"DescribeBandwidthPackage", "BandwidthPackageId", s.basic}, {"DescribeIpSet", "IpSetId", s.ipSet},
		{"DescribeListener", "ListenerId", s.listener}, {"DescribeEndpointGroup", "EndpointGroupId", s.group}, {"GetAcl", "AclId", acl},
		{"ListTagResources", "ResourceType", "accelerator"}, {"DescribeAcceleratorAutoRenewAttribute", "AcceleratorId", s.accelerator},
	} {
		answer := b.ok(request[0], request[1:]...)
		delete(answer, "RequestId")
		encoded, _ := json.Marshal(answer)
		all = append(all, string(encoded))
	}
	return all
}

// TestWhatWasSaidIsReadAgain: what Terraform sends, it must find again, or it
// wants to change it for ever.
func TestWhatWasSaidIsReadAgain(t *testing.T) {
	b := newBench(t).world()
	s := b.tutorial()
	l := b.ok("DescribeListener", "ListenerId", s.listener)
	if _, has := l["Type"]; has {
		t.Error("DescribeListener answers Type, which makes Terraform replace listeners")
	}
	for name, want := range map[string]any{"Protocol": "udp", "ClientAffinity": "NONE", "Name": "ipsec", "ProxyProtocol": false, "State": "active", "IdleTimeout": 300.0} {
		if l[name] != want {
			t.Errorf("the listener's %s is %v, want %v", name, l[name], want)
		}
	}
	b.do("UpdateEndpointGroup", "EndpointGroupId", s.group, "HealthCheckEnabled", "false", "HealthCheckProtocol", "TCP", "HealthCheckPort", "10", "HealthCheckPath", "default", "HealthCheckIntervalSeconds", "3", "ThresholdCount", "4")
	g := b.ok("DescribeEndpointGroup", "EndpointGroupId", s.group)
	for name, want := range map[string]any{"HealthCheckEnabled": false, "HealthCheckProtocol": "TCP", "HealthCheckPort": 10.0, "HealthCheckPath": "default", "HealthCheckIntervalSeconds": 3.0, "ThresholdCount": 4.0,
		"EndpointGroupRegion": "ap-northeast-2", "AccessLogSwitch": "off", "EndpointGroupType": "default", "TrafficPercentage": nil} {
		if g[name] != want {
			t.Errorf("the group's %s is %v, want %v", name, g[name], want)
		}
	}
	if e := g["EndpointConfigurations"].([]any)[0].(map[string]any); e["Type"] != "PublicIp" || e["Weight"] != 100.0 {
		t.Errorf("the endpoint is %v", e)
	}
	if a := b.ok("DescribeAccelerator", "AcceleratorId", text(b.do("CreateAccelerator"), "AcceleratorId")); a["Spec"] != "" {
		t.Errorf("an accelerator without limits has the Spec %v", a["Spec"])
	}
	upper := text(b.do("CreateListener", listenerWith(s, "UDP", "600", "600")...), "ListenerId")
	if l := b.ok("DescribeListener", "ListenerId", upper); l["Protocol"] != "UDP" {
		t.Errorf("what was said as UDP is answered as %v", l["Protocol"])
	}
	b.do("UpdateEndpointGroup", "EndpointGroupId", s.group, "HealthCheckEnabled", "true")
	if stored, _ := b.service.GetEndpointGroup(background, local, s.group); stored.HealthCheck == nil || stored.HealthCheck.Probe != "tcp" || stored.HealthCheck.Port != 10 || stored.HealthCheck.Down != 4 {
		t.Errorf("the health check is %+v", stored.HealthCheck)
	}
	if _, err := b.service.UpdateEndpointGroup(background, local, s.group, func(g *resource.EndpointGroup) error {
		g.HealthCheck = &resource.HealthCheck{Probe: "ike"}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if g := b.ok("DescribeEndpointGroup", "EndpointGroupId", s.group); g["HealthCheckProtocol"] != "ike" || g["HealthCheckPort"] != 500.0 || g["HealthCheckEnabled"] != true {
		t.Errorf("a health check that was changed elsewhere reads %v", g)
	}
}

// TestStatesFollowThePoPs walks through what clients that poll see.
func TestStatesFollowThePoPs(t *testing.T) {
	b := newBench(t).world()
	s := b.tutorial()
	state := func(action, name, id string) string { return text(b.ok(action, name, id), "State") }
	expect := func(moment, accelerator, listener, group string) {
		t.Helper()
		a, l, g := state("DescribeAccelerator", "AcceleratorId", s.accelerator), state("DescribeListener", "ListenerId", s.listener), state("DescribeEndpointGroup", "EndpointGroupId", s.group)
		if a != accelerator || l != listener || g != group {
			t.Errorf("%s: accelerator %s, listener %s, group %s; want %s, %s, %s", moment, a, l, g, accelerator, listener, group)
		}
	}
	expect("at rest", "active", "active", "active")
	b.ok("UpdateEndpointGroup", "EndpointGroupId", s.group, "EndpointConfigurations.1.Endpoint", "192.0.2.8")
	expect("after a change of the group", "configuring", "active", "updating")
	b.report(true, "sha")
	expect("when one of two PoPs runs it", "configuring", "active", "updating")
	b.report(true, "sel")
	expect("when both do", "active", "active", "active")
	b.do("DeleteEndpointGroup", "EndpointGroupId", s.group)
	s.group = text(b.ok("CreateEndpointGroup", group(s, "kr-seoul", "192.0.2.7")...), "EndpointGroupId")
	expect("with a new group", "configuring", "active", "init")
	b.settle()
	expect("when that runs", "active", "active", "active")
	// A PoP goes away: what it has not applied holds the lock for a while only.
	b.ok("UpdateEndpointGroup", "EndpointGroupId", s.group, "EndpointConfigurations.1.Endpoint", "192.0.2.8")
	b.report(true, "sha")
	b.away("sel")
	b.refused("StateError.EndPointGroup", "UpdateEndpointGroup", "EndpointGroupId", s.group, "EndpointConfigurations.1.Endpoint", "192.0.2.9")
	b.now = b.now.Add(grace + 1)
	expect("while the PoP is away", "configuring", "active", "updating")
	b.ok("UpdateEndpointGroup", "EndpointGroupId", s.group, "EndpointConfigurations.1.Endpoint", "192.0.2.9")
}

// TestOtherAcceleratorsAreNotLocked: the lock is of one accelerator.
func TestOtherAcceleratorsAreNotLocked(t *testing.T) {
	b := newBench(t).world()
	first, second := b.tutorial(), b.tutorial()
	b.ok("UpdateEndpointGroup", "EndpointGroupId", first.group, "EndpointConfigurations.1.Endpoint", "192.0.2.8")
	b.refused("StateError.Accelerator", "UpdateAccelerator", "AcceleratorId", first.accelerator, "Name", "busy")
	b.ok("UpdateListener", "ListenerId", second.listener, "IdleTimeout", "60")
	b.refused("NotActive.Listener", "UpdateListener", "ListenerId", second.listener, "IdleTimeout", "70")
}

// TestTheSameTokenIsTheSameRequest: also while the accelerator is being configured.
func TestTheSameTokenIsTheSameRequest(t *testing.T) {
	b := newBench(t).world()
	s := b.tutorial()
	b.do("DeleteEndpointGroup", "EndpointGroupId", s.group)
	request := group(s, "kr-seoul", "192.0.2.7", "ClientToken", "TF-CreateEndpointGroup-1/with a slash")
	first := text(b.ok("CreateEndpointGroup", request...), "EndpointGroupId")
	if again := text(b.ok("CreateEndpointGroup", request...), "EndpointGroupId"); again != first {
		t.Errorf("a second group was made: %s, %s", first, again)
	}
	b.refused("IdempotentParameterMismatch", "CreateEndpointGroup", group(s, "kr-seoul", "192.0.2.9", "ClientToken", "TF-CreateEndpointGroup-1/with a slash")...)
	sets := []string{"AcceleratorId", text(b.do("CreateAccelerator"), "AcceleratorId"), "ClientToken", "sets", "AccelerateRegion.1.AccelerateRegionId", "cn-shanghai"}
	one, two := b.ok("CreateIpSets", sets...), b.ok("CreateIpSets", sets...)
	if one["IpSets"].([]any)[0].(map[string]any)["IpSetId"] != two["IpSets"].([]any)[0].(map[string]any)["IpSetId"] {
		t.Errorf("IP sets were made twice: %v, %v", one, two)
	}
}

// TestSeveralIPSetsAreMadeTogetherOrNotAtAll holds CreateIpSets to one transaction.
func TestSeveralIPSetsAreMadeTogetherOrNotAtAll(t *testing.T) {
	b := newBench(t).world()
	id := text(b.do("CreateAccelerator"), "AcceleratorId")
	before := b.stored()
	b.refused("NotExist.BusinessRegion", "CreateIpSets", "AcceleratorId", id, "AccelerateRegion.1.AccelerateRegionId", "cn-shanghai", "AccelerateRegion.2.AccelerateRegionId", "atlantis")
	if !maps.Equal(before, b.stored()) {
		t.Error("half of it was done")
	}
	made := b.do("CreateIpSets", "AcceleratorId", id, "AccelerateRegion", `[{"AccelerateRegionId":"cn-shanghai","Bandwidth":5},{"AccelerateRegionId":"ap-northeast-2","Bandwidth":"6"}]`)
	list := made["IpSets"].([]any)
	if len(list) != 2 || list[1].(map[string]any)["Bandwidth"] != 6.0 || list[1].(map[string]any)["AccelerateRegionId"] != "ap-northeast-2" {
		t.Errorf("IP sets in a JSON list: %v", made)
	}
	b.do("UpdateIpSets", "IpSets.1.IpSetId", list[0].(map[string]any)["IpSetId"].(string), "IpSets.1.Bandwidth", "7", "IpSets.2.IpSetId", list[1].(map[string]any)["IpSetId"].(string), "IpSets.2.Bandwidth", "8")
	b.do("DeleteIpSets", "IpSetIds.1", list[0].(map[string]any)["IpSetId"].(string), "IpSetIds.2", list[1].(map[string]any)["IpSetId"].(string))
}

// TestACLsReachThePoPs: what PoPs are told of a listener with white and black lists.
func TestACLsReachThePoPs(t *testing.T) {
	b := newBench(t).world()
	s := b.tutorial()
	told := func() (allow, deny []netip.Prefix) {
		compiled, err := b.service.Compiled(background)
		if err != nil || len(compiled.Plan.Snapshots["sha"].Listeners) != 1 {
			t.Fatalf("%v %v", err, compiled.Problems)
		}
		l := compiled.Plan.Snapshots["sha"].Listeners[0]
		return l.Allow, l.Deny
	}
	acl := text(b.do("CreateAcl", "AddressIPVersion", "IPv4"), "AclId")
	b.do("AssociateAclsWithListener", "ListenerId", s.listener, "AclIds.1", acl, "AclType", "white")
	if _, deny := told(); len(deny) != 2 || deny[0].Bits() != 0 || deny[1].Bits() != 0 {
		t.Errorf("an empty white list denies %v", deny)
	}
	b.do("AddEntriesToAcl", "AclId", acl, "AclEntries.1.Entry", "192.0.2.0/24", "AclEntries.2.Entry", "203.0.113.7")
	if allow, deny := told(); len(deny) != 0 || len(allow) != 2 || allow[1].String() != "203.0.113.7/32" {
		t.Errorf("a white list allows %v and denies %v", allow, deny)
	}
	b.do("DissociateAclsFromListener", "ListenerId", s.listener, "AclIds.1", acl)
	if allow, deny := told(); allow != nil || deny != nil {
		t.Errorf("without ACLs: %v %v", allow, deny)
	}
	b.do("AssociateAclsWithListener", "ListenerId", s.listener, "AclIds.1", acl, "AclType", "black")
	if allow, deny := told(); allow != nil || len(deny) != 2 {
		t.Errorf("a black list allows %v and denies %v", allow, deny)
	}
	b.do("UpdateEndpointGroup", "EndpointGroupId", s.group, "EnableAccessLog", "true")
	if compiled, _ := b.service.Compiled(background); !compiled.Plan.Snapshots["sha"].Listeners[0].FlowLog {
		t.Error("the access log is not switched on")
	}
	if r := b.ok("ListEndpointGroups", "AcceleratorId", s.accelerator, "AccessLogSwitch", "on"); r["TotalCount"] != 1.0 {
		t.Errorf("groups with access logs: %v", r)
	}
}

// TestPagesOfBothKinds: by number, and by token.
func TestPagesOfBothKinds(t *testing.T) {
	b := newBench(t)
	for range 5 {
		b.ok("CreateAcl", "AddressIPVersion", "IPv4")
		b.ok("CreateBandwidthPackage", "Type", "Basic", "Bandwidth", "5")
	}
	seen := map[string]bool{}
	for _, number := range []string{"1", "2", "3"} {
		r := b.ok("ListBandwidthackages", "PageNumber", number, "PageSize", "2")
		for _, p := range r["BandwidthPackages"].([]any) {
			seen[p.(map[string]any)["BandwidthPackageId"].(string)] = true
		}
		if r["TotalCount"] != 5.0 {
			t.Errorf("page %s: %v", number, r)
		}
	}
	next, pages := "", 0
	for ; pages == 0 || next != ""; pages++ {
		r := b.ok("ListAcls", "MaxResults", "2", "NextToken", next)
		next = text(r, "NextToken")
		for _, a := range r["Acls"].([]any) {
			seen[a.(map[string]any)["AclId"].(string)] = true
		}
	}
	if len(seen) != 10 || pages != 3 {
		t.Errorf("%d of 10 were on the pages, of %d", len(seen), pages)
	}
	if r := b.ok("ListBandwidthPackages", "PageNumber", "9"); len(r["BandwidthPackages"].([]any)) != 0 {
		t.Errorf("a page behind the last: %v", r)
	}
}

// TestTheEgressIPOutlivesItsGroup is the second ticket.
func TestTheEgressIPOutlivesItsGroup(t *testing.T) {
	b := newBench(t).world()
	s := b.tutorial()
	reserved := b.do("ReserveEgressIp", "EndpointGroupId", s.group)
	b.do("DeleteEndpointGroup", "EndpointGroupId", s.group)
	b.do("DeleteListener", "ListenerId", s.listener)
	s.listener = text(b.do("CreateListener", listenerWith(s, "udp", "500", "500")...), "ListenerId")
	b.do("CreateEndpointGroup", group(s, "kr-seoul", "192.0.2.7", "EgressIpId", text(reserved, "EgressIpId"))...)
	g := b.ok("ListEndpointGroups", "AcceleratorId", s.accelerator)["EndpointGroups"].([]any)[0].(map[string]any)
	if list := g["EndpointGroupIpList"].([]any); len(list) != 1 || list[0] != reserved["EgressIp"] {
		t.Errorf("the group leaves from %v, %v was reserved", list, reserved)
	}
	fresh := b.do("ReserveEgressIp", "EndpointGroupRegion", "kr-seoul")
	b.do("ReleaseEgressIp", "EgressIpId", text(fresh, "EgressIpId"))
}

// TestHealthIsWhatPoPsReport reads GetHealthStatus.
func TestHealthIsWhatPoPsReport(t *testing.T) {
	b := newBench(t).world()
	s := b.tutorial()
	word := func() (string, string) {
		r := b.ok("GetHealthStatus", "AcceleratorId", s.accelerator, "ListenerId", s.listener)
		return text(r, "HealthStatus"), r["EndpointGroups"].([]any)[0].(map[string]any)["HealthStatus"].(string)
	}
	if all, one := word(); all != "normal" || one != "init" {
		t.Errorf("nothing is known: %s, %s", all, one)
	}
	g, _ := b.service.GetEndpointGroup(background, local, s.group)
	for health, want := range map[string]string{"up": "normal", "down": "abnormal"} {
		b.reports["sha"] = `{"listeners":[{"groups":[{"endpoint_group":"` + g.Name + `","endpoints":[{"address":"192.0.2.7","health":"` + health + `"}]}]}]}`
		if all, one := word(); all != want || one != want {
			t.Errorf("%s: %s, %s", health, all, one)
		}
	}
}

// TestNothingOfARequestReachesTheLog sends a canary in all places where a
// tunnel's key may be, in requests that are carried out and in those that fail.
func TestNothingOfARequestReachesTheLog(t *testing.T) {
	const canary = "canary-that-sings-in-no-log"
	b := newBench(t).world()
	s := b.tutorial()
	for _, request := range [][]string{
		{"CreateAccelerator", "Name", canary}, {"CreateAccelerator", "Spec", canary}, {"UpdateListener", "ListenerId", s.listener, "IdleTimeout", canary}, {"MakeCoffee", "Psk", canary},
		{"UpdateEndpointGroup", "EndpointGroupId", s.group, "HealthCheckProtocol", canary}, {"UpdateEndpointGroup", "EndpointGroupId", s.group, "EndpointConfigurations.1.Endpoint", canary},
		{"CreateVpnConnection", "IkeConfig", `{"Psk":"` + canary + `"}`, "VpnGatewayId", "vpn-none"}, {"DescribeAccelerator", "AcceleratorId", canary}, {"CreateAcl", "AddressIPVersion", canary},
	} {
		b.as(resource.Operator, request[0], request[1:]...)
	}
	v := b.rpc(resource.Operator, "CreateAccelerator", pairs("Name", canary))
	v.Set("Signature", canary)
	b.send(post(v, pairs("Psk", canary)))
	b.send(b.acs3(resource.Operator, canary, pairs("Psk", canary), canary))
	crash := b.api.signatures.identify
	b.api.signatures.identify = func(ctxT, string) (callerT, []byte, error) { panic("crash on " + canary) }
	v = b.rpc(resource.Operator, "CreateAccelerator", pairs("Name", canary))
	rpcSign("POST", "x", v)
	if status, answer := b.send(post(v, nil)); status != http.StatusInternalServerError || answer["Code"] != "InternalError" {
		t.Errorf("a crash: %d %v", status, answer)
	}
	b.api.signatures.identify = crash
	if strings.Contains(b.log.String(), canary) {
		t.Errorf("the log has the canary:\n%s", b.log.String())
	}
	if !strings.Contains(b.log.String(), "crashed") {
		t.Error("the log does not tell of the crash")
	}
	if strings.Contains(b.log.String(), b.keys[resource.Operator][1]) {
		t.Error("the log has the secret of a key")
	}
}

// TestErrorsAreStringsThroughout: the vendor's first SDK crashes on others.
func TestErrorsAreStringsThroughout(t *testing.T) {
	b := newBench(t)
	_, answer := b.as(resource.Operator, "DescribeAccelerator", "AcceleratorId", "ga-nothing")
	for _, name := range []string{"RequestId", "HostId", "Code", "Message", "Recommend"} {
		if s, ok := answer[name].(string); !ok || s == "" {
			t.Errorf("%s is %v", name, answer[name])
		}
	}
	if len(answer) != 5 {
		t.Errorf("the refusal has %v", answer)
	}
}
