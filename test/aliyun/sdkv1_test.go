package aliyun

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/aliyun/alibaba-cloud-sdk-go/sdk"
	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/auth/credentials"
	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/errors"
	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/requests"
	"github.com/aliyun/alibaba-cloud-sdk-go/services/ga"
)

// gaClient is the vendor's first SDK with nothing but the endpoint changed.
func gaClient(t *testing.T, scheme, id, secret string) *ga.Client {
	t.Helper()
	config := sdk.NewConfig().WithScheme(scheme)
	c, err := ga.NewClientWithOptions("cn-hangzhou", config, credentials.NewAccessKeyCredential(id, secret))
	if err != nil {
		t.Fatal(err)
	}
	c.Domain = endpoint
	c.SetHTTPSInsecure(true)
	return c
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// wantCode fails unless err is the service's refusal with a code.
func wantCode(t *testing.T, err error, status int, code string) {
	t.Helper()
	refusal, ok := err.(*errors.ServerError)
	if !ok || refusal.ErrorCode() != code || refusal.HttpStatus() != status || refusal.RequestId() == "" {
		t.Fatalf("want %s with status %d, have %v", code, status, err)
	}
}

// becomes waits for a state as the vendor's examples do: describe, compare, sleep.
func becomes(t *testing.T, state string, read func() (string, error)) {
	t.Helper()
	if err := await(func() error {
		have, err := read()
		if err != nil {
			return err
		}
		if have != state {
			return fmt.Errorf("the state is %s, want %s", have, state)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// steady repeats a call while the instance is being configured, as the vendor's
// Terraform provider does.
func steady[T any](t *testing.T, call func() (T, error)) (answer T) {
	t.Helper()
	if err := await(func() (err error) {
		answer, err = call()
		if refusal, ok := err.(*errors.ServerError); ok {
			switch refusal.ErrorCode() {
			case "StateError.Accelerator", "NotActive.Listener", "StateError.EndPointGroup", "StateError.IpSet":
				return err
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return answer
}

// TestTheWalkThroughWithTheFirstSDK is the tutorial's Global Accelerator part,
// from the instance to the final endpoint, and all the way back.
func TestTheWalkThroughWithTheFirstSDK(t *testing.T) {
	for _, scheme := range []string{"HTTP", "HTTPS"} {
		t.Run(scheme, func(t *testing.T) { walk(t, gaClient(t, scheme, access.id, access.secret)) })
	}
}

func walk(t *testing.T, c *ga.Client) {
	// 4.1.1: the instance and both bandwidth packages.
	create := ga.CreateCreateAcceleratorRequest()
	create.Name, create.Spec, create.AutoPay, create.PricingCycle, create.Duration = "vpn ~*+/=& 서울", "1", requests.NewBoolean(true), "Month", requests.NewInteger(1)
	instance := must(c.CreateAccelerator(create))(t).AcceleratorId
	packages := map[string]string{}
	for _, kind := range []string{"Basic", "CrossDomain"} {
		r := ga.CreateCreateBandwidthPackageRequest()
		r.Type, r.Bandwidth, r.AutoPay = kind, requests.NewInteger(10), requests.NewBoolean(true)
		if kind == "Basic" {
			r.BandwidthType = "Enhanced"
		} else {
			r.CbnGeographicRegionIdA, r.CbnGeographicRegionIdB = "China-mainland", "Global"
		}
		packages[kind] = must(c.CreateBandwidthPackage(r))(t).BandwidthPackageId
		becomes(t, "active", func() (string, error) { return packageState(c, packages[kind]) })
		bind := ga.CreateBandwidthPackageAddAcceleratorRequest()
		bind.BandwidthPackageId, bind.AcceleratorId = packages[kind], instance
		if bound := steady(t, func() (*ga.BandwidthPackageAddAcceleratorResponse, error) {
			return c.BandwidthPackageAddAccelerator(bind)
		}); len(bound.Accelerators) != 1 || bound.Accelerators[0] != instance {
			t.Fatalf("the package is bound to %v", bound.Accelerators)
		}
		becomes(t, "binded", func() (string, error) { return packageState(c, packages[kind]) })
	}
	state := func() (string, error) {
		r := ga.CreateDescribeAcceleratorRequest()
		r.AcceleratorId = instance
		d, err := c.DescribeAccelerator(r)
		return d.State, err
	}
	becomes(t, "active", state)
	read := ga.CreateDescribeAcceleratorRequest()
	read.AcceleratorId = instance
	if d := must(c.DescribeAccelerator(read))(t); d.Name != create.Name || d.Spec != "1" || d.BasicBandwidthPackage.InstanceId != packages["Basic"] || d.BasicBandwidthPackage.BandwidthType != "Enhanced" ||
		d.CrossDomainBandwidthPackage.Bandwidth != 10 || d.CreateTime == 0 || d.ExpiredTime <= d.CreateTime {
		t.Fatalf("the instance reads %+v", d)
	}
	// 4.1.2: the first ticket.
	own(t, c, "EnableSourceConsistent", map[string]string{"AcceleratorId": instance})
	// 4.2: Shanghai.
	areas := ga.CreateListAvailableAccelerateAreasRequest()
	areas.AcceleratorId = instance
	if a := must(c.ListAvailableAccelerateAreas(areas))(t); len(a.Areas) != 2 || a.Areas[0].RegionList[0].RegionId != "cn-shanghai" {
		t.Fatalf("the areas are %+v", a.Areas)
	}
	sets := ga.CreateCreateIpSetsRequest()
	sets.AcceleratorId = instance
	sets.AccelerateRegion = &[]ga.CreateIpSetsAccelerateRegion{{AccelerateRegionId: "cn-shanghai", Bandwidth: "10", IpVersion: "IPv4"}}
	made := steady(t, func() (*ga.CreateIpSetsResponse, error) { return c.CreateIpSets(sets) })
	set := made.IpSets[0].IpSetId
	describeSet := ga.CreateDescribeIpSetRequest()
	describeSet.IpSetId = set
	becomes(t, "active", func() (string, error) { d, err := c.DescribeIpSet(describeSet); return d.State, err })
	accelerated := must(c.DescribeIpSet(describeSet))(t).IpAddressList
	if len(accelerated) != 1 || len(made.IpSets[0].IpList) != 1 || accelerated[0] != made.IpSets[0].IpList[0] {
		t.Fatalf("the accelerated IPs are %v and %v", accelerated, made.IpSets)
	}
	// 4.4.1: UDP 500 and 4500, and a temporary endpoint.
	listen := ga.CreateCreateListenerRequest()
	listen.AcceleratorId, listen.Protocol, listen.Name, listen.ClientToken = instance, "UDP", "ipsec", "token/"+instance
	listen.PortRanges = &[]ga.CreateListenerPortRanges{{FromPort: "500", ToPort: "500"}, {FromPort: "4500", ToPort: "4500"}}
	listener := steady(t, func() (*ga.CreateListenerResponse, error) { return c.CreateListener(listen) }).ListenerId
	if again := must(c.CreateListener(listen))(t).ListenerId; again != listener {
		t.Fatalf("the same token made listener %s beside %s", again, listener)
	}
	describeListener := ga.CreateDescribeListenerRequest()
	describeListener.ListenerId = listener
	becomes(t, "active", func() (string, error) { d, err := c.DescribeListener(describeListener); return d.State, err })
	group := ga.CreateCreateEndpointGroupRequest()
	group.AcceleratorId, group.ListenerId, group.EndpointGroupRegion = instance, listener, "kr-seoul"
	group.EndpointConfigurations = &[]ga.CreateEndpointGroupEndpointConfigurations{{Type: "PublicIp", Endpoint: "192.0.2.7", Weight: "255"}}
	groupID := steady(t, func() (*ga.CreateEndpointGroupResponse, error) { return c.CreateEndpointGroup(group) }).EndpointGroupId
	describeGroup := ga.CreateDescribeEndpointGroupRequest()
	describeGroup.EndpointGroupId = groupID
	groupState := func() (string, error) { d, err := c.DescribeEndpointGroup(describeGroup); return d.State, err }
	becomes(t, "active", groupState)
	becomes(t, "active", state)
	// 4.4.2: the OFF IP, which stays when the endpoint changes.
	off := egress(t, c, instance)
	own(t, c, "ReserveEgressIp", map[string]string{"EndpointGroupId": groupID})
	// 4.9: the real endpoint.
	change := ga.CreateUpdateEndpointGroupRequest()
	change.EndpointGroupId, change.EndpointGroupRegion = groupID, "kr-seoul"
	change.EndpointConfigurations = &[]ga.UpdateEndpointGroupEndpointConfigurations{{Type: "PublicIp", Endpoint: "192.0.2.8", Weight: "255"}}
	steady(t, func() (*ga.UpdateEndpointGroupResponse, error) { return c.UpdateEndpointGroup(change) })
	becomes(t, "active", groupState)
	if d := must(c.DescribeEndpointGroup(describeGroup))(t); len(d.EndpointConfigurations) != 1 || d.EndpointConfigurations[0].Endpoint != "192.0.2.8" || d.EndpointConfigurations[0].Type != "PublicIp" || d.EndpointConfigurations[0].Weight != 255 {
		t.Fatalf("the group reads %+v", d.EndpointConfigurations)
	}
	if now := egress(t, c, instance); now != off {
		t.Fatalf("the OFF IP was %s and is %s", off, now)
	}
	own(t, c, "ReserveEgressIp", map[string]string{"EndpointGroupId": groupID, "Reserved": "false"})
	takeDown(t, c, instance, listener, groupID, set, packages)
}

func packageState(c *ga.Client, id string) (string, error) {
	r := ga.CreateDescribeBandwidthPackageRequest()
	r.BandwidthPackageId = id
	d, err := c.DescribeBandwidthPackage(r)
	return d.State, err
}

// egress is the one address that endpoints see.
func egress(t *testing.T, c *ga.Client, instance string) string {
	t.Helper()
	r := ga.CreateListEndpointGroupsRequest()
	r.AcceleratorId = instance
	groups := must(c.ListEndpointGroups(r))(t).EndpointGroups
	if len(groups) != 1 || len(groups[0].EndpointGroupIpList) != 1 {
		t.Fatalf("the groups are %+v", groups)
	}
	return groups[0].EndpointGroupIpList[0]
}

// own calls an action that the SDK does not know.
func own(t *testing.T, c *ga.Client, action string, query map[string]string) string {
	t.Helper()
	r := requests.NewCommonRequest()
	r.Method, r.Product, r.Version, r.ApiName, r.Domain, r.QueryParams = "POST", "Ga", "2019-11-20", action, endpoint, query
	r.Scheme = c.GetConfig().Scheme
	answer := steady(t, func() (string, error) {
		a, err := c.ProcessCommonRequest(r)
		if err != nil {
			return "", err
		}
		return a.GetHttpContentString(), nil
	})
	return answer
}

func takeDown(t *testing.T, c *ga.Client, instance, listener, group, set string, packages map[string]string) {
	t.Helper()
	early := ga.CreateDeleteListenerRequest()
	early.AcceleratorId, early.ListenerId = instance, listener
	if err := await(func() error {
		_, err := c.DeleteListener(early)
		if refusal, ok := err.(*errors.ServerError); ok && (refusal.ErrorCode() == "StateError.Accelerator" || refusal.ErrorCode() == "NotActive.Listener") {
			return err
		}
		wantCode(t, err, 400, "Exist.EndpointGroup")
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	g := ga.CreateDeleteEndpointGroupRequest()
	g.AcceleratorId, g.EndpointGroupId = instance, group
	steady(t, func() (*ga.DeleteEndpointGroupResponse, error) { return c.DeleteEndpointGroup(g) })
	steady(t, func() (*ga.DeleteListenerResponse, error) { return c.DeleteListener(early) })
	s := ga.CreateDeleteIpSetRequest()
	s.AcceleratorId, s.IpSetId = instance, set
	steady(t, func() (*ga.DeleteIpSetResponse, error) { return c.DeleteIpSet(s) })
	for _, kind := range []string{"CrossDomain", "Basic"} {
		r := ga.CreateBandwidthPackageRemoveAcceleratorRequest()
		r.BandwidthPackageId, r.AcceleratorId = packages[kind], instance
		steady(t, func() (*ga.BandwidthPackageRemoveAcceleratorResponse, error) {
			return c.BandwidthPackageRemoveAccelerator(r)
		})
		d := ga.CreateDeleteBandwidthPackageRequest()
		d.BandwidthPackageId = packages[kind]
		must(c.DeleteBandwidthPackage(d))(t)
		_, err := packageState(c, packages[kind])
		wantCode(t, err, 404, "NotExist.BandwidthPackage")
	}
	a := ga.CreateDeleteAcceleratorRequest()
	a.AcceleratorId = instance
	steady(t, func() (*ga.DeleteAcceleratorResponse, error) { return c.DeleteAccelerator(a) })
	r := ga.CreateDescribeAcceleratorRequest()
	r.AcceleratorId = instance
	_, err := c.DescribeAccelerator(r)
	wantCode(t, err, 404, "NotExist.Accelerator")
}

// TestTheFirstSDKUnderstandsRefusals looks at what it makes of our errors.
func TestTheFirstSDKUnderstandsRefusals(t *testing.T) {
	wrong := gaClient(t, "HTTP", access.id, "not-the-secret")
	_, err := wrong.DescribeRegions(ga.CreateDescribeRegionsRequest())
	wantCode(t, err, 400, "SignatureDoesNotMatch")
	if advice := err.(*errors.ServerError).Recommend(); advice != "InvalidAccessKeySecret: Please check you AccessKeySecret" {
		t.Errorf("the SDK did not find its own string to sign in the message; it recommends %q", advice)
	}
	_, err = gaClient(t, "HTTP", "CWAKNOBODY", "x").DescribeRegions(ga.CreateDescribeRegionsRequest())
	wantCode(t, err, 404, "InvalidAccessKeyId.NotFound")
	c := gaClient(t, "HTTP", access.id, access.secret)
	r := requests.NewCommonRequest()
	r.Method, r.Product, r.Version, r.ApiName, r.Domain, r.QueryParams = "POST", "Ga", "2019-11-20", "MakeCoffee", endpoint, map[string]string{"Psk": canary}
	_, err = c.ProcessCommonRequest(r)
	wantCode(t, err, 404, "InvalidAction.NotFound")
	list := ga.CreateListAcceleratorsRequest()
	list.PageSize, list.PageNumber = requests.NewInteger(10), requests.NewInteger(1)
	must(c.ListAccelerators(list))(t)
}

// TestEverythingIsRead calls what reads with a stack of three, in pages.
func TestPagesWithTheFirstSDK(t *testing.T) {
	c := gaClient(t, "HTTPS", access.id, access.secret)
	var ids []string
	for i := range 3 {
		r := ga.CreateCreateAcceleratorRequest()
		r.Name = "page " + strconv.Itoa(i)
		ids = append(ids, must(c.CreateAccelerator(r))(t).AcceleratorId)
	}
	seen := map[string]bool{}
	for n := 1; n <= 2; n++ {
		r := ga.CreateListAcceleratorsRequest()
		r.PageSize, r.PageNumber = requests.NewInteger(2), requests.NewInteger(n)
		l := must(c.ListAccelerators(r))(t)
		if l.TotalCount != 3 || l.PageNumber != n || l.PageSize != 2 {
			t.Errorf("page %d says %+v", n, l)
		}
		for _, a := range l.Accelerators {
			seen[a.AcceleratorId] = true
		}
	}
	for _, id := range ids {
		if !seen[id] {
			t.Errorf("%s is on no page", id)
		}
		r := ga.CreateDeleteAcceleratorRequest()
		r.AcceleratorId = id
		must(c.DeleteAccelerator(r))(t)
	}
}
